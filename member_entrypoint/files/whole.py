"""Writing a file whole: whoever reads it finds the old content or the new one, never a part.

And reading what another process may have replaced, without waiting for it.

A probe imports this every few seconds: it imports next to nothing.
"""

import errno
import os
import stat

UNFINISHED = ".unfinished"


def write_whole(
    path: str | os.PathLike[str], data: bytes, mode: int, *, durable: bool = False
) -> None:
    """Write `data` as the file `path` with the permissions `mode`, whatever the umask is.

    A link at `path` is replaced, not followed. `durable` says that file and name survive a power
    cut; that takes two fsync calls. Raises OSError; `path` is as it was then.
    """
    path = os.fspath(path)
    temporary = path + UNFINISHED
    remove(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, mode)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    if durable:
        sync_folder(os.path.dirname(path) or ".")


def regular(path: str, flags: int) -> int:
    """Return a descriptor to a regular file: the `opener` of `open`. Raises OSError.

    A pipe would block whoever opens it until somebody writes; a device may never end.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return descriptor


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder survive a power cut; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """Remove a file or a link, if it is there; raises OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
