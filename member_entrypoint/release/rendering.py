"""Renders the configuration that the server reads, in its run-time `etc`, at each start.

The sources (`sources`) are not changed. Node name, cookie, Mnesia folder and log folder are always
the container's.
"""

import contextlib
import os
from collections.abc import Mapping

from member_entrypoint.files import users
from member_entrypoint.files.whole import write_whole
from member_entrypoint.places import Places
from member_entrypoint.release import sources
from member_entrypoint.release.active import Release
from member_entrypoint.release.app_config import app_config
from member_entrypoint.release.flags import BYTE_ORDER_MARK
from member_entrypoint.release.sources import unusable_error
from member_entrypoint.release.vm_args import vm_args
from member_entrypoint.settings import Settings


def render(release: Release, places: Places, settings: Settings, node: str) -> dict[str, bytes]:
    """Return all configuration files of `release` for `node`, by name; nothing is written.

    The same input gives the same files, however often. Raises `ConfigurationError` naming file and
    reason where one cannot be read.
    """
    files = {}
    for name in sources.names(release.pristine, places.member):
        source = sources.source(release, places, name)
        if name == "vm.args":
            text = sources.read_text(source, places)
            content = vm_args(text, settings.node_type, node, settings.cluster_cookie).encode()
        elif name == "app.config":
            text = sources.read_text(source, places)
            content = app_config(text, places.mnesia(node), places.log_now).encode()
        else:
            content = sources.read(source, places).removeprefix(BYTE_ORDER_MARK.encode())
        files[name] = content
    return files


def write(release: Release, places: Places, files: Mapping[str, bytes]) -> None:
    """Write `files` into the run-time `etc`, and make the folders that the server needs.

    Nothing is left of an earlier life. Raises `ConfigurationError`.
    """
    for folder in (places.data, os.path.join(places.run, "var/lock/ctl"), release.etc):
        _make_folder(os.path.realpath(folder))
    _choose_log_folder(places)
    for stale in (release.status_file, release.pid_file):
        _remove(stale)
    for name, content in files.items():
        _write(os.path.join(release.etc, name), content)
    for name in set(os.listdir(release.etc)).difference(files):
        _remove(os.path.join(release.etc, name))


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
