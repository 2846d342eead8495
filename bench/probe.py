"""What it costs to ask a server whether it is ready."""

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
NOBODYS_PORT = "1"


def measure(bench: Shop) -> list[Measurement]:
    """Ask a server that is ready, in both ways, in its container."""
    with shop.containers(bench) as cluster:
        container = cluster.run(shop.HOST, env=shop.ALONE, volumes=(f"{shop.INSIDE}:/bench:ro",))
        shop.wait_until_printed(container, "MongooseIM started", shop.READY_TIMEOUT)
        shop.settle()
        # That it says yes counts only if it can say no.
        shop.timed(container, *PROBE, status="not-0", env={"HEALTH_PORT": NOBODYS_PORT})
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
            target=Target(reference=CTL, at_most=0.1),
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
