"""rebar3's package cache between builds.

rebar3 refuses a package whose checksum is wrong instead of fetching it again, and nothing keeps two
builds from writing the same file. So each build works on a copy, and what a build that succeeded
has fetched is put back, file by file, with a list of checksums: what does not match is left out.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from builder_entrypoint.locks import locked
from builder_entrypoint.names import shown
from builder_entrypoint.processes import Processes
from builder_entrypoint.settings import Settings

CHECKSUMS = "checksums.json"


class PackageCache:
    """The packages that one build uses."""

    def __init__(self, settings: Settings, work: Path, processes: Processes) -> None:
        """Touch nothing yet."""
        self._kept = settings.cache / "rebar3"
        self._mine = work / "rebar3"
        self._active = settings.use_cache
        self._processes = processes

    def prepare(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Copy the kept packages for this build; return the variables that lead rebar3 to them.

        Raises `StoppedError` when a stop is asked for.
        """
        if "REBAR_CACHE_DIR" in environment:
            self._active = False
            return {}
        self._mine.mkdir()
        variables = {"REBAR_CACHE_DIR": str(self._mine)}
        if "HOME" in environment and "REBAR_GLOBAL_CONFIG_DIR" not in environment:
            # Without it rebar3 looks for the user's hex keys in the cache (erlang/rebar3#2762).
            variables["REBAR_GLOBAL_CONFIG_DIR"] = environment["HOME"]
        if self._active:
            try:
                self._kept.mkdir(parents=True, exist_ok=True)
                with self._lock():
                    self._copy_kept()
            except OSError as error:
                self._say_without(error)
        return variables

    def keep(self) -> None:
        """Put what this build fetched into the cache; that this fails is no failure of the build.

        Raises `StoppedError` when a stop is asked for.
        """
        if not self._active:
            return
        try:
            with self._lock():
                self._put_back()
        except OSError as error:
            self._say_without(error)

    def _copy_kept(self) -> None:
        for name, digest in self._checksums().items():
            self._processes.signals.check()
            source = self._kept / name
            if source.is_file() and _digest(source) == digest:
                target = self._mine / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            else:
                source.unlink(missing_ok=True)
                self._processes.output.say(
                    f"the cached package file {shown(name)} is damaged, it will be fetched again"
                )

    def _put_back(self) -> None:
        checksums = self._checksums()
        for name in _files(self._mine):
            self._processes.signals.check()
            digest = _digest(self._mine / name)
            if checksums.get(name) != digest or not (self._kept / name).is_file():
                target = self._kept / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _replace(target, (self._mine / name).read_bytes())
                checksums[name] = digest
        _replace(self._kept / CHECKSUMS, json.dumps(checksums, indent=1).encode())

    def _checksums(self) -> dict[str, str]:
        """Return the SHA-256 of each kept file by its path in the cache; none if unreadable."""
        try:
            read = json.loads((self._kept / CHECKSUMS).read_bytes())
        except (OSError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}

    def _lock(self) -> AbstractContextManager[int]:
        return locked(
            self._kept.with_suffix(".lock"),
            self._processes.signals.wait,
            lambda: self._processes.output.say("waiting for another build that copies packages"),
        )

    def _say_without(self, error: OSError) -> None:
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


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f"{target.name}.new")
    temporary.write_bytes(data)
    temporary.replace(target)
