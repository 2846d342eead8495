"""Measures how long it takes until many members form one cluster, by their number."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench import engine_api, figures, processes, shop
from bench.figures import BenchmarkError
from bench.measurement import Measurement, Target, interleaved

if TYPE_CHECKING:
    from containers import Container

    from bench.shop import Shop

SIZES = (2, 4, 8, 16)
FORMATION_ROUNDS = 3
FORMATION_TIMEOUT = 240.0
"""Seconds."""
FORMATION_INTERVAL = 0.3
"""Seconds between checks whether the cluster is complete."""
CHECKED = 2
"""Number of members that must see all nodes afterwards: the first, and the last to join."""


class Formation(NamedTuple):
    """The cost of a complete cluster."""

    took: float
    """Seconds from the first call to the engine to the last member's line `Clustered`."""
    cpu: float
    """CPU seconds of all members until then, or shortly after."""
    own: float
    """CPU seconds of the same without the VMs: PID 1, its helpers, and `mongooseimctl`."""


def measure(bench: Shop) -> list[Measurement]:
    """Start clusters of several sizes."""
    variants = {str(size): partial(form, bench, size) for size in SIZES}
    rounds = bench.fewer(FORMATION_ROUNDS)
    found = interleaved(
        "formation", variants, rounds, lambda done: f"{done.took:.1f} s", warm_up=False
    )
    took = {size: [one.took for one in each] for size, each in found.items()}
    cpu = {size: [one.cpu for one in each] for size, each in found.items()}
    own = {size: [one.own for one in each] for size, each in found.items()}
    growth = {
        "time": (_exponents(took), 1.0),
        "CPU time without the VMs": (_exponents(own), 1.0),
        "CPU time of all": (_exponents(cpu), None),
    }
    smallest = str(SIZES[0])
    members = "by the number of members"
    return [
        Measurement(
            key="formation.time",
            title=f"start of all to one cluster, {members}",
            unit="s",
            series=took,
            reference=smallest,
        ),
        Measurement(
            key="formation.cpu",
            title=f"CPU time of all, {members}",
            unit="s",
            series=cpu,
            reference=smallest,
        ),
        Measurement(
            key="formation.cpu.own",
            title=f"CPU time of all without the VMs, {members}",
            unit="s",
            series=own,
            reference=smallest,
            note="PID 1, its helpers and `mongooseimctl join_cluster`, which boots a VM",
        ),
        *(
            Measurement(
                key=f"formation.growth.{name.replace(' ', '-').lower()}",
                title=f"growth of the {name}: exponent of the number of members",
                unit="",
                series={name: exponents},
                target=Target(subject=name, at_most=limit) if limit else None,
                note="1 is linear growth",
            )
            for name, (exponents, limit) in growth.items()
        ),
    ]


def _exponents(values: dict[str, list[float]]) -> list[float]:
    """Return the exponent of the growth in each round."""
    rounds = zip(*values.values(), strict=True)
    return [figures.exponent(SIZES, each, "growth of a formation") for each in rounds]


def form(bench: Shop, size: int) -> Formation:
    """Start `size` members at once, and wait until they form one cluster."""
    with shop.containers(bench) as cluster:
        members = [shop.make(cluster, (shop.OURS,), host=f"bench-{n + 1}") for n in range(size)]
        nodes = frozenset(f"mongooseim@{member.host}" for member in members)
        began = time.time()
        with ThreadPoolExecutor(max_workers=size) as threads:
            list(threads.map(engine_api.start, [member.name for member in members]))
        clustered: dict[str, float] = {}
        processes.wait_for(
            lambda: _look(members, clustered),
            f"{size} members form one cluster",
            FORMATION_TIMEOUT,
            FORMATION_INTERVAL,
        )
        own = sum(processes.cpu_with_children(engine_api.pid(member.name)) for member in members)
        cpu = sum(engine_api.cpu_seconds(member.name) for member in members)
        last = max(members, key=lambda member: clustered[member.name])
        for member in (members[0], last)[:CHECKED]:
            if member.running_db_nodes() != nodes or member.db_nodes() != nodes:
                raise BenchmarkError(
                    f"{size} members started, but {member.name} sees only"
                    f" {sorted(member.running_db_nodes())}:\n{member.logs()}"
                )
        return Formation(max(clustered.values()) - began, cpu, own)


def _look(members: list[Container], clustered: dict[str, float]) -> bool:
    """Record when members print that they are clustered; tell whether all have.

    Raises BenchmarkError if one has ended.
    """
    for member in members:
        if member.name in clustered:
            continue
        text = f"Clustered mongooseim@{member.host} with "
        for at, line in engine_api.lines(member.name):
            if text in line:
                clustered[member.name] = at
        if member.name not in clustered:
            try:
                engine_api.pid(member.name)
            except BenchmarkError as error:
                raise BenchmarkError(f"{error}\n{member.logs()}") from error
            return False
    return True
