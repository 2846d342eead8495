"""Measures start and stop of a container, and the start of a process, under each init."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from docker_cli import docker_result

from bench import engine_api, shop
from bench.figures import BenchmarkError
from bench.measurement import Measurement, Target, interleaved

if TYPE_CHECKING:
    from containers import Cluster, Container

    from bench.shop import Shop

BARE = "bare VM"
RUN_TIME = 0.7
"""Seconds that a server runs before it is stopped."""
STOP_TIMEOUT = 60.0
"""Seconds."""
EXEC_LINE = "Exec: "
"""The last output of the start script before it becomes `erlexec`."""
START_TARGET = Target(reference=BARE, at_most=1.02)
PROCESS_TARGET = Target(reference=BARE, at_most=1.03)
STOP_TARGET = Target(reference=BARE, at_most=1.03)


class Life(NamedTuple):
    """Seconds from the start of a container to each event; and from SIGTERM to its end."""

    to_exec: float
    to_started: float
    to_end: float


def measure(bench: Shop) -> list[Measurement]:
    """Start and stop containers whose PID 1 is ours or another."""
    with shop.containers(bench) as cluster:
        variants = {
            name: partial(live, cluster, command) for name, command in shop.COMMANDS.items()
        }
        found = interleaved("start, stop", variants, bench.runs, _shown)
    return [
        Measurement(
            key="start.container.exec",
            title="container start to exec of erlexec",
            unit="s",
            series={name: [life.to_exec for life in lives] for name, lives in found.items()},
            reference=BARE,
            note="from the call to the engine to the line `Exec:` of the start script",
        ),
        Measurement(
            key="start.container.started",
            title="container start to started",
            unit="s",
            series={name: [life.to_started for life in lives] for name, lives in found.items()},
            target=START_TARGET,
            note="from the call to the engine to the time of the server's status file",
        ),
        Measurement(
            key="stop",
            title="SIGTERM to the end of the container",
            unit="s",
            series={name: [life.to_end for life in lives] for name, lives in found.items()},
            target=STOP_TARGET,
        ),
    ]


def live(cluster: Cluster, command: tuple[str, ...]) -> Life:
    """Start and stop one container."""
    container = shop.make(cluster, command, env=shop.ALONE)
    try:
        began = time.time()
        engine_api.start(container.name)
        _, started = shop.wait_until_started(container)
        to_exec = shop.printed_at(container, EXEC_LINE) - began
        shop.settle(RUN_TIME)
        return Life(to_exec, started - began, _stop(container))
    finally:
        shop.discard(cluster, container)


def _stop(container: Container) -> float:
    end = engine_api.End(container.name)
    began = time.monotonic()
    engine_api.send(container.name, "SIGTERM")
    status, at = end.found(STOP_TIMEOUT)
    if status != 0:
        raise BenchmarkError(f"{container.name} ended with {status}:\n{container.logs()}")
    return at - began


def _shown(life: Life) -> str:
    return f"{life.to_started:.2f} s/{life.to_end:.2f} s"


def measure_plain(bench: Shop) -> list[Measurement]:
    """Start the server as a process in a running container."""
    with shop.containers(bench) as cluster:
        container = shop.make(cluster, ("/usr/bin/tini", "--", "sleep", "infinity"))
        container.start()
        variants = {
            name: partial(start_plain, container, _plain(command))
            for name, command in shop.COMMANDS.items()
        }
        found = interleaved(
            "start of a process", variants, bench.runs, lambda times: f"{times[1]:.3f} s"
        )
    return [
        Measurement(
            key="start.process.exec",
            title="process start to exec of erlexec",
            unit="s",
            series={name: [times[0] for times in runs] for name, runs in found.items()},
            reference=BARE,
        ),
        Measurement(
            key="start.process.started",
            title="process start to started",
            unit="s",
            series={name: [times[1] for times in runs] for name, runs in found.items()},
            target=PROCESS_TARGET,
            note="the same without the engine's part",
        ),
    ]


def _plain(command: tuple[str, ...]) -> tuple[str, ...]:
    """Add the option that makes tini reap although it is not PID 1 here."""
    return (command[0], "-s", *command[1:]) if command[0].endswith("tini") else command


def start_plain(container: Container, command: tuple[str, ...]) -> tuple[float, float]:
    """Return the seconds from the start of a process to the exec of erlexec, and to started."""
    options = tuple(f"--env={name}={value}" for name, value in shop.ALONE.items())
    done = docker_result(
        *("exec", *options, container.name, "python3", "-I", "/bench/start_plain.py", *command),
        timeout=shop.READY_TIMEOUT,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    answer = json.loads(done.stdout)
    return answer["exec"], answer["started"]
