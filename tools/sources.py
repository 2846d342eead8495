"""Makes a git repository of the sample server's sources, for the builder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from console import ROOT, run

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_SERVER = ROOT / "tests" / "sample_server"
BRANCH = "master"
# The same files always give the same commit, whatever the configuration of machine and user.
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Sample",
    "GIT_AUTHOR_EMAIL": "sample@example.org",
    "GIT_AUTHOR_DATE": "2025-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "Sample",
    "GIT_COMMITTER_EMAIL": "sample@example.org",
    "GIT_COMMITTER_DATE": "2025-01-01T00:00:00Z",
}


def make_repository(folder: Path, *, sources: Path = SAMPLE_SERVER) -> str:
    """Make a git repository with one commit of `sources` in `folder`; return the commit's hash.

    The previous content of `folder` is removed. Raises ToolError if git fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sources, folder, symlinks=True, ignore=shutil.ignore_patterns("_build", ".git"))
    for arguments in (
        ("init", "--quiet", f"--initial-branch={BRANCH}"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=The sample server"),
    ):
        _git(folder, *arguments)
    return _git(folder, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    return run(
        ["git", "-C", str(folder), *arguments],
        what=f"git {arguments[0]} in {folder}",
        timeout=60,
        env=ENVIRONMENT,
    )
