"""Joining, step by step: the marker, what an earlier life left, the turn, the tries."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest
from knowledge_tools import FIRST, ME, OF_ME, OLD, THIRD
from members import make_member

from member_entrypoint import counts, state
from member_entrypoint.cluster import beside, facts, joining, peers
from member_entrypoint.cluster.knowledge import Known, Marker, Peer, Record, State
from member_entrypoint.erlang.distribution import DistributionError
from member_entrypoint.erlang.rpc import NodeDownError, RpcError
from member_entrypoint.errors import ClusteringError, TryAgainError
from member_entrypoint.network import surroundings
from member_entrypoint.network.surroundings import Surroundings
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from member_entrypoint.cluster.member import Member
    from member_entrypoint.places import Places

SCHEMA = Path(__file__).parent / "schemas" / "otp25.DAT"
FAR = 1e9  # seconds of a clock that never gets there


def up(*members: str, identity: str = OLD, **changes: object) -> Peer:
    """Return a node that runs in a cluster."""
    nodes = frozenset(members)
    return Peer(State.UP, identity, nodes, nodes)._replace(**changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run each test in a folder of its own: a deletion that is wrong may take the current one."""
    with contextlib.chdir(tmp_path_factory.mktemp("current")):
        yield


class Node:
    """A stand-in for the way to ask nodes: notes what it is asked, and answers as it is told."""

    def __init__(self, answer: object) -> None:
        """Answer with this, or raise it."""
        self.asked: list[tuple[Any, ...]] = []
        self.answer = answer
        self.reach = SimpleNamespace(node_port=None)

    def rpc(self, *question: object) -> object:
        """Note a question."""
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def connect(self, *question: object) -> object:
        """Refuse a connection."""
        self.rpc(*question)
        raise AssertionError("a test must say what a connection does")


def make(root: Path, answer: object = ("atomic", "ok")) -> tuple[Member, Node]:
    """Return a member whose `join_cluster` notes its arguments, and its way to ask nodes."""
    member = make_member(root, "m-2")
    Path(member.places.run).mkdir(parents=True)
    state.begin(member.places.root, 5222)
    script(member, "echo joined")
    node = Node(answer)
    member.__dict__["erlang"] = node
    return member, node


def script(member: Member, text: str) -> None:
    """Have the control script of a member note its arguments and do this."""
    path = Path(member.release.control_script)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$@" >> {member.places.root}/runs\n{text}\n')
    path.chmod(0o700)


def runs(member: Member) -> list[str]:
    """Return the arguments of the runs of the control script."""
    noted = Path(member.places.root, "runs")
    return noted.read_text().splitlines() if noted.exists() else []


def mnesia(member: Member) -> Path:
    """Put a schema, a table, a folder and a link into Mnesia's folder, and return it."""
    folder = Path(member.places.mnesia(ME))
    (folder / "folder").mkdir(parents=True)
    (folder / "folder/file").write_text("x")
    (folder / "table.DCD").write_text("x")
    (folder / "link").symlink_to(member.places.data)
    (folder / "schema.DAT").write_text("x")
    return folder


class Others:
    """What the other nodes say: the next of some answers each time, and then the last again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *said: dict[str, Peer]) -> None:
        """Answer in the place of all that would ask the network."""
        self.said = list(said)
        self.pauses = 0
        self.seen = Surroundings(True, knows_all=False, kubernetes=False, alone=False)  # noqa: FBT003
        monkeypatch.setattr(surroundings, "see", self.see)
        monkeypatch.setattr(peers, "look_at", self.look_at)
        monkeypatch.setattr(Pauses, "pause", self.pause)

    def see(self, host: str, places: Places, timeout: float) -> Surroundings:
        """Answer what is seen of DNS."""
        assert (host, timeout) == ("m-2", peers.SCAN_DNS_TIMEOUT)
        assert Path(places.data).is_dir()
        return self.seen

    def look_at(self, member: Member, nodes: Iterable[str], timeout: float) -> dict[str, Peer]:
        """Answer for these nodes."""
        assert (member.node, timeout) == (ME, peers.ANSWER_TIMEOUT)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        return {node: said[node] for node in nodes}

    def pause(self, *_: object) -> None:
        """Count a pause, and take no time."""
        self.pauses += 1


@pytest.mark.parametrize(("target", "said"), [(FIRST, 0), (THIRD, 1)])
def test_a_join_is_noted_before_it_begins(
    target: str, said: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the cluster that is to be joined; whom it was to join is said already."""
    member, node = make(tmp_path)
    peer = up(FIRST, THIRD)
    joining.prepare_to_join(member, Known(ME, FIRST, peers={target: peer}), target, FAR)
    record = Record(Marker.JOINING, target, OLD, frozenset({FIRST, THIRD}))
    assert facts.read_marker(member.places, ME) == record
    assert capfd.readouterr().out.count(f"MongooseIM node {ME} joining {target}") == said
    assert node.asked == []


