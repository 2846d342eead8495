"""Keeps the log from growing for ever: it has at most two files, and what one build prints."""

import fcntl
import os
import stat
from pathlib import Path

LARGEST = 10 * 2**20
"""Bytes from which on the next build begins a new file; a build of MongooseIM prints 100,000."""
OLDER = ".1"


def rotate(path: Path, descriptor: int) -> bool:
    """Rename the log, opened as `descriptor`, if it is large; return whether that was done.

    An older file of the new name is replaced. Builds that still write go on in the renamed file.
    Only a regular file is renamed; one that cannot be renamed goes on growing.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size < LARGEST:
        return False
    path = Path(os.path.realpath(path))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(path.stat(), status):
            return True  # another build has just done it
        path.rename(f"{path}{OLDER}")
    except OSError:
        return False  # also if another build is just doing it: then this one writes the older file
    return True
