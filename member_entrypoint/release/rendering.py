"""Renders the configuration that the server reads, in its run-time `etc`, at each start.

The sources (`sources`) are not changed. Node name, cookie, Mnesia folder and log folder are always
the container's.
"""

import contextlib
import itertools
import os
from collections.abc import Mapping

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import folders, record, users
from member_entrypoint.files.whole import UNFINISHED, remove, write_whole
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places
from member_entrypoint.release import given_etc, sources
from member_entrypoint.release.active import Release
from member_entrypoint.release.app_config import app_config
from member_entrypoint.release.flags import BYTE_ORDER_MARK
from member_entrypoint.release.sources import unusable_error
from member_entrypoint.release.vm_args import check_environment, vm_args
from member_entrypoint.settings import Settings

WRITTEN = ".written"  # the record of what we wrote, beside the server's `etc`
EDITED = ".edited"  # the folder for what others wrote there


class Rendered(NamedTuple):
    """All that the server's `etc` shall have: the content of files, and links, by name."""

    files: dict[str, bytes]
    links: dict[str, str]


def render(release: Release, places: Places, settings: Settings, node: str) -> Rendered:
    """Return the configuration of `release` for `node`; nothing is written.

    The same input gives the same files, however often. Raises `ConfigurationError` naming file and
    reason where one cannot be read.
    """
    check_environment(settings.vm_flags)
    found = sources.find(release, places)
    files = {}
    for name, source in sorted(found.files.items()):
        given = sources.read(source, places)
        files[name] = render_one(name, source, given, places=places, settings=settings, node=node)
    return Rendered(files, found.links)


def render_one(  # noqa: PLR0913 - what a file is made of
    name: str, source: str, given: bytes, *, places: Places, settings: Settings, node: str
) -> bytes:
    """Return the file `name` of the server's `etc`; its `source` has the content `given`.

    Raises `ConfigurationError`.
    """
    if name == "vm.args":
        text = sources.decode(given, source)
        return vm_args(text, settings.node_type, node, settings.cluster_cookie).encode()
    if name == "app.config":
        text = sources.decode(given, source)
        return app_config(text, places.mnesia(node), places.log_now).encode()
    if name in sources.CONFIGURATIONS:
        return given.removeprefix(BYTE_ORDER_MARK.encode())
    return given


def write(release: Release, places: Places, rendered: Rendered) -> list[str]:
    """Write what is `rendered` into the server's `etc`; make the folders that the server needs.

    Nothing is left there of an earlier life; what was edited there since is kept beside it, and a
    warning is returned for it. Raises `ConfigurationError`.
    """
    for folder in (places.data, os.path.join(places.run, "var/lock/ctl"), release.etc):
        _make_folder(os.path.realpath(folder))
    _choose_log_folder(places)
    for stale in (release.status_file, release.pid_file):
        _remove(stale)
    etc = os.path.realpath(release.etc)
    _refuse_mounts(etc, places)
    warnings = [_keep(path, places) for path in _edited(etc, rendered)]
    for name, content in rendered.files.items():
        _write(os.path.join(etc, name), content)
    for name in set(os.listdir(etc)).difference(rendered.files):
        if _is_folder(os.path.join(etc, name)):
            _keep(os.path.join(etc, name), places)
        else:
            _remove(os.path.join(etc, name))
    for name, target in rendered.links.items():
        os.symlink(target, os.path.join(etc, name))
    note(release)
    return warnings


def take_in(release: Release, places: Places, before: Mapping[str, given_etc.Kept]) -> None:
    """Let the server read what bootstrap scripts have written, wherever that was.

    They write into the server's `etc`, or into that of the release, whose `given_etc.contents` were
    those of `before`. Raises `ConfigurationError`.
    """
    try:
        written, new = given_etc.put_back(release, places, before)
    except OSError as error:
        raise unusable_error(release.given_etc, "written", error) from None
    for name, content in written.items():
        _write(os.path.join(release.etc, name), content)
    for name in new:
        if not os.path.lexists(os.path.join(release.etc, name)):
            os.symlink(os.path.join(release.given_etc, name), os.path.join(release.etc, name))
    note(release)


