"""Checks the source of one commit out into a folder, from the cache or from the repository."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from builder_entrypoint.errors import CommitNotFoundError, SourceError
from builder_entrypoint.git import Git
from builder_entrypoint.masking import without_credentials
from builder_entrypoint.mirror import Mirror
from builder_entrypoint.mirrors import Mirrors
from builder_entrypoint.names import printable
from builder_entrypoint.processes import Processes
from builder_entrypoint.settings import Settings
from builder_entrypoint.submodules import populate

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
LFS_NAMES = 3  # names of pointers that are listed


@dataclass(frozen=True, kw_only=True)
class Source:
    """A commit that is checked out."""

    folder: Path
    """The folder of its files, with the repository in `.git`."""
    name: str
    """The name of the commit: what was asked for, or the repository's default branch."""
    commit_hash: str
    """The full hash of the commit."""
    description: str
    """What `git describe --always` says."""
    time: int
    """The time of the commit, seconds since 1970."""


def fetch_source(settings: Settings, work: Path, mirrors: Mirrors, processes: Processes) -> Source:
    """Check the commit out into a folder in `work`. Raises `SourceError`, `StoppedError`."""
    folder = work / "source"
    source = mirrors.use(
        settings.repository, lambda mirror: _check_out(settings, mirror, mirrors, folder, processes)
    )
    if settings.submodules:
        populate(folder, settings.repository, mirrors)
    _report_lfs_pointers(folder, mirrors, processes)
    return source


def _check_out(
    settings: Settings, mirror: Mirror, mirrors: Mirrors, folder: Path, processes: Processes
) -> Source:
    """Clone the mirror into `folder` and check the commit out."""
    git = mirrors.git
    phase = processes.output.progress.phase
    with phase("clone"):
        name, commit_hash = _find(settings, mirror, processes)
        _clone(git, mirror, commit_hash, folder)
    repository = folder / ".git"
    with phase("checkout"):
        git.run_checked("checkout failed", repository, "checkout", "--detach", commit_hash, "--")
    description = git.query(repository, "describe", "--always")
    time = git.query(repository, "show", "--no-patch", "--format=%ct", commit_hash, "--")
    if not description or not time:
        raise SourceError(f"checkout failed: git cannot describe {commit_hash}")
    return Source(
        folder=folder,
        name=name,
        commit_hash=commit_hash,
        description=description,
        time=int(time),
    )


def _clone(git: Git, mirror: Mirror, commit_hash: str, folder: Path) -> None:
    """Clone the mirror into `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    clone = ("clone", "--quiet", "--no-checkout", "--origin", "origin", "--")
    git.run_checked("clone failed", None, *clone, str(mirror.folder), str(folder))
    repository = folder / ".git"
    if mirror.is_shallow:  # git clones only branches and tags of such a repository
        fetch = ("fetch", "--quiet", "--update-shallow", "--", str(mirror.folder), commit_hash)
        git.run_checked("clone failed", repository, *fetch)
    address = without_credentials(mirror.repository)
    git.run_checked("clone failed", repository, "remote", "set-url", "origin", "--", address)


def _find(settings: Settings, mirror: Mirror, processes: Processes) -> tuple[str, str]:
    """Return the name and the full hash of the commit to build."""
    try:
        return settings.commit, mirror.find(settings.commit)
    except CommitNotFoundError:
        default = None if settings.commit_given else mirror.default_branch()
        if default is None:
            raise
    processes.output.say(
        f"{mirror.repository} has no branch {settings.commit}: building {default}, its default"
    )
    return default, mirror.find(default)


def _report_lfs_pointers(folder: Path, mirrors: Mirrors, processes: Processes) -> None:
    """Say which files are pointers of Git LFS, whose content is elsewhere."""
    listed = mirrors.git.query(
        folder / ".git", "ls-files", "-z", "--", ":(top,attr:filter=lfs)", inside=folder
    )
    pointers = [name for name in (listed or "").split("\0") if name and _is_pointer(folder / name)]
    if pointers:
        names = ", ".join(printable(name) for name in pointers[:LFS_NAMES])
        more = f" and {len(pointers) - LFS_NAMES} more" if len(pointers) > LFS_NAMES else ""
        processes.output.say(
            f"the content of {names}{more} is in Git LFS, and is not fetched: "
            "the build finds pointers instead"
        )


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False
