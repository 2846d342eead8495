"""What a member makes of a peer: a node in Python that runs, starts, refuses or is silent."""

import contextlib
import socket
from pathlib import Path
from typing import Any

import peers_of_a_member as asked
import pytest
from dns_server import Zone, serving
from epmd_server import EPMD_PORT
from loopback import new_address
from misbehaving_node import BADRPC
from peers_of_a_member import OTHER, PEER_ADDRESS, Mnesia, in_a_cluster, peer
from releases import NODE, PRIMARY, FakeRelease

from member_entrypoint.cluster.facts import read_marker
from member_entrypoint.cluster.knowledge import Marker, Record, State, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang.mnesia import RUNNING
from member_entrypoint.errors import ClusteringError, TryAgainError
from member_entrypoint.terms import Atom

UNREACHED = new_address()


@pytest.fixture
def member(release: FakeRelease, monkeypatch: pytest.MonkeyPatch) -> Member:
    """Provide a member whose release has a VM that reaches no node, where one is started to ask."""
    monkeypatch.setenv("FAKE_ERL", "[{badrpc,nodedown}]")
    return asked.make_member(release)


@pytest.mark.parametrize(
    ("members", "running", "state"),
    [
        ([PRIMARY, OTHER], [PRIMARY, OTHER], State.UP),
        ([PRIMARY, NODE], [PRIMARY], State.UP),
        ([PRIMARY], [PRIMARY], State.UP),
        ([PRIMARY, OTHER], [], State.STARTING),
        ([PRIMARY, OTHER], [OTHER], State.STARTING),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_node_is_what_its_mnesia_says(
    member: Member, members: list[str], running: list[str], state: State, *, old: bool
) -> None:
    """Whether it runs, with whom, and in which cluster, by both protocols."""
    with peer(answer=Mnesia(members, running), old=old):
        found = asked.look(member)
    assert found.state is state
    assert found.members == set(members)
    if state is State.UP:
        assert found.identity == asked.IDENTITY_TEXT
        assert found.running == set(running)


def test_a_mnesia_that_has_not_read_its_schema_yet_starts(member: Member) -> None:
    """It runs, and does not know its members: nobody was removed from its cluster."""
    mnesia = in_a_cluster()
    del mnesia.nodes["db_nodes"]
    with peer(answer=mnesia):
        assert asked.look(member).state is State.STARTING


def test_silent_addresses_leave_the_last_one_its_time(member: Member, release: FakeRelease) -> None:
    """All addresses of a host share one deadline: each has its part of what is left."""
    mnesia, silent = in_a_cluster(), [new_address() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for address in silent:
            # The kernel takes connections, and nobody says anything.
            stack.enter_context(socket.create_server((address, EPMD_PORT)))
        asked.name_peer(release, *silent, PEER_ADDRESS)
        stack.enter_context(peer(answer=mnesia))
        with member.erlang.connect(PRIMARY, timeout=8.0) as connection:
            found = connection.call(*RUNNING, timeout=asked.LONG)
        assert found == [PRIMARY, OTHER]


def test_a_node_says_what_its_marker_and_its_server_say(member: Member) -> None:
    """Both are files that its own VM reads; without them, nothing is concluded."""
    mnesia = in_a_cluster()
    with peer(answer=mnesia):
        found = asked.look(member)
        assert (found.record, found.serves, found.awaits) == (Record(), True, frozenset())
        mnesia.files[f".cluster.{PRIMARY}"] = b"joining mongooseim@chat-3\n"
        mnesia.files["status"] = b"starting"
        mnesia.nodes["running_db_nodes"] = [PRIMARY]
        found = asked.look(member)
    assert found.record == Record(Marker.JOINING, OTHER)
    assert not found.serves
    assert found.awaits == {OTHER}


def test_a_node_that_shuts_down_is_going(member: Member) -> None:
    """It is registered still, and its Mnesia is gone: that is no silence."""
    mnesia = in_a_cluster()
    mnesia.status = "stopping"
    with peer(answer=mnesia):
        assert asked.look(member).state is State.GOING


def test_a_name_that_does_not_exist_is_absent(release: FakeRelease, member: Member) -> None:
    """DNS says so; where DNS does not answer, nothing is known."""
    asked.name_peer(release)
    with asked.name_servers(answering=True):
        found = asked.look(member)
        assert found.state is State.ABSENT
        assert "no address for chat-1" in found.why
    with asked.name_servers(answering=False):
        assert asked.look(member).state is State.UNKNOWN


def test_a_host_without_the_node_is_stopped(member: Member) -> None:
    """Without an epmd, and with one that has other names."""
    found = asked.look(member)
    assert found.state is State.STOPPED
    assert f"no epmd on {PEER_ADDRESS}" in found.why
    with peer(name="other@chat-1"):
        found = asked.look(member)
        assert found.state is State.STOPPED
        assert "has no node mongooseim; it has other" in found.why


def test_a_node_that_waits_with_an_empty_disk_is_known(member: Member) -> None:
    """It says so in its epmd, before its VM runs."""
    with peer(name="@chat-1", registered=("mongooseim-waits-empty",)):
        assert asked.look(member).state is State.EMPTY


@pytest.mark.parametrize(
    ("manners", "state", "said"),
    [
        ({"epmd_says": b""}, State.SILENT, "closed the connection without an answer"),
        ({"epmd_says": b"HTTP/1.1 400 Bad Request\r\n"}, State.SILENT, "is no epmd"),
        ({"epmd_drips": 0.3, "answer": in_a_cluster()}, State.SILENT, "no answer from"),
        ({"answer": lambda *_: BADRPC}, State.BUSY, f"{PRIMARY} could not answer"),
        ({"cookie": "other"}, State.REFUSES, "is its cookie the same (CLUSTER_COOKIE)"),
        ({"status": b"not_allowed"}, State.REFUSES, "refuses the connection"),
        ({"says_name": OTHER}, State.BUSY, f"what answers there is not {PRIMARY} but {OTHER}"),
        (
            {"says_name": "mongooseim@Chat-1"},
            State.OTHER_NAME,
            "the node there is called mongooseim@Chat-1, CLUSTER_WITH must name that",
        ),
        ({"begins_with": b"HTTP/1.1", "closes_after": 8}, State.BUSY, "is down"),
        ({"answer": in_a_cluster(), "drips": 0.5}, State.BUSY, "no answer within 1 s"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_node_that_cannot_be_asked_says_why(
    member: Member, manners: dict[str, Any], state: State, said: str
) -> None:
    """It may be a cluster that people use: it is not taken for a node that is stopped."""
    with peer(**manners):
        found = asked.look(member)
    assert found.state is state
    assert said in found.why


def test_any_address_of_a_name_will_do(release: FakeRelease, member: Member) -> None:
    """Where a name has several, the node is found behind the one that has it."""
    asked.name_peer(release, UNREACHED, PEER_ADDRESS)
    with peer(answer=in_a_cluster()):
        assert asked.look(member).state is State.UP


def zone(*, wildcard: str, own: str = "") -> Zone:
    """Return a zone that has one address for each name, but another one for `chat-1`, if given."""

    def answer(name: str, kind: str) -> list[str] | int:
        if kind != "A":
            return []
        address = own if name == "chat-1." and own else wildcard
        return [f"{name} A {address}"]

    return answer


def test_a_name_that_resolves_as_each_other_one_does_is_no_member(
    release: FakeRelease, member: Member
) -> None:
    """A wildcard in DNS, behind it something that speaks no Erlang; a host of its own counts."""
    asked.name_peer(release)
    with serving(asked.DNS_ADDRESS, zone(wildcard=UNREACHED)):
        found = asked.look(member)
        assert found.state is State.ABSENT
        assert f"each name of its domain resolves to {UNREACHED}" in found.why
    with serving(asked.DNS_ADDRESS, zone(wildcard=UNREACHED, own=PEER_ADDRESS)):
        assert asked.look(member).state is State.STOPPED
    with (
        serving(asked.DNS_ADDRESS, zone(wildcard=PEER_ADDRESS)),
        peer(answer=in_a_cluster()),
    ):
        assert asked.look(member).state is State.UP


def test_a_node_is_joined_when_its_mnesia_runs(member: Member) -> None:
    """Not before; what is missing is said."""
    mnesia = Mnesia([PRIMARY], [])
    with peer(answer=mnesia):
        said = f"{PRIMARY} is up, but its Mnesia does not run yet"
        with pytest.raises(ClusteringError, match=said):
            asked.decide(member, 0.3)
        mnesia.nodes["running_db_nodes"].append(PRIMARY)
        assert asked.decide(member, asked.LONG)[1].step is Step.JOIN


def test_a_cluster_is_joined_only_when_all_that_run_there_are_reached(
    release: FakeRelease, member: Member
) -> None:
    """Whom it cannot reach is said."""
    with peer(answer=in_a_cluster()), asked.name_servers(answering=True):
        with pytest.raises(ClusteringError, match=r"with mongooseim@chat-3: no address for chat-3"):
            asked.decide(member, 0.3)
        hosts = release.root / "etc/hosts"
        hosts.write_text(f"{hosts.read_text()}{PEER_ADDRESS} chat-3\n")
        assert asked.decide(member, asked.LONG)[1].step is Step.JOIN


def test_what_is_joined_is_noted_first(member: Member) -> None:
    """With its identity, by which the next start knows how far the join came."""
    with peer(answer=Mnesia([PRIMARY], [PRIMARY])):
        asked.prepare_to_join(member)
    wanted = Record(Marker.JOINING, PRIMARY, asked.IDENTITY_TEXT, frozenset({PRIMARY}))
    assert read_marker(member.places, NODE) == wanted


def test_an_entry_of_our_name_is_removed(member: Member, capfd: pytest.CaptureFixture[str]) -> None:
    """The schema of the cluster that is joined lists a node of our name, whose data are lost."""
    mnesia = Mnesia([PRIMARY, NODE], [PRIMARY], removes=(Atom("atomic"), Atom("ok")))
    with peer(answer=mnesia):
        asked.prepare_to_join(member)
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
        asked.prepare_to_join(member)
    said = "".join(capfd.readouterr())
    assert "could not be removed" in said
    assert reason in said


def test_nothing_is_removed_where_we_are_not_listed(member: Member) -> None:
    """Nor where the disk has a schema that may have been used."""
    mnesia = Mnesia([PRIMARY], [PRIMARY])
    with peer(answer=mnesia):
        asked.prepare_to_join(member)
    assert mnesia.removed() == []


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
    """Three times, with the words of `join_cluster`; not at all without the peer."""
    ran = tmp_path / "ran"
    monkeypatch.setenv("FAKE_CTL", asked.control_script(ran))
    why = "mongooseimctl join_cluster ended with status 1: .*said"
    said = f"{NODE} could not join {PRIMARY}: {why}"
    with peer(answer=Mnesia([PRIMARY], [PRIMARY])), pytest.raises(TryAgainError, match=said):
        asked.join(member)
    assert len(ran.read_text().splitlines()) == 3
    with pytest.raises(TryAgainError, match=f"does not join {PRIMARY} now: no epmd on"):
        asked.join(member)
    assert len(ran.read_text().splitlines()) == 3
