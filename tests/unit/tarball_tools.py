"""Release tarballs for tests, with entries that no honest program writes."""

import io
import os
import stat
import tarfile
from pathlib import Path

from member_entrypoint.places import Places
from member_entrypoint.release.active import Release
from member_entrypoint.release.tarball import install

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
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return str(path)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return a link as a tarball has it."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = target
    return entry


def special(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    """Return an entry, mostly without content."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.size = size
    return entry


def folder(name: str) -> tarfile.TarInfo:
    """Return a folder as a tarball has it."""
    entry = special(name, tarfile.DIRTYPE)
    entry.mode = 0o755
    return entry


class World:
    """A member image with an active release, and files beside it that must not change."""

    def __init__(self, root: Path) -> None:
        """Make it below `root`."""
        self.places = Places(str(root))
        self.folder = root / "usr/lib"
        for name in ("mongooseim-image", "victim"):
            (self.folder / name).mkdir(parents=True)
            secret = self.folder / name / "secret"
            secret.write_text("as it was")
            secret.chmod(0o600)
        (self.folder / "mongooseim").symlink_to("mongooseim-image")
        self.release = self.folder / "new"

    def install(self, path: str) -> Release:
        """Install the tarball `path`."""
        return install(path, "new", self.places, self.places)

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Return all that is there, with permissions, times and content."""
        found: dict[str, tuple[object, ...]] = {}
        for where, folders, files in os.walk(self.places.root):
            for path in (Path(where, name) for name in (*folders, *files)):
                status = path.lstat()
                if path.is_symlink():
                    found[str(path)] = (os.readlink(path),)
                elif stat.S_ISREG(status.st_mode):
                    kept = (status.st_mode, status.st_nlink, status.st_mtime_ns, status.st_uid)
                    found[str(path)] = (*kept, path.read_bytes())
                else:
                    found[str(path)] = (status.st_mode, status.st_uid)
        return found
