"""Reads a tarball that anybody could have written: once, forwards, within limits.

tarfile parses the headers and believes them: it would read a name of 8 GiB into memory, and follow
a negative size backwards for ever. It reads through a `Reader`, which refuses that.
"""

import gzip
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

BLOCK = 512
CHUNK = 1 << 20
LONGEST_HEADER = 64 << 10  # bytes of an entry's headers, long names and attributes included
MOST_ATTRIBUTES = 100  # that are said once for all entries (PAX global headers)
SHOWN = 100  # characters of a name in a message


class RefusedError(Exception):
    """Why a tarball is not unpacked; the text begins with a verb, its subject is the tarball."""


class DamagedError(Exception):
    """The tarball is cut, or not what its headers say."""


class Reader:
    """An archive as tarfile sees it; what it must not do raises `RefusedError`."""

    def __init__(self, file: IO[bytes], largest: int) -> None:
        """Read `file`, at most `largest` bytes of it."""
        self._file = file
        self._largest = largest
        self._at = 0
        self._header_left = LONGEST_HEADER
        self._last = b""

    def expect_header(self) -> None:
        """Let tarfile read the headers of one more entry."""
        self._header_left = LONGEST_HEADER

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return bytes of a header, as many as tarfile asks for, fewer at the end."""
        if not 0 <= size <= self._header_left:
            raise RefusedError(
                f"has an entry whose headers claim more than {LONGEST_HEADER >> 10} KiB"
            )
        self._header_left -= size
        return self._take(size)

    def seek(self, place: int) -> None:
        """Go forwards to `place`, or to the end."""
        if place < self._at:
            raise DamagedError("a header leads back to what was read before")
        while self._at < place and self._take(min(CHUNK, place - self._at)):
            pass

    def content(self, entry: tarfile.TarInfo) -> Iterator[bytes]:
        """Yield the content of a file in pieces; its headers were the last to be read."""
        self._check(self._at + entry.size)
        left = entry.size
        while left:
            piece = self._take(min(CHUNK, left))
            if not piece:
                raise DamagedError(f"it ends within {shown(entry.name)}")
            left -= len(piece)
            yield piece

    def expect_end(self) -> None:
        """See that the archive has its end mark, and nothing but zeros after it."""
        if self._last != bytes(BLOCK):
            raise DamagedError("it ends without the mark of an archive's end, or has a bad header")
        while piece := self._take(CHUNK):
            if piece.strip(b"\0"):
                raise RefusedError("goes on after its end: it is several archives in one file")

    def _take(self, size: int) -> bytes:
        self._last = self._file.read(size)
        self._at += len(self._last)
        self._check(self._at)
        return self._last

    def _check(self, size: int) -> None:
        if size > self._largest:
            raise RefusedError(
                f"has more than {self._largest:,} bytes when unpacked, the most that a release may"
            )


@contextmanager
def opened(path: str, largest: int) -> Iterator[Reader]:
    """Open a gzip-compressed archive, of which at most `largest` bytes are unpacked.

    Raises OSError, or `RefusedError` if it is no file.
    """
    # Without O_NONBLOCK a named pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RefusedError("is a folder, a pipe or a device, not a file")
        with (
            open(descriptor, "rb", closefd=False) as file,
            gzip.GzipFile(fileobj=file) as unzipped,
        ):
            yield Reader(cast("IO[bytes]", unzipped), largest)
    finally:
        os.close(descriptor)


def entries(reader: Reader) -> Iterator[tarfile.TarInfo]:
    """Yield the entries of an archive; `reader` is at the content of the last that was yielded.

    Raises `RefusedError`, `DamagedError` or one of what tarfile raises.
    """
    archive = tarfile.TarFile(fileobj=cast("IO[bytes]", reader))
    while (entry := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined] # it would keep them all
        if entry.size < 0:
            raise DamagedError(f"the size of {shown(entry.name)} is negative")
        if len(archive.pax_headers) > MOST_ATTRIBUTES:
            raise RefusedError(f"has more than {MOST_ATTRIBUTES} attributes for all entries")
        yield entry
        reader.expect_header()
    reader.expect_end()


def shown(name: str) -> str:
    """Return a name for a message, on one line and not too long."""
    return repr(name if len(name) <= SHOWN else f"{name[:SHOWN]}...")
