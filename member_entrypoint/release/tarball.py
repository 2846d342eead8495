"""Puts a release tarball in its place: when the image is built, or when `/member` holds one.

The tarball's `mongooseim/` is unpacked, and what changes at run time is moved out of it: `etc`, as
it came, becomes `etc.pristine`, and `etc`, `var` and `log` become links to folders that each start
fills. So a release can be on a read-only file system. `/usr/lib/mongooseim` is a link to the
release that counts, since a folder that an image brought cannot be renamed (overlayfs).
"""

import os
import posixpath
import re
import shutil
import sys
import tarfile
import zlib

from member_entrypoint.errors import ConfigurationError, EntrypointError
from member_entrypoint.places import Places
from member_entrypoint.release import active

TOP = "mongooseim"
OF_THE_MEMBER = "mongooseim-member-"
AS_MEMBER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "as-member.sh")
SHELL = re.compile(rb"#!.*\b(ba|da|k)?sh\b")
READ_AND_RUN = 0o500


def install(tarball: str, name: str, places: Places, later: Places) -> active.Release:
    """Unpack `tarball` as the folder `name` beside the link, make the link lead there.

    `later` are the places as the member will see them. Returns the release, as found behind the
    link. Raises `ConfigurationError` if it is no release, damaged, or if an entry would leave the
    folder; nothing is changed then.
    """
    root = os.path.join(os.path.dirname(places.release), name)
    unpacking = f"{root}.unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)
    try:
        os.makedirs(unpacking)
        _unpack(tarball, unpacking)
        unpacked = os.path.join(unpacking, TOP)
        found = active.find(unpacked)
        for program in (found.start_script, found.control_script):
            _run_as_member(program)
        os.rename(os.path.join(unpacked, "etc"), os.path.join(unpacked, active.PRISTINE))
        for folder, target in (
            ("etc", os.path.join(later.run, "etc")),
            ("var", os.path.join(later.run, "var")),
            ("log", later.log_now),
        ):
            shutil.rmtree(os.path.join(unpacked, folder), ignore_errors=True)
            os.symlink(target, os.path.join(unpacked, folder))
        shutil.rmtree(root, ignore_errors=True)
        os.rename(unpacked, root)
        _lead_to(name, places)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise ConfigurationError(f"{tarball} cannot be unpacked as a release: {error}") from None
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    return active.find(places.release)


def _lead_to(name: str, places: Places) -> None:
    temporary = f"{places.release}.link"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(name, temporary)
    os.replace(temporary, places.release)


def choose(places: Places) -> None:
    """See that the operator's release is the one that counts, if there is one, else the image's.

    A tarball is unpacked once, not at each start. Raises `ConfigurationError`.
    """
    tarball, now = places.tarball, places.release_name
    folder = os.path.dirname(places.release)
    if not os.path.exists(tarball):
        if now.startswith(OF_THE_MEMBER) and os.path.isdir(
            os.path.join(folder, active.OF_THE_IMAGE)
        ):
            _lead_to(active.OF_THE_IMAGE, places)
        return
    found = os.stat(tarball)
    name = f"{OF_THE_MEMBER}{found.st_size}-{found.st_mtime_ns}"
    if now == name:
        return
    if os.path.isdir(os.path.join(folder, name)):
        _lead_to(name, places)
    elif os.access(folder, os.W_OK):
        install(tarball, name, places, places)
    else:
        raise ConfigurationError(
            f"{tarball} cannot be unpacked, since {folder} is not writable; build an image from "
            "it instead (Dockerfile.member), or let the root file system be writable"
        )


def _unpack(tarball: str, folder: str) -> None:
    with tarfile.open(tarball, "r:gz") as archive:
        members = archive.getmembers()
        links = {entry.name.rstrip("/") for entry in members if entry.issym()}
        for entry in members:
            reason = _refused(entry, links)
            if reason:
                raise ConfigurationError(
                    f"{tarball} is not a release to be trusted: its entry {entry.name!r} {reason}"
                )
        for entry in members:
            # Everybody may read and run what its owner may: the member's user is not its owner.
            entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, "", ""
            shared = entry.mode & READ_AND_RUN
            entry.mode |= shared >> 3 | shared >> 6
        # Checked above. Not every Python that we run on has the filters of tarfile (PEP 706).
        options = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, members, **options)  # type: ignore[arg-type] # noqa: S202


def _run_as_member(program: str) -> None:
    """Have one of the release's shell scripts read `as-member.sh` first; see there.

    A line after the first, so that nothing else of the script counts: not what it calls, nor how
    it finds out where it is.
    """
    with open(program, "rb") as file:
        first, rest = file.readline(), file.read()
    if SHELL.match(first):
        with open(program, "wb") as file:
            file.write(first + f"[ ! -r {AS_MEMBER} ] || . {AS_MEMBER}\n".encode() + rest)


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
    """Install a tarball below a root folder, for the image that is being built; both are given."""
    tarball, root = sys.argv[1:]
    places = Places(root)
    try:
        os.makedirs(os.path.dirname(places.release), exist_ok=True)
        installed = install(tarball, active.OF_THE_IMAGE, places, Places("/"))
    except EntrypointError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    sys.stdout.write(f"installed release {installed.version}, ERTS {installed.erts}\n")
    return 0
