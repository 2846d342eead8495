"""The release's own `etc`, and what in it is the operator's.

What they mounted on it, copied or moved into it counts as configuration, and is never changed. The
other files are the release's. The folder in the image is the member's own: where it can be written
these files show what the server reads, as operators of the shell images expect, and scripts may
write there, too. Two records in it tell whose a file is.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping

from member_entrypoint.files import folders, mounts, record, users
from member_entrypoint.files.whole import UNFINISHED, remove, write_whole
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places
from member_entrypoint.release.active import OF_THE_IMAGE, Release

OURS = ".shown"  # what we have written into it
SEEN = ".seen"  # what was in it after the last start of this container
LARGEST = 1 << 20  # bytes of a file that a script may write there


def found(release: Release, places: Places) -> Iterator[tuple[Release, str]]:
    """Yield each name in `etc` that counts: the operator's files, and all that is no file.

    It comes with the release that it is in: the active one, and before that the image's, and what
    is mounted in another one. Docker mounts what an operator wants to have in
    `/usr/lib/mongooseim/etc` in the release that was active before.
    """
    image = os.path.join(os.path.dirname(places.release), OF_THE_IMAGE)
    others = [other for other, _ in mounted_elsewhere(release, places)]
    for other in (Release(root, "", "") for root in dict.fromkeys((image, *others))):
        if os.path.isdir(other.server) and not os.path.samefile(other.root, release.root):
            for name in _found_in(other, places):
                if other.root == image or _is_mounted(other, name, places):
                    yield other, name
    for name in _found_in(release, places):
        yield release, name


def mounted_elsewhere(release: Release, places: Places) -> list[tuple[str, str]]:
    """Return what is mounted in releases that are not the active one: release, path in it."""
    folder = os.path.dirname(places.release)
    prefix = os.path.join(os.path.realpath(folder), "mongooseim-")
    active = os.path.realpath(release.root)
    found = []
    for point in mounts.points():
        name, _, path = point.removeprefix(prefix).partition("/")
        if point.startswith(prefix) and path and prefix + name != active:
            found.append((os.path.join(folder, f"mongooseim-{name}"), path))
    return found


def unseen(release: Release, places: Places) -> list[str]:
    """Return a warning for each mount in another release, but for those in its `etc`."""
    return [
        f"nobody reads {os.path.join(root, path)}: it was mounted there before {release.root} "
        "became another release; restart the container, which mounts it in that one"
        for root, path in mounted_elsewhere(release, places)
        if path.split("/")[0] != "etc"
    ]


def _is_mounted(release: Release, name: str, places: Places) -> bool:
    return folders.is_mounted(os.path.join(release.given_etc, name), places.root)


def _found_in(release: Release, places: Places) -> Iterator[str]:
    ours = record.read(os.path.join(release.given_etc, OURS)) or {}
    for name in _names(release.given_etc):
        path = os.path.join(release.given_etc, name)
        if not os.path.isfile(path) or _is_operators(release, name, ours.get(name, set()), places):
            yield name


def _names(folder: str) -> list[str]:
    """Return what is in a folder, without what Kubernetes and we have there for a moment only."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(
        name
        for name in names
        if name not in {OURS, SEEN} and not name.startswith("..") and not name.endswith(UNFINISHED)
    )


def _is_operators(release: Release, name: str, ours: set[str], places: Places) -> bool:
    """Tell whether a file is the operator's: neither as the release came, nor written by us."""
    pristine = os.path.join(release.pristine, name)
    if not os.path.isfile(pristine):
        return True
    try:
        content = _read(os.path.join(release.given_etc, name), places)
    except OSError:
        return True
    if _read(pristine, places) == content:
        return False
    # A record may have come with the folder, from the container that an operator copied it from.
    return record.fingerprint(content) not in ours or _is_mounted(release, name, places)


def _read(path: str, places: Places) -> bytes:
    with open(users.open_to_read(path, places), "rb") as file:
        return file.read()


def changes(release: Release, places: Places) -> list[str]:
    """Return a warning for each file that was put or edited there while the container ran."""
    before = record.read(os.path.join(release.given_etc, SEEN))
    if before is None:
        return []
    marks = _fingerprints(release, places)
    changed = [name for name, mark in marks.items() if mark not in before.get(name, set())]
    operators = set(_found_in(release, places)) if changed else set()
    return [
        f"{os.path.join(release.given_etc, name)} was changed in this container since its last "
        "start, and counts as configuration now; a new container will not have it: mount it there"
        for name in changed
        if name in operators
    ]


