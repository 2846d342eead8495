"""How many processes and threads may this container have? Too few, and no VM can run in it."""

import os

from member_entrypoint.errors import ConfigurationError

PIDS_MAX = ("pids.max", "pids/pids.max")
"""Below the cgroups' file system: version 2, version 1. Source: cgroups(7), the pids controller."""
NEEDED = 24
"""Threads of a VM with one scheduler (18), of PID 1, a helper and the programs of the VM."""


def check(cgroups: str = "/sys/fs/cgroup") -> None:
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
