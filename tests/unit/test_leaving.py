"""Leaving the cluster by the release's own control script."""

import contextlib
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from knowledge_tools import FIRST, ME, OLD, THIRD, TWO, YOUNG
from members import make_member

from member_entrypoint import state
from member_entrypoint.cluster import facts
from member_entrypoint.cluster.facts import marker_file, written_marker
from member_entrypoint.cluster.knowledge import NOBODY, Marker, Record
from member_entrypoint.cluster.leaving import LONGEST_LOOK, leave, leave_for_good
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang.reach import Reach
from member_entrypoint.erlang.rpc import RpcError
from member_entrypoint.errors import ClusteringError
from member_entrypoint.pauses import Pauses
from member_entrypoint.places import Places
from member_entrypoint.terms import Atom


def member_with(root: Path, script: str, **environment: str) -> Member:
    """Return a member whose control script is this shell script."""
    member = make_member(root, "m-2", **environment)
    path = Path(member.release.control_script)
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return member


def test_a_node_that_has_left_is_no_error(tmp_path: Path) -> None:
    """The command gets no question to answer."""
    member = member_with(tmp_path, 'test "$*" = "leave_cluster -f"')
    leave(member, time.monotonic() + 60.0)


def test_the_node_that_leaves_keeps_its_port(tmp_path: Path) -> None:
    """The VM of the control script would listen on it, too."""
    member = member_with(tmp_path, 'test "$ERL_AFLAGS" = "-dist_listen false +x"', ERL_AFLAGS="+x")
    member.__dict__["erlang"] = SimpleNamespace(reach=Reach(node_port=9100))
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


class OwnNode:
    """What our own VM says: of Mnesia, and of the markers of others; the last again and again."""

    def __init__(self, places: Places, *said: object, markers: dict[str, Any]) -> None:
        """Prepare the answers; `said` are those of Mnesia, an exception is raised."""
        self.places, self.said, self.markers = places, list(said), markers
        self.noted: list[Record] = []
        self.reach: Any = None

    def ask(self, node: str, calls: list[tuple[str, str, list[Any]]], timeout: float) -> object:
        """Answer; who asks for an answer of another node waits longer than that node does."""
        assert node == ME
        self.noted.append(facts.read_marker(self.places, ME))
        if calls[0][:2] != ("rpc", "call"):
            assert timeout == LONGEST_LOOK
            said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
            if isinstance(said, Exception):
                raise said
            return said
        [(_, _, [other, module, function, [path], milliseconds])] = calls
        assert milliseconds == 1e3 * LONGEST_LOOK < 1e3 * timeout <= 2e3 * LONGEST_LOOK
        assert (module, function, path) == ("file", "read_file", marker_file(self.places, other))
        marker = self.markers[other]
        return [(Atom("ok"), written_marker(marker)) if isinstance(marker, Record) else marker]


def said(running: set[str], *holders: set[str]) -> list[object]:
    """Return the answers of a Mnesia: who runs, who has each table on the disk; one is in RAM."""
    nodes = [[*map(Atom, sorted({ME, *each}))] for each in (*holders, set())]
    names = [Atom(f"t{number}") for number in range(len(nodes))]
    kinds = [Atom("disc_copies")] * len(holders) + [Atom("ram_copies")]
    schema = [[Atom("schema"), [Atom(ME)]]]
    return [
        [*map(Atom, (ME, FIRST, THIRD))],
        [*map(Atom, (ME, *running))],
        [*schema, *([name, each] for name, each in zip(names, nodes, strict=True))],
        [[Atom("schema"), Atom("disc_copies")], *map(list, zip(names, kinds, strict=True))],
    ]


def member_of(
    root: Path, monkeypatch: pytest.MonkeyPatch, *answers: object, **markers: object
) -> Member:
    """Return a member of a cluster of three, whose farewells come through; pauses take no time.

    Its server has started.
    """
    member = member_with(root, f"echo left >> {root}/runs")
    status = Path(member.release.status_file)
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("started")
    Path(member.places.data).mkdir(parents=True, exist_ok=True)
    facts.write_marker(member.places, ME, JOINED)
    named = {FIRST: markers.get("first", JOINED), THIRD: markers.get("third", JOINED)}
    own = OwnNode(member.places, *answers, markers=named)
    own.reach = Reach()
    member.__dict__["erlang"] = own
    monkeypatch.setattr(Pauses, "pause", lambda _: None)
    give_schema(member, monkeypatch, (OLD, TWO))
    return member


