"""Checks the symbolic links in a release, which are replaced by their targets in the tarball.

A link may point to the build's own files, and to files that everybody on this machine may read.
Other files, such as /etc/shadow, must not get into a tarball that people pass on.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from builder_entrypoint.errors import TarballError
from builder_entrypoint.names import printable


def check_links(release: Path, source: Path, check_stop: Callable[[], None]) -> None:
    """Check every link in `release`; links into `source`, the build's own folder, are allowed.

    Raises `TarballError` for the first link that is not allowed, or any exception of `check_stop`,
    which is called for each folder.
    """
    status = release.stat()
    ancestors = ((status.st_dev, status.st_ino),)
    _check_folder(release, release, Path(os.path.realpath(source)), ancestors, check_stop)


def _check_folder(
    folder: Path,
    release: Path,
    source: Path,
    ancestors: tuple[tuple[int, int], ...],
    check_stop: Callable[[], None],
) -> None:
    """Check the content of `folder`; `ancestors` are device and inode of it and its parents."""
    check_stop()
    for path in sorted(folder.iterdir()):
        name = printable(str(path.relative_to(release.parent)))
        status = _status(path, name)
        own = Path(os.path.realpath(path)).is_relative_to(source)
        if not own and not _readable_by_all(path, status):
            raise TarballError(
                f"packing failed: {name} leads to {printable(os.path.realpath(path))}, "
                "which is not a file of this build and not readable by everybody"
            )
        if stat.S_ISDIR(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            if identity in ancestors:
                raise TarballError(f"packing failed: {name} leads back to a folder that it is in")
            _check_folder(path, release, source, (*ancestors, identity), check_stop)
        elif not stat.S_ISREG(status.st_mode):
            raise TarballError(f"packing failed: {name} is neither a file nor a folder")


def _status(path: Path, name: str) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        link = f" is a link to {printable(os.readlink(path))}, which" if path.is_symlink() else ""
        raise TarballError(
            f"packing failed: {name}{link} cannot be followed: {error.strerror}"
        ) from error


def _readable_by_all(path: Path, status: os.stat_result) -> bool:
    if not status.st_mode & stat.S_IROTH:
        return False
    real = Path(os.path.realpath(path))
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
