"""Saves rebar3's packages for the next build.

rebar3 refuses a package whose checksum is wrong instead of fetching it again, and it does not lock
its cache. So each build works on a copy of the cache. A build that succeeds saves the files that it
fetched, with a list of checksums; a file that does not match its checksum is fetched again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from builder_entrypoint.job import Job
from builder_entrypoint.lockfile import Lock
from builder_entrypoint.locks import locked
from builder_entrypoint.names import printable
from member_entrypoint.files.whole import write_whole

CHECKSUMS = "checksums.json"
MODE = 0o644


class PackageCache:
    """The packages of one build."""

    def __init__(self, job: Job) -> None:
        """Name the folders; `prepare` makes them."""
        self._cache = job.settings.cache / "rebar3"
        self._copy = job.work / "rebar3"
        self._active = job.settings.use_cache
        self._cached: set[str] = set()
        self._processes = job.processes

    def prepare(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Copy the cache for this build; return the variables that tell rebar3 where the copy is.

        Raises `StoppedError` when a stop is requested.
        """
        if "REBAR_CACHE_DIR" in environment:
            self._active = False
            return {}
        self._copy.mkdir()
        variables = {"REBAR_CACHE_DIR": str(self._copy)}
        if "HOME" in environment and "REBAR_GLOBAL_CONFIG_DIR" not in environment:
            # By default rebar3 looks for the user's hex keys in the cache (erlang/rebar3#2762).
            variables["REBAR_GLOBAL_CONFIG_DIR"] = environment["HOME"]
        if self._active:
            try:
                self._cache.mkdir(parents=True, exist_ok=True)
                with self._lock():
                    self._copy_files()
            except OSError as error:
                self._disable(error)
        return variables

    def has_all(self, lock: Lock) -> bool:
        """Tell whether the copy has all packages of the lock, with the checksums that it has."""
        found = {Path(name).name: name for name in self._cached}
        return all(
            (name := found.get(f"{package.name}-{package.version}.tar")) is not None
            and package.sha256 in {None, _digest(self._copy / name)}
            for package in lock.packages
        )

    def save(self) -> None:
        """Save the files that this build fetched. If that fails, the build goes on.

        Raises `StoppedError` when a stop is requested.
        """
        packages = {name for name in _files(self._copy) if name.endswith(".tar")}
        cached = len(packages & self._cached)
        count = self._processes.output.progress.count
        count("Hex packages", cached=cached, fetched=len(packages) - cached)
        if not self._active:
            return
        try:
            with self._lock():
                self._save_files()
        except OSError as error:
            self._disable(error)

    def _copy_files(self) -> None:
        for name, digest in self._checksums().items():
            self._processes.signals.check()
            source = self._cache / name
            if source.is_file() and _digest(source) == digest:
                target = self._copy / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                self._cached.add(name)
            else:
                source.unlink(missing_ok=True)
                self._processes.output.say(
                    f"the cached package file {printable(name)} is damaged and is fetched again"
                )

    def _save_files(self) -> None:
        checksums = self._checksums()
        for name in _files(self._copy):
            self._processes.signals.check()
            digest = _digest(self._copy / name)
            if checksums.get(name) != digest or not (self._cache / name).is_file():
                target = self._cache / name
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(target, (self._copy / name).read_bytes(), MODE)
                checksums[name] = digest
        write_whole(self._cache / CHECKSUMS, json.dumps(checksums, indent=1).encode(), MODE)

    def _checksums(self) -> dict[str, str]:
        """Return the SHA-256 of each saved file by its path; nothing if the list is unreadable."""
        try:
            read = json.loads((self._cache / CHECKSUMS).read_bytes())
        except (OSError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}

    def _lock(self) -> AbstractContextManager[int]:
        return locked(
            self._cache.with_suffix(".lock"),
            self._processes.signals.wait,
            lambda: self._processes.output.say("waiting for another build that copies packages"),
        )

    def _disable(self, error: OSError) -> None:
        self._active = False
        self._processes.output.say(f"building without cached packages: {error}")


def _files(folder: Path) -> Iterator[str]:
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