def give_schema(
    member: Member, monkeypatch: pytest.MonkeyPatch, *said: tuple[str, frozenset[str] | None]
) -> None:
    """Have the member's own schema say these, one after the other; the last again and again."""
    answers = list(said)

    def read_schema(places: Places, node: str) -> tuple[str, frozenset[str] | None]:
        assert (places, node) == (member.places, member.node)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(facts, "read_schema", read_schema)


JOINED = Record(Marker.JOINED, FIRST, OLD, TWO)
LEAVING = Record(Marker.LEAVING, ME, OLD, TWO)
JOINING = Record(Marker.JOINING, ME, OLD, TWO)
BOTH = {FIRST, THIRD}
ALL = said(BOTH, BOTH, BOTH)
NO_MARKER = (Atom("error"), Atom("enoent"))
DOWN = (Atom("badrpc"), Atom("timeout"))


@pytest.mark.parametrize(
    ("answers", "markers"),
    [
        ([ALL], {}),
        ([ALL], {"first": LEAVING}),
        ([ALL], {"first": JOINING, "third": NO_MARKER}),
        ([ALL], {"first": DOWN}),
        ([said({FIRST}, {FIRST})], {}),
        ([said(BOTH, BOTH, {THIRD})], {"first": DOWN}),
        ([said(BOTH)], {}),
        ([said(BOTH, set()), said(BOTH, {FIRST}, set()), ALL], {}),
        ([RpcError("busy"), ALL], {}),
    ],
)
def test_who_leaves_waits_until_another_one_that_stays_has_the_data(
    answers: list[object],
    markers: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that stay are noted, also one that has joined meanwhile."""
    member = member_of(tmp_path, monkeypatch, *answers, **markers)
    leave_for_good(member, time.monotonic() + 60.0)
    assert (tmp_path / "runs").read_text() == "left\n"
    left = Record(Marker.LEFT, FIRST, OLD, frozenset(BOTH))
    assert facts.read_marker(member.places, ME) == left


@pytest.mark.parametrize(
    ("answer", "markers", "why"),
    [
        (ALL, {"first": LEAVING, "third": LEAVING}, "has all of its data, and stays"),
        (ALL, {"first": LEAVING, "third": DOWN}, "has all of its data, and stays"),
        (said({FIRST}, set()), {}, f"none of {FIRST} has all of its data"),
        (said(BOTH, {FIRST}, {THIRD}), {}, f"none of {FIRST}, {THIRD} has all"),
        (said(BOTH, {FIRST}), {"first": JOINING}, "has all of its data"),
        (said(set(), set()), {}, "no other member runs"),
        ([[Atom(ME)], [Atom(ME)], [], []], {}, "it has no other members"),
        ([Atom("undefined")] * 4, {}, "its Mnesia does not"),
        (RpcError("it is busy"), {}, "it is busy"),
    ],
)
def test_nobody_leaves_with_the_only_copy_of_the_data(
    answer: object,
    markers: dict[str, object],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stays a member, and says why; so do two that leave at once."""
    member = member_of(tmp_path, monkeypatch, answer, **markers)
    with pytest.raises(ClusteringError, match=f"^{ME} could not leave its cluster: .*{why}"):
        leave_for_good(member, time.monotonic())
    assert not (tmp_path / "runs").exists()
    assert facts.read_marker(member.places, ME) == JOINED


@pytest.mark.parametrize(("status", "leaves"), [("started", False), ("starting", True)])
def test_a_mnesia_that_has_just_started_may_not_have_met_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, *, leaves: bool
) -> None:
    """Once the server has started, those that do not run are down, and not waited for."""
    member = member_of(tmp_path, monkeypatch, said(set(), set()), ALL)
    Path(member.release.status_file).write_text(status)
    why = pytest.raises(ClusteringError, match="no other member runs")
    with contextlib.nullcontext() if leaves else why:
        leave_for_good(member, time.monotonic() + 60.0)
    assert (tmp_path / "runs").exists() == leaves


