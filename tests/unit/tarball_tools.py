"""Release tarballs for tests, with entries that no honest program writes."""

import io
import tarfile
from pathlib import Path

PROGRAMS = ("bin/mongooseim", "bin/mongooseimctl", "erts-9.1/bin/erl")


def tarball(path: Path, *extra: tarfile.TarInfo, without: str = "") -> str:
    """Write a small release tarball with extra entries, and return its path."""
    files = dict.fromkeys(PROGRAMS, b"#!/bin/sh\n")
    files["releases/start_erl.data"] = b"9.1 3.7.1\n"
    files["etc/vm.args"] = b"-sname x\n"
    files["log/old"] = b""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            if name != without:
                entry = tarfile.TarInfo(f"mongooseim/{name}")
                entry.size = len(content)
                entry.mode = 0o755
                archive.addfile(entry, io.BytesIO(content))
        for entry in extra:
            archive.addfile(entry)
    return str(path)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return a link as a tarball has it."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = target
    return entry


def special(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """Return an entry without content."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    return entry
