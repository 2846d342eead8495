"""Reads the kernel's data on a process, in a container or not, as root and without waking it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.figures import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable


class Usage(NamedTuple):
    """The resources that a process has used so far."""

    cpu: float
    """CPU seconds."""
    wake_ups: int
    """Voluntary context switches: each is a sleep that ended with a wake-up."""
    preemptions: int
    """Involuntary context switches."""

    def since(self, earlier: Usage) -> Usage:
        """Return what was used after `earlier`."""
        return Usage(
            self.cpu - earlier.cpu,
            self.wake_ups - earlier.wake_ups,
            self.preemptions - earlier.preemptions,
        )


def usage(pid: int) -> Usage:
    """Return the usage of a process with one thread."""
    status = _pairs(pid, "status")
    return Usage(
        int(_read(pid, "schedstat").split()[0]) / 1e9,
        int(status["voluntary_ctxt_switches"]),
        int(status["nonvoluntary_ctxt_switches"]),
    )


def cpu_with_children(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended."""
    words = _read(pid, "stat").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in words[11:15]) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> tuple[float, float]:
    """Return RSS and PSS (its own memory plus its share of shared memory), in MiB."""
    rollup = _pairs(pid, "smaps_rollup")
    rss, pss = (int(rollup[name].split()[0]) / 1024 for name in ("Rss", "Pss"))
    return rss, pss


def children(pid: int) -> list[int]:
    """Return the pids of its children, including zombies."""
    return [int(word) for word in _read(pid, f"task/{pid}/children").split()]


def helpers(pid: int) -> list[int]:
    """Return the pids of the helpers beside the server of our PID 1: they are copies of it."""
    ours = _read(pid, "cmdline")
    return [child for child in children(pid) if _read(child, "cmdline") == ours]


def program(pid: int) -> str:
    """Return the name of its program, which the kernel cuts to 15 characters."""
    return _read(pid, "comm").strip()


def file_of(pid: int, path: str) -> Path:
    """Return the path on this machine of a file in the process's container; links do not work."""
    return Path(f"/proc/{pid}/root{path}")


def wait_for(condition: Callable[[], bool], what: str, timeout: float, interval: float) -> None:
    """Check `condition` every `interval` s until it holds. BenchmarkError after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            raise BenchmarkError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


def _pairs(pid: int, name: str) -> dict[str, str]:
    lines = (line.partition(":") for line in _read(pid, name).splitlines())
    return {key: value.strip() for key, _, value in lines}


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BenchmarkError(f"/proc/{pid}/{name} cannot be read: {error.strerror}") from error
