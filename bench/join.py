"""Measures a second member, from its start until it has joined and started."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench import engine_api, shop
from bench.figures import BenchmarkError
from bench.measurement import OURS, Measurement, Target, interleaved

if TYPE_CHECKING:
    from containers import Cluster

    from bench.shop import Shop

SHELL = "shell sequence"
TARGET_NODE = f"mongooseim@{shop.PRIMARY}"
BOTH = frozenset({TARGET_NODE, shop.NODE})
JOIN_TIMEOUT = 120.0
"""Seconds."""
COMMANDS = {
    OURS: ((shop.OURS,), f"Clustered {shop.NODE} with {TARGET_NODE}"),
    SHELL: (("/usr/bin/bash", "/bench/shell_sequence.sh", TARGET_NODE), "joined, starting"),
}
"""The commands, and the text that each prints when it has joined."""


class Join(NamedTuple):
    """The cost of a successful join."""

    took: float
    """Seconds from the call to the engine to the last `started` in the status file."""
    cpu: float
    """CPU seconds of the joining container until then, or shortly after."""


def measure(bench: Shop) -> list[Measurement]:
    """Let a fresh node join a fresh primary, again and again."""
    with shop.containers(bench) as cluster:
        variants = {
            name: partial(join, cluster, command, said)
            for name, (command, said) in COMMANDS.items()
        }
        found = interleaved("join", variants, bench.runs, lambda done: f"{done.took:.2f} s")
    return [
        Measurement(
            key="join",
            title="start of a second member to member and started",
            unit="s",
            series={name: [done.took for done in joins] for name, joins in found.items()},
            target=Target(reference=SHELL, at_most=0.33),
            note="to the last `started` in its status file; both members were asked afterwards",
        ),
        Measurement(
            key="join.cpu",
            title="CPU time of the joining container",
            unit="s",
            series={name: [done.cpu for done in joins] for name, joins in found.items()},
            reference=SHELL,
        ),
    ]


def join(cluster: Cluster, command: tuple[str, ...], said: str) -> Join:
    """Run a primary and a container that joins it; remove both."""
    primary = cluster.run(shop.PRIMARY)
    container = shop.make(cluster, command)
    try:
        shop.wait_until_printed(primary, f"Clustered {TARGET_NODE}", shop.READY_TIMEOUT)
        began = time.time()
        engine_api.start(container.name)
        shop.wait_until_printed(container, said, JOIN_TIMEOUT)
        _, started = shop.wait_until_started(container)
        cpu = engine_api.cpu_seconds(container.name)
        for member in (primary, container):
            if member.running_db_nodes() != BOTH:
                raise BenchmarkError(
                    f"{container.name} did not join, {member.name} says:"
                    f" {sorted(member.running_db_nodes())}\n{container.logs()}"
                )
        return Join(started - began, cpu)
    finally:
        shop.discard(cluster, container)
        shop.discard(cluster, primary)
