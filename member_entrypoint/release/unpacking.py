"""Unpacks a release tarball that anybody could have written; only its folder is written to.

Each name is walked from folder to folder by descriptors, and no name goes through a link, whatever
was unpacked before. Links are judged at the end, in the tree that is there: one may lead through
another that comes later. tarfile only parses; its filter for data (Python 3.11.4) is asked where
there is one, as a second opinion: it cannot know the entries that come later.
"""

import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.release import archive
from member_entrypoint.release.archive import DamagedError, RefusedError, shown
from member_entrypoint.release.links import OUTSIDE, Links
from member_entrypoint.release.tree import Path, Tree

TOP = "mongooseim"
READ_AND_RUN = 0o500
PERMISSIONS = 0o755  # no setuid, setgid or sticky bit; nobody but the owner writes
LATEST = 1 << 33  # seconds since 1970 that every file system can store as a time
INSPECTED = 16 << 20  # bytes of a file that `inspect` hands on: the largest configuration
NOWHERE = "/nonexistent"  # where `inspect` would unpack to: Debian sees to it that it is not there
NOT_A_FILE = "which was not unpacked before it as a file"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
WHAT_TO_DO = (
    "build the tarball anew with the builder image, or pack the folder of a release with "
    "tar --dereference"
)
# What tarfile raises for headers that make no sense: not all of it is a TarError.
_UNREADABLE = (
    OSError,
    EOFError,
    tarfile.TarError,
    zlib.error,
    struct.error,
    ValueError,
    ArithmeticError,
    LookupError,
    RecursionError,
    DamagedError,
)


class Limits(NamedTuple):
    """What an archive may have at most: some hundred times what a release has."""

    entries: int = 200_000
    """Entries, and folders, of which the names of entries may mention more than there are."""
    size: int = 4 << 30
    """Bytes when unpacked, headers included."""
    name: int = 1000
    """Bytes of a name, or of where a link leads."""
    depth: int = 64
    """Folders within folders."""


LIMITS = Limits()


def unpack(
    tarball: str,
    folder: str,
    descriptor: int,
    *,
    replaced: frozenset[str] = frozenset(),
    limits: Limits = LIMITS,
) -> None:
    """Unpack the folder `mongooseim` of `tarball` into the empty `folder`, open as `descriptor`.

    `replaced` are names in `mongooseim` that the caller replaces afterwards: no link may lead
    through them and back. Others may read and run what the owner may; all belongs to this process.
    Raises `ConfigurationError`; parts may lie in `folder` then.
    """
    with (
        _refusals(tarball),
        archive.opened(tarball, limits.size) as reader,
        Tree(descriptor) as tree,
    ):
        unpacking = _Unpacking(reader, tree, folder, limits)
        for entry in archive.entries(reader):
            unpacking.place(entry)
        if TOP not in os.listdir(descriptor):
            raise RefusedError(f"has no folder {TOP}/")
        unpacking.finish(Links(tree, replaced))


def inspect(
    tarball: str, visit: Callable[[Path, tarfile.TarInfo, bytes], None], *, limits: Limits = LIMITS
) -> None:
    """Read a tarball to its end as `unpack` does, and write nothing.

    `visit` gets the path of each entry, its headers, and the first `INSPECTED` bytes of a file.
    Where links lead is not judged, since that shows only in a tree. Raises `ConfigurationError`.
    """
    with _refusals(tarball), archive.opened(tarball, limits.size) as reader:
        judge = _Judge(reader, NOWHERE, limits)
        found = False
        for entry in archive.entries(reader):
            path = judge.judged(entry)
            found = found or path[:1] == (TOP,)
            content = b""
            for piece in reader.content(entry) if entry.isreg() else ():
                if len(content) < INSPECTED:
                    content += piece[: INSPECTED - len(content)]
            visit(path, entry, content)
        if not found:
            raise RefusedError(f"has no folder {TOP}/")