def test_a_schema_that_nobody_has_used_is_out_of_the_way(tmp_path: Path) -> None:
    """A VM that boots with it would look for those that it lists."""
    member, node = make(tmp_path)
    folder = mnesia(member)
    known = Known(
        ME,
        FIRST,
        has_schema=True,
        identity=OF_ME,
        record=Record(Marker.JOINING, FIRST, OLD),
        peers={FIRST: up(FIRST, ME)},
    )
    joining.prepare_to_join(member, known, FIRST, FAR)
    assert list(folder.iterdir()) == []
    assert Path(member.places.data).is_dir()
    assert [question[:3] for question in node.asked] == [(FIRST, "mnesia", "del_table_copy")]


def test_a_schema_that_people_may_have_used_stays(tmp_path: Path) -> None:
    """And with it the entry of this node in the others'."""
    member, node = make(tmp_path)
    folder = mnesia(member)
    record = Record(Marker.JOINED, FIRST, OLD)
    known = Known(ME, FIRST, has_schema=True, identity=OLD, record=record)
    joining.prepare_to_join(member, known._replace(peers={FIRST: up(FIRST, ME)}), FIRST, FAR)
    assert (folder / "schema.DAT").exists()
    assert node.asked == []


def test_a_schema_of_the_cluster_to_join_stays(tmp_path: Path) -> None:
    """As after a farewell from another one: the VM boots with it, and joins."""
    member, _ = make(tmp_path)
    folder = mnesia(member)
    record = Record(Marker.LEFT, FIRST, OF_ME)
    known = Known(ME, FIRST, has_schema=True, identity=OLD, record=record)
    joining.prepare_to_join(member, known._replace(peers={FIRST: up(FIRST)}), FIRST, FAR)
    assert (folder / "schema.DAT").exists()


def test_the_schema_is_deleted_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what could not be deleted is still known to be nobody's."""
    member, _ = make(tmp_path)
    folder = mnesia(member)
    unlink = os.unlink

    def only_the_schema(path: str, **more: Any) -> None:
        if str(path).endswith(".DCD"):
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, **more)

    monkeypatch.setattr(os, "unlink", only_the_schema)
    said = f"{folder} holds a schema that nobody has used and that cannot be deleted: [Errno 13]"
    with pytest.raises(ClusteringError, match=re.escape(said)):
        joining.delete_unused_schema(member)
    assert (folder / "schema.DAT").exists()


