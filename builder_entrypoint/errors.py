"""What can go wrong in a build, each kind with the exit status that the README promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder_entrypoint.processes import Ended


class BuildError(Exception):
    """An error that ends the build; its text is for the operator: what was tried, what came back.

    The text holds no credentials only after it went through `masking`: print it with `Output.say`.
    """

    status = 1

    def __init__(self, text: str, ended: Ended | None = None) -> None:
        """Take the text, and how the program ended that failed; None if no program did."""
        super().__init__(text)
        self.ended = ended


class ConfigurationError(BuildError):
    """The arguments or variables make no sense; nothing was touched. One line for each error."""

    status = 78


class SourceError(BuildError):
    """The commit could not be had: the repository, the network, the credentials, its name."""


class CommitNotFoundError(SourceError):
    """The repository was read, and it has no such commit."""


class CompilationError(BuildError):
    """`tools/configure` or `make rel` failed, or made no release."""


class StoppedError(BuildError):
    """A signal asked the build to stop."""


class TarballError(BuildError):
    """The release was built, or would have been, but its tarball cannot be written."""

    status = 2
