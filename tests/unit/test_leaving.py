"""Leaving the cluster by the release's own control script."""

import time
from pathlib import Path

import pytest
from members import make_member

from member_entrypoint.cluster.leaving import leave
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError


def member_with(root: Path, script: str) -> Member:
    """Return a member whose control script is this shell script."""
    member = make_member(root, "m-2")
    path = Path(member.release.control_script)
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return member


def test_a_node_that_has_left_is_no_error(tmp_path: Path) -> None:
    """The command gets no question to answer."""
    member = member_with(tmp_path, 'test "$*" = "leave_cluster -f"')
    leave(member, time.monotonic() + 60.0)


def test_a_node_that_cannot_leave_says_why(tmp_path: Path) -> None:
    """In the words of MongooseIM."""
    member = member_with(tmp_path, "echo a member is down; exit 1")
    said = "^mongooseim@m-2 could not leave its cluster: "
    said += "mongooseimctl leave_cluster ended with status 1: a member is down$"
    with pytest.raises(ClusteringError, match=said):
        leave(member, time.monotonic() + 60.0)


def test_a_node_that_does_not_leave_in_time_says_so(tmp_path: Path) -> None:
    """It has one second at least, even when the deadline has passed."""
    member = member_with(tmp_path, "sleep 1000")
    with pytest.raises(ClusteringError, match=r"leave_cluster did not end within 1 s$"):
        leave(member, time.monotonic())
