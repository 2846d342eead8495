"""Measures an idle PID 1: its memory, its CPU time, and how often it wakes up."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from console import say

from bench import engine_api, processes, shop
from bench.figures import BenchmarkError
from bench.measurement import OURS, Measurement, Target, interleaved

if TYPE_CHECKING:
    from containers import Cluster

    from bench.processes import Usage
    from bench.shop import Shop

IDLE_TIME = 60.0
"""Seconds during which idle processes are watched."""
BARE = "bare python"
SLEEP = ("sleep", "infinity")
COMMANDS = {
    OURS: ((shop.OURS,), "python3"),
    "tini": (("/usr/bin/tini", "--", *SLEEP), "tini"),
    "dumb-init": (("/usr/bin/dumb-init", "--", *SLEEP), "dumb-init"),
    BARE: (("/usr/bin/python3", "-I", "-S", "-c", "import signal; signal.pause()"), "python3"),
}
"""Ours supervises a server; for the others, a process that does nothing makes no difference."""
HELPER = "ours: helper in a cluster"
"""The helper that our PID 1 runs beside the VM of a clustered node, to detect partitions."""
IN_A_CLUSTER = {"MASTER_ORDINAL": shop.HOST.rpartition("-")[2]}
"""Each server starts a cluster of its own."""
READY = f"Clustered {shop.NODE} with {shop.NODE}"
TOGETHER = 3
"""Number of servers that boot at the same time."""
ROUNDS_ALONE = 5
SETTLING_TIME = 5.0
"""Seconds between the last boot and the measurement."""


def measure(bench: Shop) -> list[Measurement]:
    """Watch several containers of each kind during the same minute."""
    with shop.containers(bench) as cluster:
        pids = _start(bench, cluster)
        shop.settle(SETTLING_TIME)
        if helpers := [child for pid in pids[OURS] for child in processes.helpers(pid)]:
            pids[HELPER] = helpers
        say(f"    watching {sum(map(len, pids.values()))} idle PID 1 for {IDLE_TIME:.0f} s")
        before = {name: [processes.usage(pid) for pid in each] for name, each in pids.items()}
        time.sleep(IDLE_TIME)
        after = {name: [processes.usage(pid) for pid in each] for name, each in pids.items()}
        memory = {name: [processes.memory_mib(pid) for pid in each] for name, each in pids.items()}
        _check(pids)
    used = {
        name: [now.since(then) for now, then in zip(after[name], before[name], strict=True)]
        for name in pids
    }
    return _measurements(used, memory, bench.runs)


def measure_alone(bench: Shop) -> list[Measurement]:
    """Take the memory of all that is ours in a member, while no other Python process shares it."""
    rounds = bench.fewer(ROUNDS_ALONE)
    with shop.containers(bench) as cluster:
        variants = {name: partial(_alone, cluster, name) for name in (OURS, BARE)}
        found = interleaved("idle, alone", variants, rounds, lambda mib: f"{mib:.1f} MiB")
    return [
        Measurement(
            key="idle.all",
            title="PSS of PID 1 and its helper, in a member that serves",
            unit="MiB",
            series=found,
            target=Target(reference=BARE, at_most=2.0),
            note="one container after the other, so that no other one shares its pages",
        )
    ]


def _alone(cluster: Cluster, name: str) -> float:
    """Return the PSS in MiB of what runs in a container, without the server's."""
    command, _ = COMMANDS[name]
    container = shop.make(cluster, command, env=IN_A_CLUSTER)
    container.start()
    if name == OURS:
        shop.wait_until_printed(container, READY, shop.READY_TIMEOUT)
    shop.settle(SETTLING_TIME)
    pid = engine_api.pid(container.name)
    helpers = processes.helpers(pid)
    if (name == OURS) != bool(helpers):
        raise BenchmarkError(f"idle: {name} has {len(helpers)} helpers")
    pss = sum(processes.memory_mib(each)[1] for each in (pid, *helpers))
    shop.discard(cluster, container)
    return pss


def _measurements(
    used: dict[str, list[Usage]], memory: dict[str, list[tuple[float, float]]], runs: int
) -> list[Measurement]:
    """Report what each kind of PID 1 used, and its RSS and PSS in MiB; shows the largest."""
    for name, each in used.items():
        waking = max(usage.wake_ups for usage in each)
        rss = max(rss for rss, _ in memory[name])
        say(f"    idle: {name} RSS {rss:.1f} MiB, wake-ups {waking}")
    many = f"{runs} containers of each kind at the same time"
    return [
        Measurement(
            key="idle.rss",
            title="RSS of PID 1, idle",
            unit="MiB",
            series={name: [rss for rss, _ in each] for name, each in memory.items()},
            target=Target(reference=BARE, at_most=1.35),
            note=many,
        ),
        Measurement(
            key="idle.pss",
            title="PSS of PID 1, idle",
            unit="MiB",
            series={name: [pss for _, pss in each] for name, each in memory.items()},
            reference=BARE,
            note=f"{many}: what they share is divided by them",
        ),
        Measurement(
            key="idle.wake-ups",
            title=f"wake-ups in {IDLE_TIME:.0f} s",
            unit="",
            series={name: [float(u.wake_ups + u.preemptions) for u in used[name]] for name in used},
            target=Target(at_most=0.0, every_run=True),
            note="switches of context, voluntary or not; one minute, all side by side",
        ),
        Measurement(
            key="idle.cpu",
            title=f"CPU time in {IDLE_TIME:.0f} s",
            unit="ms",
            series={name: [usage.cpu * 1e3 for usage in used[name]] for name in used},
        ),
    ]


def _start(bench: Shop, cluster: Cluster) -> dict[str, list[int]]:
    """Start containers of each kind, and return their PIDs 1 when they are idle."""
    pids: dict[str, list[int]] = {name: [] for name in COMMANDS}
    for number in range(bench.runs):
        booting = []
        for name, (command, _) in COMMANDS.items():
            container = shop.make(cluster, command, env=IN_A_CLUSTER)
            engine_api.start(container.name)
            pids[name].append(engine_api.pid(container.name))
            if name == OURS:
                booting.append(container)
        if number % TOGETHER == TOGETHER - 1 or number == bench.runs - 1:
            for container in booting:
                shop.wait_until_printed(container, READY, shop.READY_TIMEOUT)
    for name, (_, program) in COMMANDS.items():
        for pid in pids[name]:
            if not processes.program(pid).startswith(program[:15]):
                raise BenchmarkError(f"PID 1 of {name} is {processes.program(pid)}, not {program}")
    return pids


def _check(pids: dict[str, list[int]]) -> None:
    """Raise BenchmarkError if a supervised process has ended during the measurement."""
    for pid in pids[OURS]:
        if shop.status(pid) != "started" or not processes.children(pid):
            raise BenchmarkError("idle: a server ended while its PID 1 was watched")
    for name in set(COMMANDS) - {OURS, BARE}:
        for pid in pids[name]:
            if not processes.children(pid):
                raise BenchmarkError(f"idle: {name} ended while it was watched")
