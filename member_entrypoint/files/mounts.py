"""What is mounted in this container, and where: proc_pid_mountinfo(5)."""

import os
import re

_ESCAPED = re.compile(rb"\\([0-7]{3})")


def points() -> list[str]:
    """Return all mount points, the last mounted last; none if that cannot be known."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            fields = [line.split(b" ", 5) for line in file]
    except OSError:
        return []
    return [os.fsdecode(_ESCAPED.sub(_byte, each[4])) for each in fields]


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8) & 0xFF])
