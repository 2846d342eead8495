"""All that is in a folder, to see that nothing has changed it."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return all that is in a folder and below: kind, mode, owner, times, content, by path.

    The time of the last access is left out: reading changes it.
    """
    found: dict[str, tuple[object, ...]] = {}
    for where, folders, files in os.walk(folder):
        for path in (Path(where), *(Path(where, name) for name in (*folders, *files))):
            status = path.lstat()
            content: object = None
            if path.is_symlink():
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_mtime_ns,
                status.st_ctime_ns,
                content,
            )
    return found