def _fingerprints(release: Release, places: Places) -> dict[str, str]:
    """Return a mark for each file in `etc` that is not mounted there: what is in it now.

    The same to root as to the member's user: of what that one may not read, and of what is large,
    size and time of change tell.
    """
    marks = {}
    for name in _names(release.given_etc):
        path = os.path.join(release.given_etc, name)
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode) and not _is_mounted(release, name, places):
                marks[name] = f"{status.st_size}-{status.st_mtime_ns}"
                if status.st_size <= LARGEST:
                    with open(users.open_as_member(path, places), "rb") as file:
                        marks[name] = record.fingerprint(file.read(LARGEST))
    return marks


def show(release: Release, places: Places, files: Mapping[str, bytes]) -> None:
    """Let the files of `etc` that are the release's show what the server reads: `files`.

    Where the folder is mounted or cannot be written, nothing happens. The record comes first: a
    start that is killed in between leaves nothing that would count as the operator's.
    """
    if not can_be_changed(release, places):
        return
    before = _fingerprints(release, places)
    operators = set(_found_in(release, places))
    shown = {name: files[name] for name in files if name in before and name not in operators}
    marks = {name: record.fingerprint(content) for name, content in shown.items()}
    with contextlib.suppress(OSError):
        ours = {name: {before[name], mark} for name, mark in marks.items()}
        record.write(os.path.join(release.given_etc, OURS), ours)
        for name, content in shown.items():
            if marks[name] != before[name]:
                # Another user than the folder's may make files there, but not replace these.
                with contextlib.suppress(OSError):
                    write_whole(os.path.join(release.given_etc, name), content, 0o600)
                    before[name] = marks[name]
        seen = {name: {mark} for name, mark in before.items()}
        record.write(os.path.join(release.given_etc, SEEN), seen)


def can_be_changed(release: Release, places: Places) -> bool:
    """Tell whether `etc` is the container's own, and this user may write there."""
    etc = release.given_etc
    return (
        not os.path.islink(etc)
        and not folders.is_mounted(etc, places.root)
        and os.access(etc, os.W_OK)
    )


class Kept(NamedTuple):
    """What a name in `etc` was: the content and mode of a file, and where it leads if a link."""

    content: bytes | None
    mode: int
    link: str


def contents(release: Release) -> dict[str, Kept]:
    """Return what is in `etc`, by name; without content for what is no file, large, or secret."""
    found = {}
    for name in _names(release.given_etc):
        path = os.path.join(release.given_etc, name)
        content, mode, link = None, 0, ""
        with contextlib.suppress(OSError):
            link = os.readlink(path) if os.path.islink(path) else ""
            status = os.stat(path)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
                with open(path, "rb") as file:
                    content = file.read()
        found[name] = Kept(content, mode, link)
    return found


def put_back(
    release: Release, places: Places, before: Mapping[str, Kept]
) -> tuple[dict[str, bytes], list[str]]:
    """Make `etc` what it was when its `contents` were those of `before`.

    So the next start begins from the same; but what is mounted is the operator's, and folders stay.
    Returns what scripts have written since, and the names of new folders. Raises OSError.
    """
    now = contents(release)
    written = {
        name: kept.content
        for name, kept in now.items()
        if kept.content is not None and kept.content != getattr(before.get(name), "content", None)
    }
    if can_be_changed(release, places):
        for name in {*written, *(before.keys() - now.keys())}:
            path = os.path.join(release.given_etc, name)
            if not folders.is_mounted(path, places.root):
                _restore(path, before.get(name))
    new = [name for name in now if name not in before and now[name].content is None]
    return written, new


def _restore(path: str, kept: Kept | None) -> None:
    """Make a file of `etc` what it was: a link, a file, or none; raises OSError."""
    if kept is None or kept.link:
        remove(path)
    if kept and kept.link:
        os.symlink(kept.link, path)
    elif kept and kept.content is not None:
        write_whole(path, kept.content, kept.mode)
