"""Running the release's own control script: to leave the cluster, or until the time is over."""

import os
import time
from pathlib import Path

import pytest
from processes import alive, eventually

from member_entrypoint.cluster.control import run_mongooseimctl
from member_entrypoint.release.active import Release


def make_release(root: Path, script: str) -> Release:
    """Return a release whose control script is this shell script."""
    release = Release(str(root), "1", "1")
    path = Path(release.control_script)
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(path, 0o700)
    return release


def test_status_and_output_come_back(tmp_path: Path) -> None:
    """Of both streams, in one line."""
    release = make_release(tmp_path, 'echo "to $1"\necho bad >&2\nexit 3')
    assert run_mongooseimctl(release, ["join_cluster"], 60.0) == (3, "to join_cluster bad")


def test_long_output_is_cut(tmp_path: Path) -> None:
    """It goes into one line of the log."""
    release = make_release(tmp_path, "head -c 1000 /dev/zero | tr '\\0' x")
    assert run_mongooseimctl(release, [], 60.0) == (0, "x" * 400)


def test_all_its_processes_end_when_the_time_is_over(tmp_path: Path) -> None:
    """Also the VM that it has started, which would hold its output open."""
    pids = tmp_path / "pids"
    release = make_release(
        tmp_path, f"sleep 1000 &\necho $$ $! > {pids}.new\nmv {pids}.new {pids}\nwait"
    )
    timeout = 1.0
    while not pids.exists():
        # The machine may be slower than that: then it is given more time.
        before = time.monotonic()
        with pytest.raises(TimeoutError):
            run_mongooseimctl(release, [], timeout)
        assert time.monotonic() - before >= timeout
        timeout *= 2
    started = [int(pid) for pid in pids.read_text().split()]
    eventually(lambda: not any(alive(pid) for pid in started), "both have ended")
