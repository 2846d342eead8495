"""Records of what files had in them, as entries of a fingerprint and a name.

A zero byte ends each entry, since a name may have any other.
"""

import os
import stat
import zlib

from member_entrypoint.files.whole import write_whole

LARGEST = 1 << 20  # bytes of a record
Record = dict[str, set[str]]
"""The fingerprints of each name."""


def fingerprint(content: bytes) -> str:
    """Return what tells one content of a file from another, by chance; not against an attacker."""
    return f"{zlib.crc32(content):08x}-{len(content)}"


def read(path: str) -> Record | None:
    """Return the record at `path`; None if there is none that can be read.

    Root reads records in folders of the member's, which may have put a link, a pipe or anything
    else there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                return None
            lines = file.read(LARGEST).split("\0")
    except OSError:
        return None
    found: Record = {}
    for line in lines:
        mark, _, name = line.partition(" ")
        if name:
            found.setdefault(name, set()).add(mark)
    return found


def write(path: str, record: Record) -> None:
    """Write a record whole; raises OSError."""
    lines = [f"{mark} {name}\0" for name in sorted(record) for mark in sorted(record[name])]
    write_whole(path, os.fsencode("".join(lines)), 0o644)