@pytest.mark.parametrize(("left", "timeout"), [(-5.0, 1.0), (30.0, 30.0), (600.0, 60.0)])
def test_an_entry_of_lost_data_is_removed_first(
    left: float, timeout: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the time that there is, and in a minute at most."""
    member, node = make(tmp_path)
    joining.remove_stale_entry(member, FIRST, time.monotonic() + left)
    [(target, module, function, arguments, seconds)] = node.asked
    assert (target, module, function) == (FIRST, "mnesia", "del_table_copy")
    assert arguments == [Atom("schema"), Atom(ME)]
    assert timeout - 5.0 < seconds <= timeout
    said = capfd.readouterr().out
    assert f"{FIRST} lists {ME}, which has no data: removing that entry first" in said
    assert "could not be removed" not in said


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (("aborted", ("not_active", "x" * 999)), "{aborted,{not_active,"),
        (RpcError("it did not answer"), "it did not answer"),
    ],
)
def test_an_entry_that_cannot_be_removed_is_said(
    answer: object, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And no more: the join may succeed all the same."""
    member, _ = make(tmp_path, answer)
    joining.remove_stale_entry(member, FIRST, FAR)
    [line] = [line for line in capfd.readouterr().out.splitlines() if "could not" in line]
    assert f"the entry of {ME} could not be removed" in line
    assert reason.replace("'", "") in line.replace("'", "")
    assert len(line.partition("reason=")[2].strip("'\"")) <= 300


def test_a_node_joins_and_returns_what_the_other_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it lists this node as running."""
    member, _ = make(tmp_path)
    state.note_wait(member.places.root, "waiting", "for something", 0.0)
    after = up(FIRST, ME)
    Others(monkeypatch, {FIRST: up(FIRST)}, {FIRST: after})
    assert joining.join(member, FIRST, FAR) == after
    assert runs(member) == [f"join_cluster -f {FIRST}"]
    assert counts.number(member.settings.root, counts.FAILED_JOINS) == 0
    assert state.wait(member.places.root)[:2] == ("", "")


def test_a_join_that_fails_is_tried_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a pause between two; the error has the words of MongooseIM, and of the node."""
    member, _ = make(tmp_path)
    script(member, "echo no such node; exit 1")
    others = Others(monkeypatch, {FIRST: up(FIRST, why="it runs without us")})
    outcome = "mongooseimctl join_cluster ended with status 1: no such node; it runs without us"
    with pytest.raises(TryAgainError) as refusal:
        joining.join(member, FIRST, FAR)
    assert str(refusal.value) == f"{ME} could not join {FIRST}: {outcome}"
    assert (len(runs(member)), others.pauses) == (3, 2)
    assert counts.number(member.settings.root, counts.FAILED_JOINS) == 3
    said = capfd.readouterr().out
    assert said.count(f"{ME} could not join {FIRST}, trying again") == 2
    assert said.count("no such node; it runs without us") == 2


def test_a_join_that_says_it_has_succeeded_is_believed_only_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its output is cut to what fits into a line."""
    member, _ = make(tmp_path)
    script(member, f"echo all; echo well {'x' * 999}")
    Others(monkeypatch, {FIRST: up(FIRST)}, {FIRST: Peer(State.SILENT)})
    with pytest.raises(TryAgainError) as refusal:
        joining.join(member, FIRST, FAR)
    said = f"mongooseimctl join_cluster ended with status 0: all well {'x' * 391}"
    assert str(refusal.value) == f"{ME} could not join {FIRST}: {said}"


@pytest.mark.parametrize("after", [State.STOPPED, State.ABSENT, State.SILENT])
def test_a_node_that_is_gone_is_not_tried_again(
    after: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for without a VM."""
    member, _ = make(tmp_path)
    others = Others(monkeypatch, {FIRST: up(FIRST)}, {FIRST: Peer(after)})
    with pytest.raises(TryAgainError):
        joining.join(member, FIRST, FAR)
    assert (len(runs(member)), others.pauses) == (1, 0)


def test_there_is_one_try_where_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a second at least."""
    member, _ = make(tmp_path)
    script(member, "exec sleep 1000")
    Others(monkeypatch, {FIRST: up(FIRST)})
    said = f"{ME} could not join {FIRST}: mongooseimctl join_cluster did not end within 1 s"
    with pytest.raises(TryAgainError, match=re.escape(said)):
        joining.join(member, FIRST, time.monotonic())
    assert len(runs(member)) == 1
    script(member, "exit 1")
    with pytest.raises(TryAgainError):
        joining.join(member, FIRST, time.monotonic())
    assert len(runs(member)) == 2


def test_who_has_joined_another_cluster_than_it_was_to_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node to join left its cluster at that moment."""
    member, _ = make(tmp_path)
    facts.write_marker(member.places, ME, Record(Marker.JOINING, FIRST, OLD))
    Others(monkeypatch, {FIRST: up(FIRST)}, {FIRST: up(FIRST, ME, identity=OF_ME)})
    said = f"{ME} has joined {FIRST} while that left its cluster; it looks again"
    with pytest.raises(TryAgainError, match=re.escape(said)):
        joining.join(member, FIRST, FAR)


@pytest.mark.parametrize(("noted", "found"), [("", OF_ME), (OLD, ""), (OLD, OLD)])
def test_an_identity_that_is_not_known_is_no_other(
    noted: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an older image's marker."""
    member, _ = make(tmp_path)
    facts.write_marker(member.places, ME, Record(Marker.JOINING, FIRST, noted))
    Others(monkeypatch, {FIRST: up(FIRST)}, {FIRST: up(FIRST, ME, identity=found)})
    assert joining.join(member, FIRST, FAR).running == {FIRST, ME}


def test_right_before_the_join_it_is_decided_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody has joined meanwhile who is not reached yet: that is waited for, and said."""
    member, _ = make(tmp_path)
    facts.write_marker(member.places, ME, Record(Marker.JOINING, FIRST, OLD, frozenset({FIRST})))
    others = Others(
        monkeypatch,
        {FIRST: up(FIRST, THIRD)},
        {FIRST: up(FIRST, THIRD)},
        {FIRST: up(FIRST, THIRD, ME)},
    )
    away = Peer(State.ABSENT, why="m-3 is not there")
    silent = Peer(State.SILENT, why="m-3 is silent")
    reached = iter([away, away, silent, Peer(State.REGISTERED)])
    asked = []

    def reach(asking: Member, nodes: Iterable[str]) -> dict[str, Peer]:
        assert asking is member
        asked.append(tuple(nodes))
        return {THIRD: next(reached)}

    monkeypatch.setattr(peers, "reach", reach)
    noted = []
    monkeypatch.setattr(state, "note_wait", lambda *words: noted.append(words))
    deadline = time.monotonic() + 600.0
    joining.join(member, FIRST, deadline)
    assert asked == [(THIRD,)] * 4
    assert others.pauses == 3
    reasons = ["m-3 is not there", "m-3 is silent"]
    text = f"waiting for {THIRD}"
    assert noted == [(member.places.root, text, reason, deadline) for reason in reasons]
    lines = capfd.readouterr().out.splitlines()
    for line, reason in zip(lines, reasons, strict=True):
        assert text in line
        assert reason in line
        assert re.search(r"seconds_left=(599|600)\b", line)


def test_the_node_to_join_may_be_another_than_the_primary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the primary is away, and its cluster is joined through another member."""
    member, _ = make(tmp_path)
    Others(monkeypatch, {THIRD: up(THIRD)}, {THIRD: up(THIRD, ME)})
    assert joining.join(member, THIRD, FAR).running == {THIRD, ME}


def test_a_schema_that_a_vm_has_open_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be that of the cluster to join, from a try that was cut: that is joined again."""
    member, _ = make(tmp_path)
    shutil.copy(SCHEMA, mnesia(member) / "schema.DAT")
    identity, _ = facts.read_schema(member.places, ME)
    monkeypatch.setattr(facts, "lacks_tables", lambda *_: False)
    facts.write_marker(member.places, ME, Record(Marker.JOINING, FIRST, identity))
    after = up(FIRST, ME, identity=identity)
    Others(monkeypatch, {FIRST: after._replace(running=frozenset({FIRST}))}, {FIRST: after})
    assert joining.join(member, FIRST, FAR) == after


def test_the_control_script_does_not_take_the_port_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own VM reads the same flags."""
    member, node = make(tmp_path)
    member.settings = member.settings._replace(erl_aflags="+K true")
    node.reach = SimpleNamespace(node_port=9100)
    script(member, 'echo "$ERL_AFLAGS" > "$0.flags"')
    Others(monkeypatch, {FIRST: up(FIRST)}, {FIRST: up(FIRST, ME)})
    joining.join(member, FIRST, FAR)
    flags = Path(f"{member.release.control_script}.flags").read_text()
    assert flags == "-dist_listen false +K true\n"


def test_those_that_were_reached_before_the_vm_started_are_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker has them."""
    member, _ = make(tmp_path)
    record = Record(Marker.JOINING, FIRST, OLD, frozenset({FIRST, THIRD}))
    facts.write_marker(member.places, ME, record)
    Others(monkeypatch, {FIRST: up(FIRST, THIRD)}, {FIRST: up(FIRST, THIRD, ME)})
    assert joining.join(member, FIRST, FAR).running == {FIRST, THIRD, ME}


@pytest.mark.parametrize(
    ("now", "deadline"),
    [
        ({FIRST: Peer(State.STOPPED, why="m-1 is down")}, FAR),
        ({FIRST: Peer(State.OTHER_NAME, why="m-1 is down")}, FAR),
        ({FIRST: up(FIRST, record=Record(Marker.LEFT, THIRD), why="m-1 is down")}, FAR),
    ],
)
def test_a_target_that_cannot_be_joined_any_more_ends_the_try(
    now: dict[str, Peer], deadline: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for without a VM, by the next start."""
    member, _ = make(tmp_path)
    others = Others(monkeypatch, now)
    said = f"{ME} does not join {FIRST} now: m-1 is down"
    with pytest.raises(TryAgainError, match=re.escape(said)):
        joining.join(member, FIRST, deadline)
    assert (runs(member), others.pauses) == ([], 0)


def test_a_wait_right_before_the_join_ends_with_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another member than the one to join is not reached."""
    member, _ = make(tmp_path)
    Others(monkeypatch, {FIRST: up(FIRST, THIRD)})
    away = {THIRD: Peer(State.ABSENT, why="m-3 is not there")}
    monkeypatch.setattr(peers, "reach", lambda *_: away)
    with pytest.raises(TryAgainError, match=rf"{ME} does not join {FIRST} now: m-3 is not there"):
        joining.join(member, FIRST, time.monotonic())


class Connection:
    """A connection to a node whose `global` gives its lock after some tries."""

    pid = "our pid"

    def __init__(self, *answers: str) -> None:
        """Answer with these, one after the other."""
        self.answers = [*answers]
        self.asked: list[tuple[object, ...]] = []
        self.is_open = False

    def __enter__(self) -> Self:
        """Begin."""
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        """End: `global` frees the lock."""
        self.is_open = False

    def request_all(self, *questions: object) -> list[Atom]:
        """Answer a question."""
        self.asked.append(questions)
        return [Atom(self.answers.pop(0))]


def hide(monkeypatch: pytest.MonkeyPatch, member: Member, connect: Callable[..., object]) -> None:
    """Have a member see that it is not in DNS, and connect in this way."""
    seen = Surroundings(False, knows_all=True, kubernetes=False, alone=False)  # noqa: FBT003
    monkeypatch.setattr(surroundings, "see", lambda *_: seen)

    def checked(target: str, timeout: float) -> object:
        assert (target, timeout) == (FIRST, peers.ANSWER_TIMEOUT)
        return connect()

    monkeypatch.setattr(member.erlang, "connect", checked)


def test_where_members_are_hidden_one_joins_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By a lock on the node to join, which is held as long as the join takes."""
    member, _ = make(tmp_path)
    others = Others(monkeypatch, {FIRST: up(FIRST)}, {FIRST: up(FIRST, ME)})
    connection = Connection("false", "false", "true")
    held = []

    def run_join_cluster(*_: object) -> str:
        held.append(connection.is_open)
        return "joined"

    monkeypatch.setattr(joining, "_run_join_cluster", run_join_cluster)
    hide(monkeypatch, member, lambda *_: connection)
    noted = []
    monkeypatch.setattr(state, "note_wait", lambda *words: noted.append(words))
    joining.join(member, FIRST, FAR)
    assert (held, connection.is_open, others.pauses) == ([True], False, 2)
    text = f"waiting for its turn to join {FIRST}"
    reason = "another node joins, and it is in DNS only when it is ready"
    assert noted == [(member.places.root, text, reason, FAR)]
    lock = (Atom("set_lock"), (joining.LOCK, "our pid"))
    assert connection.asked == [("global_name_server", [lock], 10.0)] * 3
    [line] = capfd.readouterr().out.splitlines()
    assert text in line
    assert reason in line


def test_where_members_are_hidden_all_that_run_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was listed, and did not run when the VM was started, may have joined meanwhile."""
    member, _ = make(tmp_path)
    record = Record(Marker.JOINING, FIRST, OLD, frozenset({FIRST, THIRD}))
    facts.write_marker(member.places, ME, record)
    others = Others(monkeypatch, *[{FIRST: up(FIRST, THIRD)}] * 2, {FIRST: up(FIRST, THIRD, ME)})
    hide(monkeypatch, member, lambda: Connection("true"))
    answers = iter([Peer(State.UNKNOWN, why="no address for m-3"), Peer(State.REGISTERED)])
    monkeypatch.setattr(peers, "reach", lambda _member, _nodes: {THIRD: next(answers)})
    assert joining.join(member, FIRST, FAR).running == {FIRST, THIRD, ME}
    assert (others.pauses, next(answers, None), len(runs(member))) == (1, None, 1)


def test_a_vm_that_ends_while_its_join_lacks_tables_does_not_end_the_container(
    tmp_path: Path,
) -> None:
    """Unless somebody has killed it: it joins anew, once the other node is there."""
    member, _ = make(tmp_path)
    record = Record(Marker.JOINING, FIRST, OLD, frozenset({FIRST}))
    left = Known(ME, FIRST, has_schema=True, identity=OLD, record=record, partial=True)
    with pytest.raises(TryAgainError, match="before it had copied all tables"):
        beside.explain(member, left, 1)
    beside.explain(member, left, 137)


def test_a_turn_is_waited_for_until_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a node that cannot be connected to has none to give."""
    member, _ = make(tmp_path)
    Others(monkeypatch, {FIRST: up(FIRST)})
    hide(monkeypatch, member, lambda *_: Connection("false"))
    with pytest.raises(TryAgainError, match=f"{ME} has waited for its turn to join {FIRST}"):
        joining.join(member, FIRST, time.monotonic())

    def refuse(*_: object) -> object:
        raise NodeDownError("m-1 is down")

    class Cut(Connection):
        def request_all(self, *_: object) -> list[Atom]:
            raise DistributionError("the connection is cut")

    hide(monkeypatch, member, Cut)
    with pytest.raises(TryAgainError, match=f"cannot join {FIRST} now: the connection is cut"):
        joining.join(member, FIRST, FAR)
    hide(monkeypatch, member, refuse)
    with pytest.raises(TryAgainError, match=f"{ME} cannot join {FIRST} now: m-1 is down"):
        joining.join(member, FIRST, FAR)
    assert runs(member) == []