@pytest.mark.parametrize("marker", [JOINING, Record(Marker.STARTING, ME)])
def test_who_is_in_no_cluster_yet_does_not_leave_one(
    marker: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its marker says is still true."""
    member = member_of(tmp_path, monkeypatch, ALL)
    facts.write_marker(member.places, ME, marker)
    with pytest.raises(ClusteringError, match="it is not in one yet"):
        leave_for_good(member, time.monotonic())
    assert facts.read_marker(member.places, ME) == marker


def test_who_leaves_notes_whom_before_and_that_it_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The marker for the next start, a note for probes, a line for operators."""
    member = member_of(tmp_path, monkeypatch, ALL)
    marker = marker_file(member.places, ME)
    Path(member.release.control_script).write_text(f"#!/bin/sh\ncp {marker} {tmp_path}/before")
    state.begin(member.places.root, 5222)
    text = leave_for_good(member, time.monotonic() + 60.0)
    assert text == f"MongooseIM node {ME} left its cluster, in which {FIRST}, {THIRD} stay"
    assert text in capfd.readouterr().out
    assert state.reason(member.places.root, state.LEFT_FILE) == "this node has left its cluster"
    leaving = Record(Marker.LEAVING, FIRST, OLD, frozenset(BOTH))
    assert facts.parse_marker((tmp_path / "before").read_bytes()) == leaving
    assert facts.read_marker(member.places, ME) == leaving._replace(marker=Marker.LEFT)


@pytest.mark.parametrize(
    ("in_schema", "in_marker", "noted"),
    [
        (frozenset({ME, FIRST, THIRD}), TWO, Record(Marker.LEAVING, FIRST, OLD, frozenset(BOTH))),
        (None, TWO, Record(Marker.LEAVING, FIRST, OLD, frozenset({FIRST}))),
        (None, NOBODY, Record(Marker.LEAVING, ME, OLD)),
    ],
)
def test_whom_a_farewell_leaves_is_known_before_anybody_is_asked(
    in_schema: frozenset[str] | None,
    in_marker: frozenset[str],
    noted: Record,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the schema; from the last marker, where that cannot be read."""
    member = member_of(tmp_path, monkeypatch, ALL)
    give_schema(member, monkeypatch, (OLD, in_schema))
    facts.write_marker(member.places, ME, JOINED._replace(members=in_marker))
    leave_for_good(member, time.monotonic() + 60.0)
    assert isinstance(own := member.__dict__["erlang"], OwnNode)
    assert own.noted[0] == noted


def test_who_has_left_does_not_leave_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It says so."""
    member = member_of(tmp_path, monkeypatch, ALL)
    facts.write_marker(member.places, ME, Record(Marker.LEFT, FIRST, OLD))
    text = leave_for_good(member, time.monotonic() + 60.0)
    assert text == f"MongooseIM node {ME} has left its cluster already"
    assert text in capfd.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_who_is_alone_asks_nobody_before_it_leaves(tmp_path: Path) -> None:
    """Nobody else has its data, and that is what the operator wants."""
    member = member_with(tmp_path, "exit 0", JOIN_CLUSTER="false")
    member.__dict__["erlang"] = SimpleNamespace(reach=Reach())
    text = leave_for_good(member, time.monotonic() + 60.0)
    assert text == f"MongooseIM node {ME} left its cluster"
    assert facts.read_marker(member.places, ME) == Record(Marker.LEFT, ME)


@pytest.mark.parametrize(
    ("before", "after", "marker"),
    [(OLD, OLD, Marker.JOINED), (OLD, YOUNG, Marker.LEAVING), ("", "", Marker.LEAVING)],
)
def test_a_farewell_that_fails_is_open_unless_the_schema_is_the_same(
    before: str, after: str, marker: Marker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control script may fail after the node has left."""
    member = member_of(tmp_path, monkeypatch, ALL)
    Path(member.release.control_script).write_text("#!/bin/sh\nexit 1")
    give_schema(member, monkeypatch, (before, TWO), (after, TWO))
    with pytest.raises(ClusteringError, match="ended with status 1"):
        leave_for_good(member, time.monotonic() + 60.0)
    assert facts.read_marker(member.places, ME).marker is marker
