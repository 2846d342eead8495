"""Measures the cost of a readiness probe."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench import shop
from bench.measurement import OURS, Measurement, Target, interleaved

if TYPE_CHECKING:
    from bench.shop import Shop

CTL = "mongooseimctl status"
PROBE = ("member-entrypoint", "health", "ready")
COMMANDS = {OURS: PROBE, CTL: ("mongooseimctl", "status")}


def measure(bench: Shop) -> list[Measurement]:
    """Probe a ready server in its container, with our probe and with `mongooseimctl`."""
    with shop.containers(bench) as cluster:
        container = shop.make(cluster, (shop.OURS,), env=shop.ALONE)
        container.start()
        shop.wait_until_printed(container, "MongooseIM started", shop.READY_TIMEOUT)
        shop.settle()
        # Both probes must fail where no server runs, else their success means nothing.
        idle = shop.make(cluster, (shop.OURS, "sleep", "infinity"), env=shop.ALONE)
        idle.start()
        for command in COMMANDS.values():
            shop.timed(idle, *command, status="not-0")
        variants = {
            name: partial(shop.timed, container, *command) for name, command in COMMANDS.items()
        }
        found = interleaved(
            "probe", variants, bench.runs, lambda spent: f"{spent.cpu * 1e3:.0f} ms CPU"
        )
    return [
        Measurement(
            key="probe.cpu",
            title="CPU time of one readiness probe",
            unit="ms",
            series={name: [one.cpu * 1e3 for one in each] for name, each in found.items()},
            target=Target(reference=CTL, at_most=0.05),
        ),
        Measurement(
            key="probe.wall",
            title="time of one readiness probe",
            unit="ms",
            series={name: [one.wall * 1e3 for one in each] for name, each in found.items()},
            reference=CTL,
            note="in the container, without `docker exec`",
        ),
    ]
