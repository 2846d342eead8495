"""What is in a tarball."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def content(tarball: Path) -> dict[str, bytes]:
    """Return the files in a tarball, which must not have anything but files and folders."""
    with tarfile.open(tarball) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
        assert all(member.isfile() for member in members)
        return {member.name: read(archive, member) for member in members}


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a file in an archive."""
    file = archive.extractfile(member)
    assert file is not None
    return file.read()