@contextmanager
def _refusals(tarball: str) -> Iterator[None]:
    """Make of each reason not to unpack a tarball the error that names it."""
    try:
        yield
    except RefusedError as error:
        raise ConfigurationError(
            f"{tarball} is not a release to be trusted: it {error}; {WHAT_TO_DO}"
        ) from None
    except _EntryError as error:
        raise ConfigurationError(
            f"{tarball} is not a release to be trusted: its entry {shown(error.name)} {error}; "
            f"{WHAT_TO_DO}"
        ) from None
    except _UNREADABLE as error:
        raise ConfigurationError(
            f"{tarball} cannot be unpacked as a release: {error}; see that there is room on the "
            "disk, then copy or build the tarball anew"
        ) from None


class _EntryError(Exception):
    """Why an entry is not unpacked; its text follows the entry's name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class _Judge:
    """Judges entries by themselves, without the tree that they make."""

    def __init__(self, reader: archive.Reader, folder: str, limits: Limits) -> None:
        self._reader = reader
        self._folder = folder
        self._limits = limits
        self._judged: set[Path] = set()
        self._seen = 0

    def judged(self, entry: tarfile.TarInfo) -> Path:
        """Return the path of an entry, empty for `./`, as `tar -C FOLDER .` has it.

        Raises `RefusedError` or `_EntryError`.
        """
        self._seen += 1
        self._count(self._seen)
        _check_kind(entry)
        path = self._path(entry.name, entry.name)
        if not path and entry.isdir():
            return path
        if path[:1] != (TOP,):
            raise _EntryError(entry.name, f"is outside of {TOP}/")
        if len(path) == 1 and not entry.isdir():
            raise _EntryError(entry.name, "is not a folder")
        if entry.issym() or entry.islnk():
            self._check_link(entry)
        self._ask_tarfile(entry, path[:-1])
        return path

    def _count(self, entries: int) -> None:
        if entries > self._limits.entries:
            raise RefusedError(
                f"has more than {self._limits.entries:,} entries, the most that a release may"
            )

    def _path(self, name: str, entry: str) -> Path:
        """Return `name` as its parts; raises `_EntryError` if it is not one of ours."""
        try:
            length = len(os.fsencode(name))
        except UnicodeEncodeError:
            raise _EntryError(entry, "has a name that no file can have") from None
        parts = tuple(part for part in name.split("/") if part not in {"", "."})
        if length > self._limits.name:
            raise _EntryError(entry, f"has a name of more than {self._limits.name:,} bytes")
        if len(parts) > self._limits.depth:
            raise _EntryError(entry, f"is more than {self._limits.depth} folders deep")
        if "\0" in name:
            raise _EntryError(entry, "has a name that no file can have")
        if name.startswith("/") or ".." in parts:
            raise _EntryError(entry, f"is outside of {TOP}/, or goes back by '..'")
        return parts

    def _check_link(self, entry: tarfile.TarInfo) -> None:
        target = entry.linkname
        if not target or "\0" in target:
            raise _link_error(entry.name, target, "which no file can be called")
        if len(os.fsencode(target)) > self._limits.name:
            raise _link_error(
                entry.name, target, f"a name of more than {self._limits.name:,} bytes"
            )
        if target.startswith("/"):
            raise _link_error(entry.name, target, OUTSIDE)

    def _ask_tarfile(self, entry: tarfile.TarInfo, folder: Path) -> None:
        """Have tarfile's own filter judge the entry, where this Python has it.

        Of the files in one folder only the first is asked about: what the filter looks at is where
        the folder is, which no later entry changes, and it takes longer than writing a file.
        """
        data_filter = getattr(tarfile, "data_filter", None)
        if not data_filter or (entry.isreg() and folder in self._judged):
            return
        try:
            data_filter(entry, self._folder)
        except tarfile.TarError as error:
            raise _EntryError(entry.name, f"is refused by Python: {error}") from None
        if entry.isreg():
            self._judged.add(folder)


class _Unpacking(_Judge):
    """Unpacks entries that were judged."""

    def __init__(self, reader: archive.Reader, tree: Tree, folder: str, limits: Limits) -> None:
        super().__init__(reader, folder, limits)
        self._tree = tree
        self._times: dict[Path, float] = {}

    def place(self, entry: tarfile.TarInfo) -> None:
        """Unpack one entry."""
        self._count(self._tree.made)
        path = self.judged(entry)
        if not path:
            return
        try:
            if entry.isdir():
                self._tree.folder(path, make=True)
                self._times[path] = entry.mtime
            elif entry.issym():
                folder = self._tree.folder(path[:-1], make=True)
                os.symlink(entry.linkname, path[-1], dir_fd=folder)
            elif entry.islnk():
                self._link(entry, path)
            else:
                self._write(entry, path)
        except FileExistsError:
            raise _EntryError(entry.name, "is there twice, and not as a file each time") from None
        except NotADirectoryError:
            raise _EntryError(
                entry.name, "is, or is reached through, a link or a file that came before"
            ) from None

    def finish(self, links: Links, folder: Path = (TOP,)) -> None:
        """Judge all links, and give the folders their permissions and times."""
        with os.scandir(self._tree.folder(folder)) as found:
            entries = list(found)
        for each in entries:
            if each.is_symlink():
                target = os.readlink(each.name, dir_fd=self._tree.folder(folder))
                if reason := links.refused(folder, target):
                    raise _link_error("/".join((*folder, each.name)), target, reason)
            elif each.is_dir():
                self.finish(links, (*folder, each.name))
        descriptor = self._tree.folder(folder)
        os.fchmod(descriptor, PERMISSIONS)
        if folder in self._times:
            _set_time(descriptor, self._times[folder])

    def _link(self, entry: tarfile.TarInfo, path: Path) -> None:
        """Make a hard link to a file that was unpacked before."""
        try:
            target = self._path(entry.linkname, entry.name)
        except _EntryError:
            target = ()
        if target[:1] != (TOP,):
            raise _link_error(entry.name, entry.linkname, OUTSIDE)
        try:
            folder = os.dup(self._tree.folder(target[:-1]))
        except (FileNotFoundError, NotADirectoryError):
            raise _link_error(entry.name, entry.linkname, NOT_A_FILE) from None
        try:
            if not stat.S_ISREG(_mode_of(folder, target[-1])):
                raise _link_error(entry.name, entry.linkname, NOT_A_FILE)
            os.link(
                target[-1],
                path[-1],
                src_dir_fd=folder,
                dst_dir_fd=self._tree.folder(path[:-1], make=True),
                follow_symlinks=False,
            )
        finally:
            os.close(folder)

    def _write(self, entry: tarfile.TarInfo, path: Path) -> None:
        """Make a file; one of the same name that came before is replaced."""
        folder = self._tree.folder(path[:-1], make=True)
        try:
            descriptor = os.open(path[-1], NEW_FILE, 0o600, dir_fd=folder)
        except FileExistsError:
            if not stat.S_ISREG(_mode_of(folder, path[-1])):
                raise
            os.unlink(path[-1], dir_fd=folder)
            descriptor = os.open(path[-1], NEW_FILE, 0o600, dir_fd=folder)
        try:
            for piece in self._reader.content(entry):
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, _mode(entry.mode))
            _set_time(descriptor, entry.mtime)
        finally:
            os.close(descriptor)


def _check_kind(entry: tarfile.TarInfo) -> None:
    if entry.issparse():
        raise _EntryError(entry.name, "is a sparse file: pack it without --sparse")
    if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
        raise _EntryError(entry.name, "is neither a file, a folder nor a link")


def _link_error(name: str, target: str, reason: str) -> _EntryError:
    return _EntryError(name, f"is a link to {shown(target)}, {reason}")


def _mode(mode: int) -> int:
    """Return the permissions that an entry gets: others may read and run what its owner may."""
    shared = mode & READ_AND_RUN
    return (mode | shared >> 3 | shared >> 6) & PERMISSIONS


def _mode_of(folder: int, name: str) -> int:
    """Return type and permissions of a name, zero if it is not there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def _set_time(descriptor: int, time: float) -> None:
    time = min(LATEST, max(0, time))  # in this order a time that is no number becomes 0
    os.utime(descriptor, (time, time))
