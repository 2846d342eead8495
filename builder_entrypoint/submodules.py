"""Fills the submodules of a source with the commits that it names, through mirrors."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from builder_entrypoint.errors import SourceError
from builder_entrypoint.git import Git
from builder_entrypoint.masking import with_credentials
from builder_entrypoint.mirror import Mirror
from builder_entrypoint.mirrors import Mirrors

GITLINK = "160000 "
HINT = "--no-submodules builds without them"


class Submodule(NamedTuple):
    """A submodule of a repository."""

    path: str
    address: str
    commit: str


def populate(folder: Path, repository: str, mirrors: Mirrors) -> None:
    """Check out the submodules of the repository in `folder`, and theirs.

    Those on the server of `repository` are fetched with its credentials. Raises `SourceError`,
    `StoppedError`.
    """
    for submodule in _submodules(folder, mirrors.git):
        address = with_credentials(submodule.address, repository)
        try:
            mirrors.use(address, partial(_update, mirrors.git, folder, submodule))
        except SourceError as error:
            raise SourceError(
                f"{error}; it is the submodule {submodule.path}: {HINT}", error.ended
            ) from error
        populate(folder / submodule.path, repository, mirrors)


def _submodules(folder: Path, git: Git) -> Iterator[Submodule]:
    """Yield the submodules that `.gitmodules` has; for git, too, others are empty folders."""
    listed = git.query(None, "ls-files", "--stage", "-z", inside=folder) or ""
    links = [entry for entry in listed.split("\0") if entry.startswith(GITLINK)]
    if not links:
        return
    git.run_checked("checkout failed", None, "submodule", "--quiet", "init", inside=folder)
    paths = _values(git, folder, "--file=.gitmodules", "path")
    addresses = _values(git, folder, "--local", "url")  # relative ones are absolute here
    by_path = {path: addresses[name] for name, path in paths.items() if name in addresses}
    for link in links:
        words, _, path = link.partition("\t")
        if path in by_path:
            yield Submodule(path, by_path[path], words.split()[1])


def _values(git: Git, folder: Path, file: str, key: str) -> dict[str, str]:
    """Return the values of `submodule.NAME.KEY` in a configuration file, by NAME."""
    pattern = rf"^submodule\..*\.{key}$"
    read = git.query(None, "config", file, "-z", "--get-regexp", pattern, inside=folder) or ""
    entries = (entry.partition("\n") for entry in read.split("\0") if entry)
    return {
        name.removeprefix("submodule.").removesuffix(f".{key}"): value for name, _, value in entries
    }


def _update(git: Git, folder: Path, submodule: Submodule, mirror: Mirror) -> None:
    mirror.find(submodule.commit)
    options = (
        *("-c", f"url.{mirror.folder}.insteadOf={submodule.address}"),
        # A mirror is a folder, which git does not take for a submodule unless it is told to.
        *("-c", "protocol.file.allow=always"),
    )
    update = ("submodule", "--quiet", "update", "--", submodule.path)
    git.run_checked("checkout failed", None, *options, *update, inside=folder)
