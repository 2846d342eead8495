"""The errors that end a build, each with the exit status that docs/builder.md lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder_entrypoint.processes import Ended


class BuildError(Exception):
    """An error that ends the build. Its text tells the operator what was tried, and what happened.

    The text may hold credentials: print it with `Output.say`, which masks them.
    """

    status = 1
    """Exit status of the builder."""

    def __init__(self, text: str, ended: Ended | None = None) -> None:
        """Take the text, and how the program ended that failed; None if no program did."""
        super().__init__(text)
        self.ended = ended


class ConfigurationError(BuildError):
    """Arguments or variables are wrong; nothing was built. One line for each error."""

    status = 78


class SourceError(BuildError):
    """The source could not be fetched: wrong address, network, credentials, or cache."""


class CommitNotFoundError(SourceError):
    """The repository was read, and has no such commit."""


class CompilationError(BuildError):
    """`tools/configure` or `make rel` failed, or made no release."""


class StoppedError(BuildError):
    """A signal stopped the build."""


class TarballError(BuildError):
    """The tarball cannot be written."""

    status = 2
