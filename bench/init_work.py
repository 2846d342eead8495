"""Measures the work of PID 1 in a container: passing signals on, and reaping orphans."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

from bench import engine_api, processes, shop
from bench.figures import BenchmarkError
from bench.measurement import OURS, Measurement, Target, interleaved

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

    from bench.shop import Shop

INITS = {
    OURS: (shop.OURS,),
    "tini": ("/usr/bin/tini", "--"),
    "dumb-init": ("/usr/bin/dumb-init", "--"),
}
WITHOUT = "no init"
SIGNALS = 1000
STAMP_SIZE = 20
"""Bytes of a line of `stamp_signals.py`."""
PAUSE = 0.001
"""Seconds between two signals at least. The pause is random, up to twice that, to avoid rhythms."""
ORPHANS = 10_000
ROUNDS_OF_ORPHANS = 5
INIT_TIMEOUT = 120.0
"""Seconds that anything here may take."""
STAMPS = "/tmp/stamps"  # noqa: S108 - inside our own container
GO, MADE = "/tmp/go", "/tmp/made"  # noqa: S108 - as above


def measure_signals(bench: Shop) -> list[Measurement]:
    """Send SIGUSR1 to PID 1, and measure when its child receives it."""
    child = ("/usr/bin/python3", "-I", "-S", "/bench/stamp_signals.py", STAMPS)
    inits = {**INITS, WITHOUT: ()}
    with shop.containers(bench) as cluster:
        started = {name: _start(cluster, (*init, *child)) for name, init in inits.items()}
        for _, pid in started.values():
            stamps = processes.file_of(pid, STAMPS)
            processes.wait_for(stamps.exists, "the child takes signals", INIT_TIMEOUT, 0.05)
        shop.settle()
        variants = {name: partial(latencies, pid) for name, (_, pid) in started.items()}
        found = interleaved(
            "signals", variants, bench.runs, lambda each: f"{statistics.median(each):.0f} us"
        )
    medians = {name: [statistics.median(each) for each in runs] for name, runs in found.items()}
    tails = {
        name: [statistics.quantiles(each, n=100)[98] for each in runs]
        for name, runs in found.items()
    }
    return [
        Measurement(
            key="signal.median",
            title="signal to its handler in the child",
            unit="us",
            series=medians,
            target=Target(reference="tini", at_most=2.0),
            note=f"each run is the median of {SIGNALS} signals",
        ),
        Measurement(
            key="signal.99",
            title="signal to its handler in the child, 99th percentile",
            unit="us",
            series=tails,
            reference="tini",
            note=f"each run is the 99th percentile of {SIGNALS} signals",
        ),
    ]


def latencies(pid: int) -> list[float]:
    """Send signals to `pid`; return the microseconds until the child receives each."""
    stamps = processes.file_of(pid, STAMPS)
    before = stamps.stat().st_size
    sent = []
    for number in range(1, SIGNALS + 1):
        sent.append(time.monotonic_ns())
        os.kill(pid, signal.SIGUSR1)
        time.sleep(PAUSE * (1 + random.random()))  # noqa: S311 - no secret
        # Two pending signals are merged into one, so wait until this one has arrived.
        came = partial(_has_size, stamps, before + number * STAMP_SIZE)
        processes.wait_for(came, f"signal {number} comes", INIT_TIMEOUT, PAUSE)
    with stamps.open("rb") as file:
        file.seek(before)
        lines = file.read().splitlines()
    if len(lines) != SIGNALS:
        raise BenchmarkError(f"{SIGNALS} signals were sent, {len(lines)} came")
    return [(int(line) - begin) / 1e3 for line, begin in zip(lines, sent, strict=True)]


def _has_size(path: Path, size: int) -> bool:
    return path.stat().st_size >= size


def measure_reaping(bench: Shop) -> list[Measurement]:
    """Measure how PID 1 reaps orphans."""
    with shop.containers(bench) as cluster:
        variants = {name: partial(reap, cluster, init) for name, init in INITS.items()}
        rounds = bench.fewer(ROUNDS_OF_ORPHANS)
        found = interleaved(
            "reaping", variants, rounds, lambda cpu: f"{cpu * 1e3:.0f} ms", warm_up=False
        )
    return [
        Measurement(
            key="reaping",
            title=f"CPU time of PID 1 for {ORPHANS} orphans",
            unit="ms",
            series={name: [cpu * 1e3 for cpu in runs] for name, runs in found.items()},
            reference="tini",
        )
    ]


def reap(cluster: Cluster, init: tuple[str, ...]) -> float:
    """Return the CPU seconds that an init needs for many orphans."""
    container, pid = _start(cluster, (*init, "/bin/sh", "/bench/orphans.sh", str(ORPHANS)))
    try:
        processes.wait_for(
            lambda: len(processes.children(pid)) > 1,
            f"{init[0]} adopts an orphan",
            INIT_TIMEOUT,
            0.05,
        )
        before = processes.usage(pid).cpu
        processes.file_of(pid, GO).touch()
        made = processes.file_of(pid, MADE)
        processes.wait_for(made.exists, f"{ORPHANS} orphans are made", INIT_TIMEOUT, 0.1)
        if int(made.read_text()) != ORPHANS:
            raise BenchmarkError(f"{made.read_text().strip()} orphans were made, not {ORPHANS}")
        processes.wait_for(
            lambda: len(processes.children(pid)) == 1,
            f"{init[0]} has reaped all",
            INIT_TIMEOUT,
            0.1,
        )
        return processes.usage(pid).cpu - before
    finally:
        shop.discard(cluster, container)


def _start(cluster: Cluster, command: tuple[str, ...]) -> tuple[Container, int]:
    container = shop.make(cluster, command)
    engine_api.start(container.name)
    return container, engine_api.pid(container.name)
