"""Puts a release tarball in its place: when the image is built, or when `/member` holds one.

The tarball's `mongooseim/` is unpacked, and gets the folder that the server runs from
(`server_root`). What changes at run time is outside, so a release can be on a read-only file
system. `/usr/lib/mongooseim` is a link to the active release, since a folder that an image brought
cannot be renamed (overlayfs).
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from member_entrypoint.errors import ConfigurationError, EntrypointError
from member_entrypoint.places import Places
from member_entrypoint.release import active, server_root
from member_entrypoint.release.tree import FOLDER
from member_entrypoint.release.unpacking import TOP, unpack

OF_THE_MEMBER = "mongooseim-member-"
REPLACED = frozenset({active.SERVER, "var", "log"})


def install(tarball: str, name: str, places: Places, later: Places) -> active.Release:
    """Unpack `tarball` as the folder `name` beside the link, make the link lead there.

    `later` are the places as the member will see them. Returns the release, as found behind the
    link. Raises `ConfigurationError` if it is no release, damaged, or if an entry would leave the
    folder; nothing is changed then.
    """
    root = os.path.join(os.path.dirname(places.release), name)
    try:
        with _empty_folder(f"{root}.unpacking") as (folder, descriptor):
            unpack(tarball, folder, descriptor, replaced=REPLACED)
            unpacked = os.path.join(folder, TOP)
            active.find(unpacked)
            server_root.lay_out(unpacked, later)
            active.find(unpacked)  # a program may have been in `log`
            _replace(root, unpacked, os.path.join(folder, "replaced"))
        _lead_to(name, places)
    except (OSError, ValueError) as error:  # a zero byte in a version is a ValueError
        raise ConfigurationError(f"{tarball} cannot be unpacked as a release: {error}") from None
    return active.find(places.release)


@contextmanager
def _empty_folder(path: str) -> Iterator[tuple[str, int]]:
    """Make the folder `path`; yield it with its descriptor, and remove it at the end.

    What an earlier process left there is removed if it is a folder of the same user. Raises
    OSError, `ConfigurationError` if it is something else.
    """
    parent_path, name = os.path.split(path)
    os.makedirs(parent_path, exist_ok=True)
    parent = os.open(parent_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _is_our_folder(path, parent):
            shutil.rmtree(name, dir_fd=parent)
        os.mkdir(name, 0o700, dir_fd=parent)
        try:
            descriptor = os.open(name, FOLDER, dir_fd=parent)
            try:
                yield path, descriptor
            finally:
                os.close(descriptor)
        finally:
            shutil.rmtree(name, ignore_errors=True, dir_fd=parent)
    finally:
        os.close(parent)


def _is_our_folder(path: str, parent: int) -> bool:
    """Tell whether `path`, in the folder `parent`, is there; raises unless it is ours."""
    try:
        descriptor = os.open(os.path.basename(path), FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return False
    except OSError:
        raise ConfigurationError(f"{path} is not a folder: remove it") from None
    try:
        owner = os.fstat(descriptor).st_uid
    finally:
        os.close(descriptor)
    if owner != os.geteuid():
        raise ConfigurationError(f"{path} belongs to user {owner}: remove it")
    return True


def _replace(path: str, new: str, aside: str) -> None:
    """Make the folder `new` the folder `path`; if one is there, it goes to `aside`."""
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        pass
    except OSError:
        shutil.rmtree(path)  # overlayfs does not rename what an image brought
    os.rename(new, path)


def _lead_to(name: str, places: Places) -> None:
    temporary = f"{places.release}.link"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(name, temporary)
    os.replace(temporary, places.release)


def choose(places: Places) -> None:
    """Make the operator's release the active one, if there is one, else the image's.

    A tarball is unpacked once, not at each start. Raises `ConfigurationError`.
    """
    name = wanted(places)
    if is_to_be_unpacked(places, name):
        refuse_unwritable(places)
        install(places.tarball, name, places, places)
    elif name != places.release_name:
        _lead_to(name, places)


def wanted(places: Places) -> str:
    """Return the name of the folder that is to be the active release.

    That is the one of the operator's tarball, if there is one, else the image's.
    """
    now = places.release_name
    if os.path.exists(places.tarball):
        found = os.stat(places.tarball)
        return f"{OF_THE_MEMBER}{found.st_size}-{found.st_mtime_ns}"
    folder = os.path.dirname(places.release)
    of_image = os.path.isdir(os.path.join(folder, active.OF_THE_IMAGE))
    return active.OF_THE_IMAGE if now.startswith(OF_THE_MEMBER) and of_image else now


def is_to_be_unpacked(places: Places, name: str) -> bool:
    """Tell whether the `wanted` release is not there yet."""
    folder = os.path.join(os.path.dirname(places.release), name)
    return name.startswith(OF_THE_MEMBER) and not os.path.isdir(folder)


def refuse_unwritable(places: Places) -> None:
    """Refuse to unpack where that is not possible; raises `ConfigurationError`."""
    folder = os.path.dirname(places.release)
    if not os.access(folder, os.W_OK):
        raise ConfigurationError(
            f"{places.tarball} cannot be unpacked, since {folder} is not writable; build an image "
            "from it instead (Dockerfile.member), or let the root file system be writable"
        )


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
