"""Runs git in the user's environment, so that credential helpers, ssh agent and proxies work."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from builder_entrypoint.errors import SourceError
from builder_entrypoint.processes import Ended, Processes

# Variables that point git at another repository than the one we name.
_REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
# Garbage collection in the background would outlive the lock on the mirror.
_CONFIGURATION = (
    *("-c", "gc.autoDetach=false"),
    *("-c", "maintenance.autoDetach=false"),
    *("-c", "advice.detachedHead=false"),
    # Nobody reads reflogs, and for the e-mail address in them git makes a slow DNS query.
    *("-c", "core.logAllRefUpdates=false"),
)
_COMMAND = re.compile(r"[a-z][a-z-]*$")


class Git:
    """Runs git for one build."""

    def __init__(self, processes: Processes, environment: Mapping[str, str]) -> None:
        """Take the environment that git runs in."""
        self._processes = processes
        self._environment = without_repository_variables(environment)
        if not _is_terminal(0):
            # Nobody can answer: an error is better than a prompt that waits for ever.
            self._environment.setdefault("GIT_TERMINAL_PROMPT", "0")
        # A folder that is a partial clone gets the files that it lacks from where it was cloned.
        # By default git distrusts the configuration of that folder, whose Makefile we run.
        self._environment.setdefault("GIT_NO_LAZY_FETCH", "0")

    def run(
        self,
        folder: Path | None,
        *arguments: str,
        take: Callable[[bytes], object] | None = None,
        inside: Path | None = None,
    ) -> Ended:
        """Run git, with the repository `folder` if there is one.

        Its working directory is `inside`, or ours. `take`, if given, is called with each piece of
        git's output, which is then not shown.
        """
        repository = [f"--git-dir={folder}"] if folder else []
        if folder and folder.name == ".git":
            repository.append(f"--work-tree={folder.parent}")
        command = ["git", *_CONFIGURATION, *repository, *arguments]
        return self._processes.run(
            command,
            name=f"git {next(word for word in arguments if _COMMAND.match(word))}",
            environment=self._environment,
            take=take,
            folder=inside,
        )

    def run_checked(
        self, problem: str, folder: Path | None, *arguments: str, inside: Path | None = None
    ) -> None:
        """Run git. Raises `SourceError`, whose text begins with `problem`, if git fails."""
        ended = self.run(folder, *arguments, inside=inside)
        if not ended.succeeded:
            raise SourceError(f"{problem}: {ended.explained()}", ended)

    def query(self, folder: Path | None, *arguments: str, inside: Path | None = None) -> str | None:
        """Return what git prints, without white space around it; None if git fails."""
        captured = bytearray()
        ended = self.run(folder, *arguments, take=captured.extend, inside=inside)
        return captured.decode(errors="replace").strip() if ended.succeeded else None


def without_repository_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that point git at another repository."""
    return {name: value for name, value in environment.items() if name not in _REPOSITORY_VARIABLES}


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
