"""What lies beside a tarball belongs to it, also when the build ends between two renames."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys

import pytest
from builder_tools import DEADLINE, Repository, Workshop

# Runs a build, and does something right before the file with the given ending gets its name.
AT_RENAME = """
import os, signal, sys
ending, action = sys.argv[1:3]
del sys.argv[1:3]
def before(event, arguments):
    if event == "os.rename" and os.fspath(arguments[1]).endswith(ending):
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if os.path.exists(arguments[1]):
            os.remove(arguments[1])
        os.mkdir(arguments[1])
sys.addaudithook(before)
from builder_entrypoint.__main__ import main
raise SystemExit(main())
"""
ENDINGS = ["mim.tar.gz", "mim.tar.gz.sha256", "mim.json", "mim.provenance.json", "mim.cdx.json"]


@pytest.fixture
def repository(workshop: Workshop, repository: Repository) -> Repository:
    """Provide a repository that builds, and the tarball of an earlier commit."""
    assert workshop.build("p", repository.url, "master", TARBALL_NAME="mim").status == 0
    repository.write("hello", "later\n")
    repository.commit()
    return repository


def build_and(
    action: str, ending: str, workshop: Workshop, repository: Repository
) -> subprocess.CompletedProcess[str]:
    """Build again, with `action` right before the file with `ending` gets its name."""
    return subprocess.run(
        [sys.executable, "-c", AT_RENAME, ending, action, "p", repository.url, "master"],
        env=workshop.environment(TARBALL_NAME="mim"),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_beside_a_tarball_belong_to_it_when_a_build_is_killed(
    workshop: Workshop, repository: Repository, ending: str
) -> None:
    """A checksum or description of the earlier tarball never stands beside the later one."""
    ended = build_and("kill", ending, workshop, repository)
    assert ended.returncode == -signal.SIGKILL, ended.stdout
    digest = hashlib.sha256((workshop.builds / "mim.tar.gz").read_bytes()).hexdigest()
    checksum, description = (workshop.builds / f"mim{end}" for end in (".tar.gz.sha256", ".json"))
    if checksum.exists():
        assert checksum.read_text() == f"{digest}  mim.tar.gz\n"
    if description.exists():
        assert json.loads(description.read_text())["sha256"] == digest


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("ending", ENDINGS)
def test_older_tarball_stays_if_a_name_cannot_be_given(
    workshop: Workshop, repository: Repository, ending: str, *, older: bool
) -> None:
    """Neither the new one nor a part of it is there, and all of the older one but what is lost.

    What was in the way stays, too.
    """
    if not older:
        for path in workshop.tarballs():
            path.unlink()
    before = {path: path.read_bytes() for path in workshop.tarballs()}
    ended = build_and("occupy", ending, workshop, repository)
    assert ended.returncode == 2, ended.stdout
    assert "packing failed: cannot name the tarball" in ended.stdout
    occupied = workshop.builds / ending
    expected = {path: data for path, data in before.items() if path != occupied}
    left = [path for path in workshop.tarballs() if path != occupied or not path.is_dir()]
    assert {path: path.read_bytes() for path in left} == expected
