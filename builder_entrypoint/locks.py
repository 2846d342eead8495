"""Locks between builds, and removal of what killed builds left behind.

A lock is a flock on a file. The kernel releases it when the build that holds it, and all programs
that inherited it, have ended. So files and folders whose lock is free have no owner, and may be
removed.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from builder_entrypoint.errors import BuildError

RETRY_INTERVAL = 0.1  # seconds
_OPEN_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class TemporaryFile(NamedTuple):
    """A file that is removed unless it is renamed."""

    path: Path
    file: BinaryIO


def try_lock(path: Path, flags: int = _OPEN) -> int | None:
    """Lock the file `path`; return its descriptor, or None if another build holds the lock.

    Raises `OSError` if the file cannot be opened with `flags`.
    """
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the previous owner has removed the file: try again


@contextlib.contextmanager
def locked(
    path: Path, wait: Callable[[float], None], on_wait: Callable[[], None] | None = None
) -> Iterator[int]:
    """Hold the lock on the file or folder `path`; give its descriptor.

    While another build holds it, `wait(seconds)` is called again and again, and `on_wait()` once
    before. Raises `OSError` if `path` cannot be opened, or any exception of `wait`.
    """
    flags = _OPEN_FOLDER if path.is_dir() else _OPEN
    descriptor = try_lock(path, flags)
    if descriptor is None and on_wait:
        on_wait()
    while descriptor is None:
        wait(RETRY_INTERVAL)
        descriptor = try_lock(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def work_folder() -> Iterator[tuple[Path, int]]:
    """Give an empty folder for a build, and its lock's descriptor; remove the folder afterwards.

    Compilers write the path into the release, so it is the same each time unless several builds run
    at once. Folders of builds that were killed are removed. Raises `BuildError`.
    """
    try:
        parent = parent_folder()
        _remove_orphaned_folders(parent)
        number = 1
        while (descriptor := try_lock(parent / f"{number}.lock")) is None:
            number += 1
        folder = parent / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    except OSError as error:
        raise BuildError(f"cannot make a work folder: {error}") from error
    try:
        if os.statvfs(folder).f_flag & os.ST_NOEXEC:
            raise BuildError(
                f"no program can be run in {folder}, because its file system is mounted noexec: "
                "mount it without that, or set TMPDIR to another folder"
            )
        yield folder, descriptor
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (parent / f"{number}.lock").unlink(missing_ok=True)
        os.close(descriptor)


def parent_folder() -> Path:
    """Make and return the folder of all work folders of this user. Raises `OSError`."""
    parent = Path(tempfile.gettempdir(), f"mongooseim-builder-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        parent.mkdir(mode=0o700)
    status = parent.lstat()
    if status.st_uid != os.getuid() or not parent.is_dir() or parent.is_symlink():
        reason = "is not a folder of the user who runs the build"
        raise FileExistsError(errno.EEXIST, reason, str(parent))
    return parent


def _remove_orphaned_folders(parent: Path) -> None:
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(OSError):
            descriptor = try_lock(lock)
            if descriptor is not None:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
                os.close(descriptor)


def remove_orphaned_files(folder: Path, prefix: str) -> None:
    """Remove the files in `folder` whose names begin with `prefix` and whose locks are free.

    Raises `OSError` if the folder cannot be read.
    """
    for entry in os.scandir(folder):
        if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(OSError):
                descriptor = try_lock(Path(entry.path), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                if descriptor is not None:
                    os.unlink(entry.path)
                    os.close(descriptor)


@contextlib.contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[TemporaryFile]:
    """Give a new file in `folder`, locked so that `remove_orphaned_files` does not remove it.

    Its permissions follow the umask. It is removed afterwards unless it was renamed. Raises
    `OSError`.
    """
    descriptor = None
    while descriptor is None:
        path = folder / f"{prefix}{secrets.token_hex(8)}"
        descriptor = try_lock(path, _OPEN | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield TemporaryFile(path, file)
    finally:
        path.unlink(missing_ok=True)


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
