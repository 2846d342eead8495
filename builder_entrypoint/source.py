"""Checks the source of one commit out into a folder, from the cache or from the repository."""

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from builder_entrypoint.errors import CommitNotFoundError, SourceError
from builder_entrypoint.git import Git
from builder_entrypoint.locks import locked
from builder_entrypoint.masking import without_credentials
from builder_entrypoint.mirror import Mirror
from builder_entrypoint.names import safe_name
from builder_entrypoint.processes import Processes
from builder_entrypoint.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Source:
    """A commit that is checked out."""

    folder: Path
    """The folder of its files, with the repository in `.git`."""
    commit_hash: str
    """The full hash of the commit."""
    description: str
    """What `git describe --always` says."""
    time: int
    """The time of the commit, seconds since 1970."""


def fetch_source(
    settings: Settings, work: Path, processes: Processes, environment: Mapping[str, str]
) -> Source:
    """Check the commit out into a folder in `work`. Raises `SourceError`, `StoppedError`."""
    git = Git(processes, environment)
    folder = _cache_folder(settings, processes)
    if folder is None:
        mirror = Mirror(git, work / "mirror.git", settings.repository)
        return _check_out(git, mirror, settings.commit, work / "source")
    mirror = Mirror(git, folder / _mirror_name(settings.repository), settings.repository)
    with _lock(mirror, processes) as lock, processes.holding(lock):
        return _from_cache(git, mirror, settings.commit, work / "source", processes)


def _from_cache(
    git: Git, mirror: Mirror, commit: str, folder: Path, processes: Processes
) -> Source:
    """Check out from the cached mirror; replace the mirror if it is damaged."""
    existed = mirror.folder.exists()
    mirror.clean()
    try:
        return _check_out(git, mirror, commit, folder)
    except CommitNotFoundError:
        raise
    except SourceError:
        if not existed or mirror.is_intact():
            raise
    processes.output.say(f"the cache {mirror.folder} is damaged, making it anew")
    mirror.remove()
    shutil.rmtree(folder, ignore_errors=True)
    return _check_out(git, mirror, commit, folder)


def _check_out(git: Git, mirror: Mirror, commit: str, folder: Path) -> Source:
    """Clone the mirror into `folder` and check the commit out."""
    commit_hash = mirror.find(commit)
    clone = ("clone", "--quiet", "--no-checkout", "--origin", "origin", "--")
    git.run_checked("clone failed", None, *clone, str(mirror.folder), str(folder))
    repository = folder / ".git"
    address = without_credentials(mirror.repository)
    git.run_checked("clone failed", repository, "remote", "set-url", "origin", "--", address)
    git.run_checked("checkout failed", repository, "checkout", "--detach", commit_hash, "--")
    description = git.query(repository, "describe", "--always")
    time = git.query(repository, "show", "--no-patch", "--format=%ct", commit_hash, "--")
    if not description or not time:
        raise SourceError(f"checkout failed: git cannot describe {commit_hash}")
    return Source(folder=folder, commit_hash=commit_hash, description=description, time=int(time))


def _cache_folder(settings: Settings, processes: Processes) -> Path | None:
    """Return the folder for mirrors; None if there is no cache."""
    if not settings.use_cache:
        return None
    folder = settings.cache / "git"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        processes.output.say(f"building without a cache: {folder}: {error.strerror}")
        return None
    return folder


def _mirror_name(repository: str) -> str:
    """Return the name of the repository's mirror; it is the same with other credentials."""
    address = without_credentials(repository)
    key = hashlib.sha256(address.encode(errors="surrogateescape")).hexdigest()[:16]
    name = safe_name(address.rstrip("/").rpartition("/")[2].removesuffix(".git"))
    return f"{name}-{key}.git"


def _lock(mirror: Mirror, processes: Processes) -> AbstractContextManager[int]:
    return locked(
        mirror.folder.with_suffix(".lock"),
        processes.signals.wait,
        lambda: processes.output.say("waiting for another build that fetches this repository"),
    )
