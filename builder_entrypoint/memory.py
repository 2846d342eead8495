"""Tells whether the kernel killed a process because memory ran out.

The exit status of `make` does not tell: a compiler that was killed is for it one that failed.
"""

import re
from pathlib import Path

ROOT = Path("/")
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def kills(root: Path = ROOT) -> int:
    """Return how many processes the kernel has killed for lack of memory, in our control group.

    Where there is none that counts: on the whole machine. 0 if the kernel does not tell. `root` is
    the folder that has `proc` and `sys`.
    """
    counters = [*_counters(root), root / "proc" / "vmstat"]
    return next((count for path in counters if (count := _count(path)) is not None), 0)


def _counters(root: Path) -> list[Path]:
    """Return the files that may have the count of our group, in version 1 and 2 of the groups.

    In a container, our group is where the groups are mounted, or below that by its full path.
    """
    groups = root / "sys" / "fs" / "cgroup"
    found = []
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        below = group.lstrip("/")
        if not controllers:
            found += [groups / below / "memory.events", groups / "memory.events"]
        elif "memory" in controllers.split(","):
            folder = groups / controllers
            found += [folder / below / "memory.oom_control", folder / "memory.oom_control"]
    return found


def _count(path: Path) -> int | None:
    found = _KILLS.search(_read(path))
    return int(found[1]) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
