"""The mirrors of all repositories that one build needs, in the cache or in its work folder."""

import errno
import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from builder_entrypoint.errors import CommitNotFoundError, SourceError
from builder_entrypoint.git import Git
from builder_entrypoint.locks import locked
from builder_entrypoint.masking import without_credentials
from builder_entrypoint.mirror import Mirror
from builder_entrypoint.names import safe_name
from builder_entrypoint.processes import Processes
from builder_entrypoint.settings import Settings

FULL_DISK = ("No space left on device", "Disk quota exceeded")
Result = TypeVar("Result")


class Mirrors:
    """Makes, locks and mends mirrors."""

    def __init__(
        self, settings: Settings, work: Path, processes: Processes, environment: Mapping[str, str]
    ) -> None:
        """Take the work folder of the build, where mirrors go if there is no cache."""
        self.git = Git(processes, environment)
        self._processes = processes
        self._work = work / "mirrors"
        self._cache: Path | None = settings.cache / "git" if settings.use_cache else None
        self._make_cache()

    def use(self, repository: str, action: Callable[[Mirror], Result]) -> Result:
        """Call `action` with the mirror of a repository, and return what it returns.

        It is called again if the mirror turns out to be damaged, or the disk of the cache full.
        Raises what `action` raises, and `StoppedError`.
        """
        name = _mirror_name(repository)
        if self._cache is not None:
            mirror = Mirror(self.git, self._cache / name, repository)
            try:
                with self._lock(mirror) as lock, self._processes.holding(lock):
                    result = self._from_cache(mirror, action)
                self._count(mirror)
                return result  # noqa: TRY300 - only what uses the cache may fail here
            except (OSError, SourceError) as error:
                if not _is_disk_full(error):
                    raise
                self._without_cache(self._cache, "the disk is full")
        self._work.mkdir(exist_ok=True)
        mirror = Mirror(self.git, self._work / name, repository)
        result = action(mirror)
        self._count(mirror)
        return result

    def _from_cache(self, mirror: Mirror, action: Callable[[Mirror], Result]) -> Result:
        """Call `action` with the cached mirror; replace the mirror if it is damaged."""
        existed = mirror.folder.exists()
        mirror.clean()
        try:
            return action(mirror)
        except CommitNotFoundError:
            raise
        except SourceError as error:
            if _is_disk_full(error):
                # What this build has added is of no use, and takes the room of the tarball.
                mirror.clean() if existed else mirror.remove()
                raise
            if not existed or mirror.is_intact():
                raise
        self._processes.output.say(f"the cache {mirror.folder} is damaged, making it anew")
        mirror.remove()
        return action(mirror)

    def _count(self, mirror: Mirror) -> None:
        self._processes.output.progress.count(
            "git repositories", cached=not mirror.fetched, fetched=mirror.fetched
        )

    def _make_cache(self) -> None:
        if self._cache is None:
            return
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._without_cache(self._cache, str(error.strerror))

    def _without_cache(self, folder: Path, why: str) -> None:
        self._processes.output.say(f"building without a cache: {folder}: {why}")
        self._cache = None

    def _lock(self, mirror: Mirror) -> AbstractContextManager[int]:
        return locked(
            mirror.folder.with_suffix(".lock"),
            self._processes.signals.wait,
            lambda: self._processes.output.say(
                "waiting for another build that fetches this repository"
            ),
        )


def _mirror_name(repository: str) -> str:
    """Return the name of the repository's mirror; it is the same with other credentials."""
    address = without_credentials(repository)
    key = hashlib.sha256(address.encode(errors="surrogateescape")).hexdigest()[:16]
    name = safe_name(address.rstrip("/").rpartition("/")[2].removesuffix(".git"))
    return f"{name}-{key}.git"


def _is_disk_full(error: OSError | SourceError) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return error.ended is not None and error.ended.mentions(*FULL_DISK)
