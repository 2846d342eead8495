"""What the parts of one build have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder_entrypoint.mirrors import Mirrors
from builder_entrypoint.processes import Processes
from builder_entrypoint.settings import Settings
from builder_entrypoint.source import Source


@dataclass(frozen=True, kw_only=True)
class Job:
    """A build whose source is there."""

    settings: Settings
    source: Source
    work: Path
    """The folder of this build, which is removed at its end."""
    mirrors: Mirrors
    processes: Processes
    environment: Mapping[str, str]
    """The environment that the build was started with."""
