"""Checks what a release consists of, before it is packed: the symbolic links in it above all.

A link is replaced by its target in the tarball. It may point to the build's own files, and to files
that everybody on this machine may read. Other files, such as /etc/shadow, must not get into a
tarball that people pass on. Folders of git are not packed, and so not checked.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder_entrypoint.errors import TarballError
from builder_entrypoint.names import printable

LEFT_OUT = ".git"
"""The name of what is not packed, wherever it is: rebar3 leaves it in dependencies from git."""
Identity = tuple[int, int]


@dataclass
class LeftOut:
    """What is not packed."""

    folders: int = 0
    size: int = 0
    """Bytes."""


@dataclass(frozen=True)
class _Checks:
    """What does not change while a release is checked."""

    release: Path
    source: Path
    check_stop: Callable[[], None]
    left_out: LeftOut = field(default_factory=LeftOut)


def check_links(release: Path, source: Path, check_stop: Callable[[], None]) -> LeftOut:
    """Check every link in `release`; links into `source`, the build's own folder, are allowed.

    Returns what is not packed. Raises `TarballError` for the first link that is not allowed, or any
    exception of `check_stop`, which is called for each folder.
    """
    checks = _Checks(release, Path(os.path.realpath(source)), check_stop)
    _check_folder(release, checks, (_identity(release.stat()),), own=_is_own(release, checks))
    return checks.left_out


def _check_folder(
    folder: Path, checks: _Checks, ancestors: tuple[Identity, ...], *, own: bool
) -> None:
    """Check the content of `folder`; `ancestors` are device and inode of it and its parents.

    `own` says that it is in the build's own folder: files in it are the build's, links may not be.
    """
    checks.check_stop()
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name == LEFT_OUT:
                checks.left_out.folders += 1
                checks.left_out.size += _size(Path(entry.path))
            elif not (own and entry.is_file(follow_symlinks=False)):
                # All else is rare: a few folders, fewer links. Most entries take no system call.
                _check_entry(Path(entry.path), checks, ancestors)


def _check_entry(path: Path, checks: _Checks, ancestors: tuple[Identity, ...]) -> None:
    name = printable(str(path.relative_to(checks.release.parent)))
    status = _status(path, name)
    own = _is_own(path, checks)
    if not own and not _readable_by_all(path, status):
        raise TarballError(
            f"packing failed: {name} leads to {printable(os.path.realpath(path))}, "
            "which is not a file of this build and not readable by everybody"
        )
    if stat.S_ISDIR(status.st_mode):
        if _identity(status) in ancestors:
            raise TarballError(f"packing failed: {name} leads back to a folder that it is in")
        _check_folder(path, checks, (*ancestors, _identity(status)), own=own)
    elif not stat.S_ISREG(status.st_mode):
        raise TarballError(f"packing failed: {name} is neither a file nor a folder")


def _is_own(path: Path, checks: _Checks) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(checks.source)


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


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


def _size(path: Path) -> int:
    """Return how many bytes the files in a folder have, or one file; links are not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(
        Path(parent, name).lstat().st_size for parent, _, names in os.walk(path) for name in names
    )
