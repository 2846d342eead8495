"""Holds a file: whoever opens it for writing waits, and those who only read it do not.

That is a read lease of the kernel (fcntl(2), `F_SETLEASE`), so there is nothing to poll, and none
is left behind when its holder ends. Who waits does so for 45 s at most
(`/proc/sys/fs/lease-break-time`). Who took the lease is sent SIGIO when somebody begins to wait:
that ends a process, unless it blocks its signals and takes them one by one, as PID 1 does.
"""

import contextlib
import fcntl
import os

NOT_HELD = -1


def hold(path: str) -> int:
    """Hold a file; return the descriptor to let it go by, `NOT_HELD` if it cannot be held.

    That is so where the file system has no leases (many of the network), where the file belongs to
    another user, or is open for writing. Copies of this process hold it, too.
    """
    descriptor = NOT_HELD
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        close(descriptor)
        return NOT_HELD
    return descriptor


def let_go(descriptor: int) -> None:
    """Let a file go, also for copies of this process.

    It may have been let go already, by a copy or by the kernel, which waits for nobody for ever.
    """
    if descriptor != NOT_HELD:
        with contextlib.suppress(BlockingIOError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def close(descriptor: int) -> None:
    """Close the descriptor; the file is held as long as a copy of this process has it open."""
    if descriptor != NOT_HELD:
        os.close(descriptor)
