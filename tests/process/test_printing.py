"""What is printed where nothing can be written, or where nobody reads on."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from processes import DEADLINE, MEMBER

if TYPE_CHECKING:
    from pathlib import Path

    from releases import FakeRelease

FULL = "member-entrypoint: cannot write to standard output: No space left on device\n"
CLOSED = "member-entrypoint: cannot write to standard output: Bad file descriptor\n"
COMMANDS = (
    ["status"],
    ["status", "--json"],
    ["status", "--watch", "0.1"],
    ["check"],
    ["check", "--json"],
    ["--help"],
    ["--version"],
)


@pytest.fixture(params=COMMANDS, ids=" ".join)
def command(request: pytest.FixtureRequest, python: Path) -> list[str]:
    """Multiply a test over what prints."""
    return [str(python), "-I", str(MEMBER), *request.param]


def environment(release: FakeRelease) -> dict[str, str]:
    """Return the environment of a container in which `check` finds no error."""
    return {"PATH": os.environ["PATH"], **release.environment()}


def run(
    command: list[str], release: FakeRelease, stdout: int | None
) -> subprocess.CompletedProcess[str]:
    """Run a command; its standard error is read."""
    return subprocess.run(
        command,
        env=environment(release),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def test_a_full_device_is_one_line_and_no_success(command: list[str], release: FakeRelease) -> None:
    """Not a traceback; what was to be said is not known to anybody."""
    with open("/dev/full", "wb") as device:
        done = run(command, release, device.fileno())
    assert (done.returncode, done.stderr) == (1, FULL)


def test_no_output_at_all_is_one_line_and_no_success(
    command: list[str], release: FakeRelease
) -> None:
    """As with `>&-`; nothing else is written to, whatever has the number of standard output."""
    done = run(["sh", "-c", 'exec "$@" >&-', "sh", *command], release, None)
    assert (done.returncode, done.stderr) == (1, CLOSED)


def test_a_reader_that_has_gone_is_not_told(command: list[str], release: FakeRelease) -> None:
    """As `head` does; the status is that of what was found."""
    reader, writer = os.pipe()
    os.close(reader)
    done = run(command, release, writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1 if "status" in command else 0, "")


def test_both_outputs_may_be_unusable(command: list[str], release: FakeRelease) -> None:
    """There is nobody to tell, then, but for the exit status."""
    done = run(["sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh", *command], release, None)
    assert (done.returncode, done.stderr) == (1, "")
