"""The builds that run in this container: listed, and stopped.

Each build notes in the file that locks its work folder what it builds, and which process it is.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from builder_entrypoint.locks import parent_folder
from builder_entrypoint.masking import Mask
from builder_entrypoint.settings import Settings

STOP_TIMEOUT = 30.0
"""Seconds that a build may take to end; it kills its compilers after 2 s."""
CHECK_INTERVAL = 0.05  # seconds between checks whether builds have ended


class Build(NamedTuple):
    """A build that runs."""

    process: psutil.Process
    project: str
    text: str
    """Project, commit and repository, without credentials."""

    def describe(self) -> str:
        """Return what it builds, since when, and its process id."""
        began = datetime.fromtimestamp(self.process.create_time()).astimezone()
        return f"{self.text}, since {began:%Y-%m-%d %H:%M:%S}, process {self.process.pid}"


def note_build(settings: Settings, lock: int) -> None:
    """Write into the lock file, whose descriptor is `lock`, what is built. Raises `OSError`."""
    process = psutil.Process()
    text = f"{settings.project} {settings.commit} {settings.repository}"
    note = {
        "pid": process.pid,
        "began": process.create_time(),
        "project": settings.project,
        "text": Mask(settings.repository).text(text),
    }
    os.truncate(lock, 0)
    os.pwrite(lock, json.dumps(note).encode(), 0)


def list_builds(say: Callable[[str], None]) -> int:
    """Say which builds run; return the exit status."""
    found = list(_running())
    for build in found:
        say(build.describe())
    if not found:
        say("no build is running")
    return 0


def stop_builds(project: str | None, say: Callable[[str], None]) -> int:
    """Stop all builds, or those of `project`; return the exit status.

    That is 0 if none of them runs any more, also if none did; 1 if one has not ended in time.
    """
    found = [build for build in _running() if project in {None, build.project}]
    if not found:
        say("no build is running" if project is None else f"no build of {project} is running")
    for build in found:
        say(f"stopping {build.describe()}")
        build.process.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT
    alive = found
    while alive and time.monotonic() < deadline:
        time.sleep(CHECK_INTERVAL)
        alive = [build for build in alive if _is_alive(build.process)]
    for build in alive:
        say(f"process {build.process.pid} has not ended after {STOP_TIMEOUT:.0f} s")
    return 1 if alive else 0


def _running() -> Iterator[Build]:
    """Yield the builds of this user that have the same folder for temporary files."""
    for lock in sorted(parent_folder().glob("*.lock")):
        build = _read(lock)
        if build is not None:
            yield build


def _read(lock: Path) -> Build | None:
    """Return the build that has noted itself in a lock file; None if it does not run any more."""
    try:
        note = json.loads(lock.read_bytes())
        process = psutil.Process(note["pid"])
        if not _is_alive(process) or process.create_time() != note["began"]:
            return None  # another process may have its id by now
        return Build(process, note["project"], note["text"])
    except (OSError, ValueError, LookupError, TypeError, psutil.Error):
        return None


def _is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that nobody has asked for its status does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
