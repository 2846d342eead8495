"""What a command of ours prints: all of it, or one line that says why not."""

import errno
import os
import sys

OUTPUT, ERRORS = 1, 2


def put(text: str, status: int) -> int:
    """Write to standard output; return the exit status, which is `status` if that succeeds."""
    try:
        write(text)
    except OSError as error:
        return failed(error, status)
    return status


def write(text: str) -> None:
    """Write all of a text to standard output, what is no Unicode escaped; raises OSError."""
    if sys.stdout is None:  # it was closed: another file may have its number now
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _write(OUTPUT, text)


def failed(error: OSError, status: int) -> int:
    """Say why nothing could be written; return the exit status, which is not 0 then.

    But where the reader has gone, as `head` does, nobody wants to read of that: `status` counts.
    """
    if isinstance(error, BrokenPipeError):
        return status
    complain(f"member-entrypoint: cannot write to standard output: {error.strerror}")
    return status or 1


def complain(text: str) -> None:
    """Write a line to standard error, if that can be."""
    try:
        if sys.stderr is not None:
            _write(ERRORS, f"{text}\n")
    except OSError:
        return


def _write(descriptor: int, text: str) -> None:
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]
