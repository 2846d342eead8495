"""A bare mirror of one repository: what the cache keeps, or what one build makes for itself."""

import os
import re
import shutil
from pathlib import Path

from builder_entrypoint.errors import CommitNotFoundError, SourceError
from builder_entrypoint.git import Git

FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SHORT_HASH = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)
ASKED = "refs/builder/asked"
NEW = ("init", "--quiet", "--bare", "--")
HINT = "check the address, the network and the credentials"


class Mirror:
    """All branches and tags of a repository, and whatever else was asked for once."""

    def __init__(self, git: Git, folder: Path, repository: str) -> None:
        """`folder` may be missing; `repository` is what git fetches from."""
        self._git = git
        self.folder = folder
        self.repository = repository

    def find(self, commit: str) -> str:
        """Return the full hash of `commit`, fetching only if it is not here for certain.

        A hash never changes its meaning, so one that is here needs no network. Raises
        `SourceError`.
        """
        self._git.run_checked("clone failed", self.folder, *NEW, str(self.folder))
        if SHORT_HASH.fullmatch(commit) and not self._named(commit):
            found = self._hash(commit)
            if found:
                return found
        self._fetch(commit)
        found = self._resolve(commit)
        if not found and FULL_HASH.fullmatch(commit):
            # On no branch, as the commits of a pull request: many servers give it for its hash.
            asked = self._git.run(self.folder, *self._fetch_command(f"+{commit}:{ASKED}/{commit}"))
            found = self._hash(commit) if asked.succeeded else None
        if not found:
            raise CommitNotFoundError(
                f"checkout failed: {self.repository} has no branch, tag or commit {commit}: "
                "check its name; a pull request is refs/pull/N/head"
            )
        return found

    def is_sound(self) -> bool:
        """Whether all that is stored here can be read, and is what its hash says."""
        return (self.folder / "HEAD").exists() and self._git.run(
            self.folder, "fsck", "--full", "--no-dangling", "--no-progress"
        ).succeeded

    def clean(self) -> None:
        """Remove what a git that was killed left behind. Only for whoever has the lock."""
        for parent, _, files in os.walk(self.folder):
            objects = Path(parent).is_relative_to(self.folder / "objects")
            for name in files:
                if name.endswith(".lock") or name == "gc.pid" or (objects and name[:4] == "tmp_"):
                    Path(parent, name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _fetch_command(self, *references: str) -> list[str]:
        options = ["--no-write-fetch-head", "--no-tags", "--force"]
        return ["fetch", *options, "--", self.repository, *references]

    def _fetch(self, commit: str) -> None:
        references = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        if commit == "HEAD" or commit.startswith("refs/"):
            references.append(f"+{commit}:{ASKED}/{commit}")
        command = self._fetch_command(*references)
        command.insert(1, "--prune")
        ended = self._git.run(self.folder, *command)
        if ended.succeeded:
            return
        if "find remote ref" in ended.last_line:
            raise CommitNotFoundError(f"checkout failed: {self.repository} has no {commit}")
        raise SourceError(
            f"clone failed: git fetch from {self.repository} {ended.outcome()}: {HINT}",
            ended,
        )

    def _named(self, commit: str) -> bool:
        return any(self._hash(f"refs/{kind}/{commit}") for kind in ("heads", "tags"))

    def _resolve(self, commit: str) -> str | None:
        candidates = [
            f"{ASKED}/{commit}",
            f"refs/heads/{commit}",
            f"refs/heads/{commit.removeprefix('origin/')}",
            f"refs/tags/{commit}",
            commit,
        ]
        if FULL_HASH.fullmatch(commit):
            candidates.insert(0, commit)
        return next(filter(None, map(self._hash, candidates)), None)

    def _hash(self, name: str) -> str | None:
        return self._git.query(
            self.folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"
        )
