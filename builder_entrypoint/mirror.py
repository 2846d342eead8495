"""A bare mirror of one repository, in the cache or in the work folder of one build."""

import hashlib
import os
import re
import shutil
from pathlib import Path

from builder_entrypoint.errors import CommitNotFoundError, SourceError
from builder_entrypoint.git import Git

FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SHORT_HASH = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)
REQUESTED = "refs/builder/requested"
INIT = ("init", "--quiet", "--bare", "--")
HINT = "check the address, the network and the credentials"
PARTIAL = (
    "it is a partial clone, and the files that it lacks cannot be fetched: build from the address "
    "that it was cloned from, or from a full clone"
)


class Mirror:
    """All branches and tags of a repository, and the other commits that builds have requested."""

    def __init__(self, git: Git, folder: Path, repository: str) -> None:
        """Take the folder, which may be missing, and the address or path that git fetches from."""
        self._git = git
        self.folder = folder
        self.repository = repository
        self.fetched = False
        """Whether the repository was asked, since the mirror had not all that was needed."""

    def find(self, commit: str) -> str:
        """Return the full hash of `commit`; make or update the mirror where necessary.

        A commit that is named by its hash and is in the mirror needs no network. Raises
        `SourceError`, or `CommitNotFoundError` if the repository has no such commit.
        """
        self._git.run_checked("clone failed", self.folder, *INIT, str(self.folder))
        if SHORT_HASH.fullmatch(commit) and not self._is_branch_or_tag(commit):
            found = self._hash(commit)
            if found:
                return found
        self._fetch(commit)
        found = self._resolve(commit)
        if not found and FULL_HASH.fullmatch(commit):
            # Many servers also send commits that are on no branch, such as those of pull requests.
            reference = f"+{commit}:{REQUESTED}/{commit}"
            ended = self._git.run(self.folder, *self._fetch_command(reference))
            found = self._hash(commit) if ended.succeeded else None
        if not found:
            raise self._not_found(commit)
        return found

    def find_pinned(self, name: str) -> str:
        """Return the full hash of a commit or tag; the repository is asked only if it is missing.

        Raises `SourceError`, or `CommitNotFoundError` if the repository has no such commit.
        """
        tag = self._hash(f"refs/tags/{name}") if self.folder.exists() else None
        return tag or self.find(name)

    def default_branch(self) -> str | None:
        """Ask the repository for the name of its default branch, or `HEAD` if that has no name.

        None if it cannot be read, or has no commit.
        """
        answer = self._git.query(None, "ls-remote", "--symref", "--", self.repository, "HEAD")
        found = re.match(r"ref: refs/heads/(\S+)\s+HEAD$", answer or "", re.MULTILINE)
        return found[1] if found else "HEAD" if answer else None

    @property
    def is_shallow(self) -> bool:
        """Whether the mirror lacks the older part of the history, because the repository does."""
        return (self.folder / "shallow").exists()

    def is_intact(self) -> bool:
        """Tell whether every object in the mirror can be read and matches its hash."""
        return (self.folder / "HEAD").exists() and self._git.run(
            self.folder, "fsck", "--full", "--no-dangling", "--no-progress"
        ).succeeded

    def clean(self) -> None:
        """Remove the lock files and temporary files of killed gits; requires the mirror's lock."""
        for parent, _, files in os.walk(self.folder):
            objects = Path(parent).is_relative_to(self.folder / "objects")
            for name in files:
                if name.endswith(".lock") or name == "gc.pid" or (objects and name[:4] == "tmp_"):
                    Path(parent, name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the mirror."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _fetch_command(self, *references: str) -> list[str]:
        options = ["--quiet", "--no-write-fetch-head", "--no-tags", "--force"]
        # Without this, git refuses the branches of a shallow repository, with a warning only.
        options.append("--update-shallow")
        if self.is_shallow:
            options.append("--unshallow")  # by now the repository may have more of its history
        return ["fetch", *options, "--", self.repository, *references]

    def _fetch(self, commit: str) -> None:
        references = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        if commit == "HEAD" or commit.startswith("refs/"):
            references.append(f"+{commit}:{_requested(commit)}")
        command = self._fetch_command(*references)
        command.insert(1, "--prune")
        self.fetched = True
        ended = self._git.run(self.folder, *command)
        if ended.succeeded:
            return
        if "find remote ref" in ended.last_line:
            self._git.run(self.folder, "update-ref", "-d", _requested(commit))
            raise CommitNotFoundError(f"checkout failed: {self.repository} has no {commit}")
        hint = PARTIAL if ended.mentions("promisor remote") else HINT
        raise SourceError(
            f"clone failed: git fetch from {self.repository} {ended.outcome()}: {hint}", ended
        )

    def _is_branch_or_tag(self, commit: str) -> bool:
        return any(self._hash(f"refs/{kind}/{commit}") for kind in ("heads", "tags"))

    def _resolve(self, commit: str) -> str | None:
        """Return the full hash of what `commit` names first: see the order below."""
        candidates = [
            _requested(commit),
            f"refs/heads/{commit}",
            f"refs/heads/{commit.removeprefix('origin/')}",
            f"refs/tags/{commit}",
            commit,
        ]
        if FULL_HASH.fullmatch(commit):
            candidates.insert(0, commit)
        return next(filter(None, map(self._hash, candidates)), None)

    def _not_found(self, commit: str) -> CommitNotFoundError:
        """Return the error for a commit that the mirror does not have, or has more than once."""
        if SHORT_HASH.fullmatch(commit) and (candidates := self._commits(commit)):
            return CommitNotFoundError(
                f"checkout failed: {commit} is the beginning of {len(candidates)} commits of "
                f"{self.repository}: {', '.join(candidates)}: give more digits"
            )
        hint = "check its name; a pull request is refs/pull/N/head"
        if self.is_shallow:
            hint = f"it is a shallow clone: complete it with git fetch --unshallow, or {hint}"
        return CommitNotFoundError(
            f"checkout failed: {self.repository} has no branch, tag or commit {commit}: {hint}"
        )

    def _commits(self, beginning: str) -> list[str]:
        """Return the full hashes of the commits that begin like this."""
        answer = self._git.query(self.folder, "rev-parse", f"--disambiguate={beginning}")
        objects = (answer or "").split()
        return [
            one
            for one in objects
            if self._git.query(self.folder, "cat-file", "-t", one) == "commit"
        ]

    def _hash(self, name: str) -> str | None:
        return self._git.query(
            self.folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"
        )


def _requested(name: str) -> str:
    """Return the mirror's own name for a reference that was asked for.

    It is made of a hash, so that `refs/heads/x` never stands in the way of `refs/heads/x/y`.
    """
    return f"{REQUESTED}/{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:16]}"
