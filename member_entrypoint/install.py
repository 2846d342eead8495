"""Puts a release tarball in its place: when the image is built, or when `/member` holds one.

The tarball's `mongooseim/` is unpacked, and what changes at run time is moved out of it: `etc`, as
it came, becomes `etc.pristine`, and `etc`, `var` and `log` become links to folders that each start
fills. So a release can be on a read-only file system.
"""

import os
import posixpath
import shutil
import sys
import tarfile

from member_entrypoint import release
from member_entrypoint.errors import ConfigurationError, EntrypointError

TOP = "mongooseim"


def install(tarball: str, root: str, places: release.Places) -> release.Release:
    """Unpack `tarball` as the folder `root`, which must not exist, and return the release.

    Raises `ConfigurationError` if it is no release, damaged, or if an entry would leave `root`;
    `root` does not exist then.
    """
    unpacking = f"{root}.unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)
    try:
        os.makedirs(unpacking)
        _unpack(tarball, unpacking)
        unpacked = os.path.join(unpacking, TOP)
        release.find(unpacked)
        os.rename(os.path.join(unpacked, "etc"), os.path.join(unpacked, release.PRISTINE))
        for name, target in (
            ("etc", os.path.join(places.run, "etc")),
            ("var", os.path.join(places.run, "var")),
            ("log", places.log),
        ):
            shutil.rmtree(os.path.join(unpacked, name), ignore_errors=True)
            os.symlink(target, os.path.join(unpacked, name))
        os.rename(unpacked, root)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise ConfigurationError(f"{tarball} cannot be unpacked as a release: {error}") from None
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    return release.find(root)


def _unpack(tarball: str, folder: str) -> None:
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
        links = {entry.name.rstrip("/") for entry in members if entry.issym()}
        for entry in members:
            reason = _refused(entry, links)
            if reason:
                raise ConfigurationError(
                    f"{tarball} is not a release to be trusted: its entry {entry.name!r} {reason}"
                )
        # Checked above. Not every Python that we run on has the filters of tarfile (PEP 706).
        options = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, members, **options)  # type: ignore[arg-type] # noqa: S202


def _refused(entry: tarfile.TarInfo, links: set[str]) -> str:
    """Return why an entry is not unpacked, empty if it is; `links` are the symbolic links."""
    if not (entry.isfile() or entry.isdir() or entry.issym() or entry.islnk()):
        return "is neither a file, a folder nor a link"
    if _escapes(entry.name):
        return f"is outside of {TOP}/"
    parts = entry.name.split("/")
    if any("/".join(parts[:end]) in links for end in range(1, len(parts))):
        return "is reached through a link"
    if entry.issym():
        target = posixpath.join(posixpath.dirname(entry.name), entry.linkname)
        if entry.linkname.startswith("/") or _escapes(target):
            return f"is a link to {entry.linkname!r}, outside of {TOP}/"
    if entry.islnk() and _escapes(entry.linkname):
        return f"is a link to {entry.linkname!r}, outside of {TOP}/"
    return ""


def _escapes(name: str) -> bool:
    path = posixpath.normpath(name)
    return path != TOP and not path.startswith(f"{TOP}/")


def main() -> int:
    """Install the tarball that the command line names into the image that is being built."""
    places = release.Places("/")
    try:
        installed = install(sys.argv[1], places.release, places)
    except EntrypointError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    sys.stdout.write(f"installed release {installed.version}, ERTS {installed.erts}\n")
    return 0