def note(release: Release) -> None:
    """Note what is in the server's `etc`, to know at the next start what was edited since.

    Raises `ConfigurationError`.
    """
    etc = os.path.realpath(release.etc)
    try:
        marks = {name: {mark} for name, mark in _fingerprints(etc).items()}
        record.write(etc + WRITTEN, marks)
    except OSError as error:
        raise unusable_error(etc + WRITTEN, "written", error) from None


def _fingerprints(etc: str) -> dict[str, str]:
    """Return a mark for each name in the server's `etc`, which tells what is there."""
    marks = {}
    for entry in os.scandir(etc):
        if entry.is_symlink():
            marks[entry.name] = _link(os.readlink(entry.path))
        elif entry.is_file():
            with open(entry.path, "rb") as file:
                marks[entry.name] = record.fingerprint(file.read())
        else:
            marks[entry.name] = "folder"
    return marks


def _link(target: str) -> str:
    return f"link-{record.fingerprint(os.fsencode(target))}"


def _edited(etc: str, rendered: Rendered) -> list[str]:
    """Return the paths of all that is in `etc`, and neither from us nor what we shall write."""
    written = record.read(etc + WRITTEN)
    if written is None:
        return []
    ours = {name: record.fingerprint(content) for name, content in rendered.files.items()}
    ours |= {name: _link(target) for name, target in rendered.links.items()}
    return [
        os.path.join(etc, name)
        for name, mark in sorted(_fingerprints(etc).items())
        if not name.endswith(UNFINISHED) and mark not in {*written.get(name, ()), ours.get(name)}
    ]


def _keep(path: str, places: Places) -> str:
    """Move what was edited out of the server's `etc`; return the warning that says so."""
    folder, name = os.path.split(path)
    kept = os.path.join(folder + EDITED, name)
    try:
        os.makedirs(folder + EDITED, mode=0o700, exist_ok=True)
        if _is_folder(kept):
            import shutil  # 10 modules, on the way to the VM's start

            shutil.rmtree(kept)
        elif _is_folder(path):
            remove(kept)
        os.rename(path, kept)
    except OSError as error:
        raise unusable_error(kept, "written", error) from None
    # Of /member only some files are taken.
    of_member = name in sources.TAKEN_FROM_MEMBER
    place = places.member if of_member else os.path.join(places.release, "etc")
    return (
        f"{path} was edited, and is written anew at each start: what it was is {kept} now; to have "
        f"it count, put it into {place}"
    )


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _refuse_mounts(etc: str, places: Places) -> None:
    """Refuse to write where somebody has mounted something."""
    inside = (
        os.path.join(folder, name)
        for folder, *names in os.walk(etc)
        for name in itertools.chain(*names)
    )
    for path in itertools.chain((etc,), inside):
        if folders.is_mounted(path, places.run):
            raise ConfigurationError(
                f"{path} is a mount, and the files there are written anew at each start; mount it "
                f"in {places.member}, or in {os.path.join(places.release, 'etc')}"
            )


def _choose_log_folder(places: Places) -> None:
    """Have the server log where operators look; where that cannot be written, beside `etc`."""
    with contextlib.suppress(OSError):
        os.makedirs(places.log, exist_ok=True)
    usable = users.can_write(places.log)
    if os.path.islink(places.log_now) and not usable:
        _remove(places.log_now)
    if not os.path.lexists(places.log_now):
        try:
            if usable:
                os.symlink(places.log, places.log_now)
            else:
                os.mkdir(places.log_now)
        except OSError as error:
            raise unusable_error(places.log_now, "made", error) from None


def _write(path: str, content: bytes) -> None:
    """Write a file that may hold secrets: only its owner can read it."""
    try:
        write_whole(path, content, 0o600)
    except OSError as error:
        raise unusable_error(path, "written", error) from None


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise unusable_error(path, "removed", error) from None


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise unusable_error(path, "made", error) from None
