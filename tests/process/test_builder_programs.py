"""Errors of programs name the program that failed, how it ended, and its last words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from builder_tools import RELEASE, Repository, Workshop, programs_without

if TYPE_CHECKING:
    from pathlib import Path


def path_with(folder: Path, program: str, script: str) -> str:
    """Return a PATH on which `program` is a shell script; everything else is as usual."""
    folder.mkdir()
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    return f"{folder}:/usr/local/bin:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("program", "script", "message"),
    [
        ("pigz", "echo no room >&2; exit 3", "pigz ended with status 3 (no room)"),
        ("pigz", "kill -SEGV $$", "pigz was ended by SIGSEGV"),
        ("tar", "echo no order >&2; exit 2", "tar ended with status 2 (no order)"),
    ],
)
def test_program_that_fails_while_packing_is_named(
    workshop: Workshop, repository: Repository, program: str, script: str, message: str
) -> None:
    """It is the one that failed, not one before it that lost its reader or one after it."""
    repository.make(f"@head -c 1000000 /dev/urandom > {RELEASE}/noise")
    path = path_with(workshop.folder / "bin", program, script)
    result = workshop.build("p", repository.url, "master", PATH=path)
    assert result.status == 2, result.output
    assert result.said[-2:] == [f"packing failed: {message}", "build failed"]
    assert workshop.tarballs() == []


def test_program_that_vanishes_before_packing_is_named(
    workshop: Workshop, repository: Repository
) -> None:
    """A compressor that cannot be started is an error, and tar does not wait for it."""
    path = programs_without(workshop.folder / "bin", "pigz")
    script = workshop.folder / "bin" / "pigz"
    script.write_text("")
    script.chmod(0o755)
    repository.make(f"@head -c 1000000 /dev/zero > {RELEASE}/zeros", f"@echo '#!/x' > {script}")
    result = workshop.build("p", repository.url, "master", PATH=path)
    assert result.status == 2, result.output
    assert result.said[-2:] == [
        "packing failed: pigz could not be started: pigz is not installed, or not on PATH",
        "build failed",
    ]
