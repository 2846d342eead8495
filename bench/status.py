"""Measures the time of `status`, and of `check`, in a cluster of three that is well."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench import shop
from bench.measurement import OURS, Measurement, Target, interleaved

if TYPE_CHECKING:
    from bench.shop import Shop

CTL = "mongooseimctl status"
MEMBERS = 3
COMMANDS = {OURS: ("member-entrypoint", "status"), CTL: ("mongooseimctl", "status")}
"""Ours asks three members; the other one asks the node of its container whether it runs."""
CHECK = "member-entrypoint check"


def measure(bench: Shop) -> list[Measurement]:
    """Ask a member of a cluster of three, with both commands."""
    with shop.containers(bench) as cluster:
        hosts = [f"mongooseim-{number}" for number in range(1, MEMBERS + 1)]
        members = [shop.make(cluster, (shop.OURS,), host=host) for host in hosts]
        for member in members:
            member.start()
        for member in members:
            shop.wait_until_printed(member, "Clustered ", shop.READY_TIMEOUT)
        shop.settle()
        # Both must fail where no server runs, else their success means nothing.
        idle = shop.make(cluster, (shop.OURS, "sleep", "1000"), host="idle-1", env=shop.ALONE)
        idle.start()
        for command in COMMANDS.values():
            shop.timed(idle, *command, status="not-0")
        shop.discard(cluster, idle)
        variants = {
            name: partial(shop.timed, members[0], *command) for name, command in COMMANDS.items()
        }
        variants[CHECK] = partial(shop.timed, members[0], *CHECK.split())
        found = interleaved(
            "status", variants, bench.runs, lambda spent: f"{spent.wall * 1e3:.0f} ms"
        )
    note = "in the container, without `docker exec`; ours asks all three members"
    return [
        Measurement(
            key="status.wall",
            title="time of `member-entrypoint status`, three members",
            unit="ms",
            series={name: [one.wall * 1e3 for one in each] for name, each in found.items()},
            target=Target(reference=CTL, at_most=0.2),
            note=note,
        ),
        Measurement(
            key="status.cpu",
            title="CPU time of `member-entrypoint status`, three members",
            unit="ms",
            series={name: [one.cpu * 1e3 for one in each] for name, each in found.items()},
            reference=CTL,
            note=note,
        ),
    ]
