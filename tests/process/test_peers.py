"""What a member makes of a peer: a node in Python that runs, starts, refuses or is silent."""

from pathlib import Path
from typing import Any

import peers_of_a_member as asked
import pytest
from loopback import new_address
from misbehaving_node import BADRPC
from peers_of_a_member import OTHER, PEER_ADDRESS, Mnesia, in_a_cluster, peer
from releases import NODE, PRIMARY, FakeRelease

from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import State
from member_entrypoint.errors import ClusteringError, TryAgainError
from member_entrypoint.terms import Atom

UNREACHED = new_address()


@pytest.fixture
def member(release: FakeRelease, monkeypatch: pytest.MonkeyPatch) -> Member:
    """Provide a member whose release has a VM that reaches no node, where one is started to ask."""
    monkeypatch.setenv("FAKE_ERL", "{badrpc,nodedown}")
    return asked.make_member(release)


@pytest.mark.parametrize(
    ("members", "running", "state"),
    [
        ([PRIMARY, OTHER], [PRIMARY, OTHER], State.UP),
        ([PRIMARY, NODE], [PRIMARY], State.UP),
        ([PRIMARY], [PRIMARY], State.ALONE),
        ([PRIMARY, OTHER], [], State.STARTING),
        ([PRIMARY, OTHER], [OTHER], State.STARTING),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_node_is_what_its_mnesia_says(
    member: Member, members: list[str], running: list[str], state: State, *, old: bool
) -> None:
    """Whether it runs with others, by both protocols."""
    with peer(answer=Mnesia(members, running), old=old):
        assert asked.state(member) is state


def test_a_name_that_does_not_exist_is_absent(release: FakeRelease, member: Member) -> None:
    """DNS says so; where DNS does not answer, nothing is known."""
    asked.name_peer(release)
    with asked.name_servers(answering=True):
        assert asked.state(member) is State.ABSENT
        assert "no address for chat-1" in asked.why_not_joinable(member)
    with asked.name_servers(answering=False):
        assert asked.state(member) is State.UNKNOWN


def test_a_host_without_the_node_is_stopped(member: Member) -> None:
    """Without an epmd, and with one that has other names."""
    assert asked.state(member) is State.STOPPED
    assert f"no epmd on {PEER_ADDRESS}" in asked.why_not_joinable(member)
    with peer(name="other@chat-1"):
        assert asked.state(member) is State.STOPPED
        assert "has no node mongooseim" in asked.why_not_joinable(member)


def test_a_node_that_waits_with_an_empty_disk_is_known(member: Member) -> None:
    """It says so in its epmd, before its VM runs."""
    with peer(name="@chat-1", registered=("mongooseim-waits-empty",)):
        assert asked.state(member) is State.EMPTY


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        ({"epmd_says": b""}, "closed the connection without an answer"),
        ({"epmd_says": b"HTTP/1.1 400 Bad Request\r\n"}, "is no epmd"),
        ({"epmd_drips": 0.3, "answer": in_a_cluster()}, ""),
        ({"answer": lambda *_: BADRPC}, f"{PRIMARY} could not answer: no_answer"),
        ({"cookie": "other"}, "is its cookie the same (CLUSTER_COOKIE)"),
        ({"status": b"not_allowed"}, "refuses the connection"),
        ({"says_name": OTHER}, f"what answers there is not {PRIMARY} but {OTHER}"),
        ({"begins_with": b"HTTP/1.1", "closes_after": 8}, ""),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_node_that_cannot_be_asked_is_silent(
    member: Member, manners: dict[str, Any], said: str
) -> None:
    """It may be a cluster that people use: it is not taken for a node that is stopped."""
    with peer(**manners):
        assert asked.state(member) is State.SILENT
        assert not said or said in asked.why_not_joinable(member)


def test_a_node_that_takes_too_long_is_silent(member: Member) -> None:
    """It takes the connection, and says nothing in time."""
    with peer(answer=in_a_cluster(), drips=0.5):
        assert asked.state(member) is State.SILENT


def test_any_address_of_a_name_will_do(release: FakeRelease, member: Member) -> None:
    """Where a name has several, the node is found behind the one that has it."""
    asked.name_peer(release, UNREACHED, PEER_ADDRESS)
    with peer(answer=in_a_cluster()):
        assert asked.state(member) is State.UP
        assert asked.why_not_joinable(member) == ""


def test_a_node_is_joined_when_its_mnesia_runs(member: Member) -> None:
    """Not before; what is missing is said."""
    mnesia = Mnesia([PRIMARY, OTHER], [OTHER])
    with peer(answer=mnesia):
        said = f"{PRIMARY} is up, but its Mnesia does not run yet"
        assert asked.why_not_joinable(member) == said
        with pytest.raises(ClusteringError, match=said):
            asked.wait_until_joinable(member, 0.3)
        mnesia.nodes["running_db_nodes"].append(PRIMARY)
        asked.wait_until_joinable(member, asked.LONG)


def test_an_entry_of_our_name_is_removed(member: Member, capfd: pytest.CaptureFixture[str]) -> None:
    """The schema of the cluster that is joined lists a node of our name, whose data are lost."""
    mnesia = Mnesia([PRIMARY, NODE], [PRIMARY], removes=(Atom("atomic"), Atom("ok")))
    with peer(answer=mnesia):
        asked.remove_stale_entry(member)
    assert mnesia.removed() == [("schema", NODE)]
    said = "".join(capfd.readouterr())
    assert "removing that entry first" in said
    assert "could not be removed" not in said


@pytest.mark.parametrize(
    ("answer", "reason"),
    [((Atom("aborted"), Atom("busy")), "{aborted,busy}"), (BADRPC, "no_answer")],
)
def test_an_entry_that_stays_is_said(
    member: Member, capfd: pytest.CaptureFixture[str], answer: Any, reason: str
) -> None:
    """With the reason of the other node; the join is tried all the same."""
    with peer(answer=Mnesia([PRIMARY, NODE], [PRIMARY], removes=answer)):
        asked.remove_stale_entry(member)
    said = "".join(capfd.readouterr())
    assert "could not be removed" in said
    assert reason in said


def test_nothing_is_removed_where_we_are_not_listed(member: Member) -> None:
    """Nor of a node that does not answer."""
    mnesia = in_a_cluster()
    with peer(answer=mnesia):
        asked.remove_stale_entry(member)
    assert mnesia.asked == [("mnesia", "system_info", "db_nodes")]
    asked.remove_stale_entry(member)


def test_a_join_is_done_when_the_peer_counts_us(
    member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words and the status of `join_cluster` do not count."""
    ran = tmp_path / "ran"
    monkeypatch.setenv("FAKE_CTL", asked.control_script(ran))
    mnesia = Mnesia([PRIMARY, NODE], [PRIMARY, NODE])
    with peer(answer=mnesia):
        asked.join(member)
    assert ran.read_text() == f"join_cluster -f {PRIMARY}\n"


def test_a_join_that_fails_is_tried_again_while_the_peer_is_there(
    member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times; without the peer once. The error has the words of `join_cluster`."""
    ran = tmp_path / "ran"
    monkeypatch.setenv("FAKE_CTL", asked.control_script(ran))
    why = "mongooseimctl join_cluster ended with status 1: .*said"
    said = f"{NODE} could not join {PRIMARY}: {why}"
    with peer(answer=in_a_cluster()), pytest.raises(TryAgainError, match=said):
        asked.join(member)
    assert len(ran.read_text().splitlines()) == 3
    with pytest.raises(TryAgainError, match=f"{said}; .*is down"):
        asked.join(member)
    assert len(ran.read_text().splitlines()) == 4
