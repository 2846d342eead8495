"""Locks between builds, and the leftovers of builds that were killed.

A lock is a flock on a file: the kernel lets go of it when whoever had it is dead, with all programs
that inherited it. So what can be locked has no owner, and can be cleaned.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

RETRY = 0.1  # seconds
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class TemporaryFile(NamedTuple):
    """A file under a name that will not last."""

    path: Path
    file: BinaryIO


def try_lock(path: Path, flags: int = _OPEN) -> int | None:
    """Lock the file `path`; return the descriptor, or None if another build has it.

    Raises `OSError` if there can be no such file.
    """
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # removed by whoever had it before us: once more


@contextlib.contextmanager
def locked(
    path: Path, wait: Callable[[float], None], waiting: Callable[[], None] | None = None
) -> Iterator[int]:
    """Hold the lock on the file or folder `path`, and give its descriptor.

    While another build has it, wait with `wait(seconds)`, after `waiting()` said so.
    """
    flags = _FOLDER if path.is_dir() else _OPEN
    descriptor = try_lock(path, flags)
    if descriptor is None and waiting:
        waiting()
    while descriptor is None:
        wait(RETRY)
        descriptor = try_lock(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def work_folder() -> Iterator[tuple[Path, int]]:
    """Give a new folder for a build, with its lock, and remove it afterwards.

    The path is the same each time unless several builds run at once, because compilers write it
    into what they make. Folders that dead builds left behind are removed. Raises `OSError`.
    """
    parent = Path(tempfile.gettempdir(), f"mongooseim-builder-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        parent.mkdir(mode=0o700)
    status = parent.lstat()
    if status.st_uid != os.getuid() or not parent.is_dir() or parent.is_symlink():
        raise FileExistsError(17, "belongs to somebody else", str(parent))
    _clean(parent)
    number = 1
    while (descriptor := try_lock(parent / f"{number}.lock")) is None:
        number += 1
    folder = parent / str(number)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder, descriptor
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (parent / f"{number}.lock").unlink(missing_ok=True)
        os.close(descriptor)


def _clean(parent: Path) -> None:
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(OSError):
            descriptor = try_lock(lock)
            if descriptor is not None:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
                os.close(descriptor)


def clean_files(folder: Path, prefix: str) -> None:
    """Remove the files in `folder` whose names begin with `prefix` and whose owners are dead."""
    for entry in os.scandir(folder):
        if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(OSError):
                descriptor = try_lock(Path(entry.path), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                if descriptor is not None:
                    os.unlink(entry.path)
                    os.close(descriptor)


@contextlib.contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[TemporaryFile]:
    """Give a new file in `folder`, locked so that `clean_files` of other builds leaves it alone.

    It has the permissions of an ordinary file, and is removed afterwards unless it was renamed.
    Raises `OSError`.
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


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
