"""Records of what files had in them, as entries of a fingerprint and a name.

A zero byte ends each entry, since a name may have any other.
"""

import os
import zlib

from member_entrypoint.files.whole import write_whole

Record = dict[str, set[str]]
"""The fingerprints of each name."""


def fingerprint(content: bytes) -> str:
    """Return what tells one content of a file from another, by chance; not against an attacker."""
    return f"{zlib.crc32(content):08x}-{len(content)}"


def read(path: str) -> Record | None:
    """Return the record at `path`; None if there is none that can be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\0")
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
