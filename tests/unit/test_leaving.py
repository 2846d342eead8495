"""Leaving the cluster by the release's own control script."""

import time
from pathlib import Path

import pytest
from knowledge_tools import FIRST, ME, OLD, THIRD, TWO, up
from members import make_member

from member_entrypoint.cluster import facts, peers
from member_entrypoint.cluster.knowledge import Marker, Peer, Record, State
from member_entrypoint.cluster.leaving import leave, leave_for_good
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError
from member_entrypoint.pauses import Pauses


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


class Others:
    """What the other nodes say each time; the last answer again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *said: dict[str, Peer]) -> None:
        """Answer in the place of all that would ask the network; pauses take no time."""
        self.said, self.pauses = list(said), 0
        monkeypatch.setattr(peers, "look_at", self.look_at)
        monkeypatch.setattr(Pauses, "pause", self.pause)

    def look_at(self, _member: Member, nodes: frozenset[str], _timeout: float) -> dict[str, Peer]:
        """Answer for these nodes."""
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        return {node: said[node] for node in nodes}

    def pause(self) -> None:
        """Count a pause."""
        self.pauses += 1


def member_of(root: Path) -> Member:
    """Return a member of a cluster of three, whose farewells come through."""
    member = member_with(root, f"echo left >> {root}/runs")
    Path(member.places.data).mkdir(parents=True, exist_ok=True)
    facts.write_marker(member.places, ME, Record(Marker.JOINED, FIRST, OLD, TWO | {THIRD}))
    return member


FOURTH = "mongooseim@m-4"
JOINING = up(OLD, ME, record=Record(Marker.JOINING, ME, OLD))
WAITING = up(OLD, ME, serves=False)
MEMBER = up(OLD, ME, FOURTH, record=Record(Marker.JOINED, ME, OLD))
GONE = Peer(State.STOPPED)


@pytest.mark.parametrize(
    ("said", "pauses"),
    [
        ([{FIRST: MEMBER, THIRD: JOINING}], 0),
        ([{FIRST: GONE, THIRD: GONE}], 0),
        ([{FIRST: GONE, THIRD: MEMBER}], 0),
        ([{FIRST: JOINING, THIRD: GONE}] * 2 + [{FIRST: MEMBER, THIRD: GONE}], 2),
        ([{FIRST: WAITING, THIRD: JOINING}, {FIRST: WAITING, THIRD: MEMBER}], 1),
    ],
)
def test_who_leaves_waits_until_another_one_has_the_data(
    said: list[dict[str, Peer]], pauses: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it leaves is noted before, so that no other join begins; and who has joined by then."""
    member = member_of(tmp_path)
    others = Others(monkeypatch, *said)
    leave_for_good(member, time.monotonic() + 60.0)
    assert others.pauses == pauses
    assert (tmp_path / "runs").read_text() == "left\n"
    left = facts.read_marker(member.places, ME)
    listed = {FOURTH} if MEMBER in said[-1].values() else set()
    assert left.marker is Marker.LEFT
    assert left.members == {FIRST, THIRD} | listed


def test_nobody_leaves_with_the_only_copy_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays a member, and says which join has not come to its end."""
    member = member_of(tmp_path)
    before = facts.read_marker(member.places, ME)
    Others(monkeypatch, {FIRST: JOINING, THIRD: GONE})
    monkeypatch.setattr(facts, "read_schema", lambda *_: (OLD, TWO | {THIRD}))
    with pytest.raises(ClusteringError, match=f"^{ME} does not leave its cluster: {FIRST} has not"):
        leave_for_good(member, time.monotonic())
    assert not (tmp_path / "runs").exists()
    assert facts.read_marker(member.places, ME) == before
