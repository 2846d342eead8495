"""Where symbolic links in a release lead: the tarball holds what they point to.

A link may lead to the build's own files, and to files that everybody on this machine can read
anyway. A tarball that is handed around must not hold anything else, like /etc/shadow.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from builder_entrypoint.errors import TarballError
from builder_entrypoint.names import shown


def check_links(release: Path, source: Path, check_stop: Callable[[], None]) -> None:
    """Check every link in `release`; those into `source`, the build's own folder, are all fine.

    Raises `TarballError` that names the first that is not; `check_stop` is called now and then.
    """
    inside = Path(os.path.realpath(source))
    status = release.stat()
    _check_folder(release, release, inside, ((status.st_dev, status.st_ino),), check_stop)


def _check_folder(
    folder: Path,
    release: Path,
    inside: Path,
    above: tuple[tuple[int, int], ...],
    check_stop: Callable[[], None],
) -> None:
    """Check what is in `folder`, which `above` (device, inode of each) has led to."""
    check_stop()
    for path in sorted(folder.iterdir()):
        name = shown(str(path.relative_to(release.parent)))
        status = _status(path, name)
        own = Path(os.path.realpath(path)).is_relative_to(inside)
        if not own and not _readable_by_all(path, status):
            raise TarballError(
                f"packing failed: {name} leads to {shown(os.path.realpath(path))}, "
                "which is no file of this build and not everybody may read it"
            )
        if stat.S_ISDIR(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                raise TarballError(f"packing failed: {name} leads back to a folder that it is in")
            _check_folder(path, release, inside, (*above, identity), check_stop)
        elif not stat.S_ISREG(status.st_mode):
            raise TarballError(f"packing failed: {name} is neither a file nor a folder")


def _status(path: Path, name: str) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        link = f" is a link to {shown(os.readlink(path))}, which" if path.is_symlink() else ""
        raise TarballError(
            f"packing failed: {name}{link} cannot be followed: {error.strerror}"
        ) from error


def _readable_by_all(path: Path, status: os.stat_result) -> bool:
    if not status.st_mode & stat.S_IROTH:
        return False
    real = Path(os.path.realpath(path))
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
