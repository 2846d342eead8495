"""Gives a complete tarball its name, with its checksum and its description beside it."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from builder_entrypoint import VERSION
from builder_entrypoint.errors import TarballError
from builder_entrypoint.lockfile import read_lock
from builder_entrypoint.locks import locked, temporary_file, try_lock
from builder_entrypoint.masking import Mask
from builder_entrypoint.processes import Processes
from builder_entrypoint.progress import Progress
from builder_entrypoint.provenance import Facts, bill_of_materials, provenance
from builder_entrypoint.settings import Settings
from builder_entrypoint.source import Source
from builder_entrypoint.tarball import TEMPORARY, Packed
from builder_entrypoint.versions import (
    applications,
    carried_libraries,
    mongooseim_version,
    otp_version,
)

TIME_FORMAT = "%Y-%m-%d_%H%M%S"


class Built(NamedTuple):
    """What a build has made."""

    source: Source
    release: Path
    packed: Packed


def publish(settings: Settings, built: Built, processes: Processes) -> Path:
    """Give the tarball its name, write what describes it beside it, and return its path.

    A tarball of the same TARBALL_NAME is replaced; files beside a tarball always belong to it.
    Raises `TarballError`, or `StoppedError` before the first file gets its name.
    """
    try:
        with locked(settings.builds, processes.signals.wait), ExitStack() as stack:
            stem = _free_stem(settings)
            target = settings.builds / f"{stem}.tar.gz"
            facts = _facts(settings, built, target, processes.output.progress)
            texts = {
                ".tar.gz.sha256": f"{built.packed.sha256}  {target.name}\n",
                ".json": _json(_describe(settings, built, facts)),
                ".provenance.json": _json(provenance(facts)),
                ".cdx.json": _json(bill_of_materials(facts)),
            }
            companions = {}
            for ending, text in texts.items():
                path = settings.builds / f"{stem}{ending}"
                temporary = stack.enter_context(temporary_file(settings.builds, TEMPORARY))
                temporary.file.write(text.encode())
                temporary.file.flush()
                os.fsync(temporary.file.fileno())
                companions[path] = temporary.path
            processes.signals.check()
            with _older_files(target, *companions) as older:
                _rename(built.packed.path, target, companions, older)
    except OSError as error:
        raise TarballError(
            f"packing failed: cannot name the tarball in {settings.builds}: {error.strerror}"
        ) from error
    return target


def _rename(
    temporary: Path, target: Path, companions: dict[Path, Path], older: dict[Path, Path]
) -> None:
    """Rename the tarball, and its companions from their temporary names, the dictionary's values.

    The companions of an older tarball are removed first, so that they never stand beside this one.
    If a name cannot be given, the older files get theirs back from `older`.
    """
    named = []
    try:
        for path in companions:
            path.unlink(missing_ok=True)
        for path, source in {target: temporary, **companions}.items():
            source.rename(path)
            named.append(path)
    except OSError:
        for path in named:
            path.unlink()
        for path, kept in older.items():
            with contextlib.suppress(OSError):  # what was in the way may still be there
                kept.rename(path)
        raise
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _older_files(*paths: Path) -> Iterator[dict[Path, Path]]:
    """Give second names of the files that have the names `paths`; they are removed afterwards.

    Where files cannot have a second name, there are none.
    """
    kept: dict[Path, Path] = {}
    descriptors = []
    try:
        for path in paths:
            name = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
            with contextlib.suppress(OSError):
                name.hardlink_to(path)
                kept[path] = name
                descriptors.append(try_lock(name))  # so that no other build removes it
        yield kept
    finally:
        for name in kept.values():
            name.unlink(missing_ok=True)
        for descriptor in filter(None, descriptors):
            os.close(descriptor)


def _free_stem(settings: Settings) -> str:
    """Return a name without `.tar.gz`; if it contains the time, no other tarball has it."""
    time = datetime.now().astimezone()
    stem = settings.stem(time.strftime(TIME_FORMAT))
    while settings.tarball_name is None and _is_taken(settings.builds, stem):
        time += timedelta(seconds=1)
        stem = settings.stem(time.strftime(TIME_FORMAT))
    return stem


def _is_taken(builds: Path, stem: str) -> bool:
    return any(os.path.lexists(builds / f"{stem}{end}") for end in (".tar.gz", ".json"))


def _facts(settings: Settings, built: Built, target: Path, progress: Progress) -> Facts:
    return Facts(
        tarball=target.name,
        sha256=built.packed.sha256,
        project=settings.project,
        repository=settings.repository,
        asked_for=settings.commit,
        commit=built.source.commit_hash,
        commit_time=built.source.time,
        configure_arguments=settings.configure_arguments,
        version=mongooseim_version(built.release),
        otp_version=otp_version(),
        architecture=settings.architecture or os.uname().machine,
        applications=applications(built.release),
        lock=read_lock(built.source.folder),
        started=progress.started,
        finished=datetime.now().astimezone(),
    )


def _describe(settings: Settings, built: Built, facts: Facts) -> dict[str, object]:
    """Return our own description; see docs/builder.md for the two others."""
    return {
        "project": facts.project,
        "repository": Mask(settings.repository).text(settings.repository),
        "asked_for": facts.asked_for,
        "commit": facts.commit,
        "description": built.source.description,
        "mongooseim_version": facts.version,
        "otp_version": facts.otp_version,
        "architecture": settings.architecture,
        "shared_libraries": carried_libraries(built.release),
        "time": facts.finished.isoformat(timespec="seconds"),
        "tarball": facts.tarball,
        "size": built.packed.size,
        "sha256": facts.sha256,
        "builder_version": VERSION,
    }


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, indent=2) + "\n"
