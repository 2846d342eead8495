"""The limits of this container: too few processes for any VM, and what was killed for memory."""

import os

from member_entrypoint.errors import ConfigurationError

CGROUPS = "/sys/fs/cgroup"
PIDS_MAX = ("pids.max", "pids/pids.max")
"""Below the cgroups' file system: version 2, version 1. Source: cgroups(7), the pids controller."""
OOM_KILLS = ("memory.events", "memory/memory.oom_control")
"""Where both count the processes that were killed for the memory limit, as `oom_kill`."""
NEEDED = 24
"""Threads of a VM with one scheduler (18), of PID 1, a helper and the programs of the VM."""


def check(cgroups: str = CGROUPS) -> None:
    """Raise `ConfigurationError` if the container's limit of processes is too low for any VM."""
    for name in PIDS_MAX:
        try:
            with open(os.path.join(cgroups, name), encoding="ascii") as file:
                limit = file.read().strip()
        except (OSError, ValueError):
            continue
        if limit.isdecimal() and int(limit) < NEEDED:
            raise ConfigurationError(
                f"this container may have {limit} processes and threads, and an Erlang VM needs at "
                f"least {NEEDED}, more with more CPUs; raise --pids-limit (Compose: pids_limit)"
            )


def oom_kills(cgroups: str = CGROUPS) -> int:
    """Return how many processes the kernel has killed for the memory limit of this container."""
    for name in OOM_KILLS:
        try:
            with open(os.path.join(cgroups, name), encoding="ascii") as file:
                words = [line.split() for line in file]
        except (OSError, ValueError):
            continue
        for each in words:
            if len(each) == 2 and each[0] == "oom_kill" and each[1].isdecimal():  # noqa: PLR2004
                return int(each[1])
    return 0
