"""The commands of documents, for the tests that run them as they stand there.

A block of commands is indented by four blanks, or stands between two lines of backquotes; with the
word `text` behind these it is an output. The
comment before it names the test that runs it, or says why none does:

    <!-- run by test_name -->
    <!-- not run: needs a Kubernetes cluster -->
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUN_BY = re.compile(r"<!-- run by (test_\w+) -->")
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
OUTPUT, CONFIGURATION = "<!-- output -->", "<!-- configuration -->"
FENCE = "```"


class Block(NamedTuple):
    """A block of a document: what the comment before it says, and its lines."""

    comment: str
    lines: tuple[str, ...]

    @property
    def run_by(self) -> str:
        """The test that runs it; empty if none does."""
        found = RUN_BY.fullmatch(self.comment)
        return found[1] if found else ""

    @property
    def is_marked(self) -> bool:
        """Whether the comment says who runs it, or why nobody does, or that it is no command."""
        known = self.comment in {OUTPUT, CONFIGURATION}
        return bool(self.run_by or NOT_RUN.fullmatch(self.comment) or known)


def blocks(document: str) -> list[Block]:
    """Return all blocks of a document in `docs`, in their order."""
    found: list[Block] = []
    comment, current, fenced = "", [""], False
    current.clear()

    def end() -> None:
        nonlocal comment
        if current:
            found.append(Block(comment, tuple(current)))
            comment = ""
            current.clear()

    for line in (DOCS / document).read_text(encoding="utf-8").splitlines():
        if line.startswith(FENCE):
            fenced = not fenced
            end()
            comment = OUTPUT if line == f"{FENCE}text" else comment
        elif fenced:
            current.append(line)
        elif line.startswith("    "):
            current.append(line[4:])
        elif line.strip():
            end()
            comment = line.strip()
    end()
    return found


def commands(document: str, test: str) -> list[str]:
    """Return the commands of a document that a test is named to run, as a shell takes them.

    A command that goes on in the next line (a backslash at the end) is one.
    """
    found = []
    for block in blocks(document):
        if block.run_by == test:
            text = "\n".join(block.lines)
            found += [line for line in re.split(r"(?<!\\)\n", text) if line.strip()]
    return found


class Reader:
    """A person who follows a document in a terminal: `cd` counts for what comes after it."""

    def __init__(self, folder: Path, environment: Mapping[str, str], timeout: float = 240) -> None:
        """Begin in a folder; `timeout` is that of each command, in seconds."""
        self._folder = folder
        self._environment = dict(environment)
        self._timeout = timeout

    def does(self, command: str) -> bool:
        """Run a command; tell whether it succeeded. What it prints is shown if the test fails."""
        if command.startswith("cd "):
            self._folder /= command.removeprefix("cd ")
            return self._folder.is_dir()
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self._timeout,
            check=False,
        )
        print(f"$ {command}\n{done.stdout}{done.stderr}")  # noqa: T201
        return done.returncode == 0
