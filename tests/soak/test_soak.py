"""The soak itself: a short run with a fixed seed, and that each of its checks can fail."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soak_clients
from hosts import Host, build_sample
from loopback import new_address
from misbehaving_node import Manners, running
from soak_checks import View, lost_values, not_one_cluster
from soak_clients import Attempt, Book, Writer, call, connect
from soak_faults import SoakError, commit
from soak_members import five
from soak_operator import Operator
from soak_plan import KINDS, WORDS, Step, plan
from soak_run import Run
from soak_volume import FROZEN, Volume, VolumeError

from member_entrypoint.erlang.distribution import Connection
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 1
SECONDS = 180.0
"""Of the short run; the step that is under way then is brought to its end."""
SHORT = 20.0
"""Seconds until a check gives up, where it is to fail."""
NOTHING = Step(number=1, kind="restart")
A, B = "mongooseim@chat-1", "mongooseim@chat-2"
BOTH = frozenset({A, B})
WHOLE = View("", "ours", BOTH, BOTH, 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Provide a run with five members that form a cluster, and clients that write."""
    folder = tmp_path_factory.mktemp("soak")
    with five(folder, build_sample(folder), {}) as cluster:
        made = Run(cluster, SEED, lambda _text: None)
        with made.writer:
            made.form()
            yield made


pytestmark = pytest.mark.xdist_group("soak")


@pytest.mark.timeout(SECONDS + 300, func_only=True)
def test_nothing_is_wrong_in_a_short_run(run: Run) -> None:
    """Steps by chance from a fixed seed: one cluster, and nothing lost, after each."""
    report = run.go(plan(SEED), time.monotonic() + SECONDS)
    assert report.steps > 0
    assert report.promised > 0
    assert run.steps == [str(step) for step in itertools.islice(plan(SEED), report.steps)]


def test_a_value_that_is_lost_is_found(run: Run) -> None:
    """A key that is deleted on all members: named, with who acknowledged it."""
    disturbed = time.monotonic()
    operator = calm(run)
    with run.writer.pausing():
        lives = {each.number: operator.views[each.node].life for each in run.members}
        key, last = next(iter(run.book.promised(disturbed, lives).items()))
        with connect(run.members[0]) as connection:
            call(connection, ("mnesia", "dirty_delete", [Atom("sample"), key]))
    with pytest.raises(SoakError, match=rf"None for key {key}, but {last.value} was acknowledged"):
        run.check(operator, disturbed)
    run.book.doubt(key)


def test_copies_that_differ_are_found(run: Run) -> None:
    """An entry that only one member has."""
    operator = calm(run)
    entry = (Atom("sample"), 10**9, 1)
    with connect(run.members[1]) as connection:
        call(connection, ("ets", "insert", [Atom("sample"), entry]))
        with pytest.raises(SoakError, match=f"have 1 different values: .{entry[1]}"):
            run.check(operator, time.monotonic())
        call(connection, ("ets", "delete", [Atom("sample"), entry[1]]))


def test_a_member_that_does_not_come_up_is_found(run: Run) -> None:
    """One whose setting is wrong: it is started again and again, until the bound."""
    member = run.members[2]
    member.stop()
    member.start(NODE_TYPE="neither")
    operator = Operator(run.five, NOTHING, run.identity)
    start, member.start = member.start, lambda **_: start(NODE_TYPE="neither")  # type: ignore[method-assign]
    try:
        with pytest.raises(SoakError, match=f"(?s)not calm within.*{member.node}: "):
            operator.wait_for_calm(SHORT / 2)
    finally:
        member.start = start  # type: ignore[method-assign]
        member.kill()
        member.start()
        calm(run)


def test_a_second_cluster_is_found(run: Run) -> None:
    """A member with an empty disk that is told to run alone."""
    member = run.members[3]
    member.stop()
    member.volume.wipe()
    member.start(JOIN_CLUSTER="false")
    with pytest.raises(SoakError, match=f"{member.node} runs in a second cluster"):
        Operator(run.five, NOTHING, run.identity).wait_for_calm(2 * SHORT)
    member.stop()
    member.volume.wipe()
    member.start()
    calm(run)


def test_a_farewell_that_fails_is_found_unless_it_hangs(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs is noted, and its member restarted: it is a member still."""
    member = run.members[4]
    leaves = Step(number=1, kind="leave", targets=(member.number,))
    calm(run)
    for output, hangs in (("no reason", False), ("leave_cluster did not end within 9 s", True)):
        with monkeypatch.context() as changed:
            changed.setattr(member, "run", lambda *_words, said=output: (2, said))
            if hangs:
                commit(run.five, leaves)
            else:
                with pytest.raises(SoakError, match=r"cannot leave .status 2.: no reason"):
                    commit(run.five, leaves)
    assert run.five.helped == [f"{member.node} was restarted, since leave_cluster hung"]
    run.five.helped.clear()
    assert calm(run).done == []


def calm(run: Run) -> Operator:
    """Wait until the members are one cluster; return who has seen it."""
    operator = Operator(run.five, NOTHING, run.identity)
    operator.wait_for_calm(90.0)
    return operator


def test_clients_write_only_where_the_server_has_started(run: Run) -> None:
    """Mnesia runs alone on a member: values are acknowledged by all others, none by it."""
    calm(run)
    member = run.members[4]
    with connect(member) as connection:
        call(connection, ("application", "stop", [Atom("mongooseim")]))
        with run.writer.pausing():
            begun = time.monotonic()
        try:
            give_up = begun + SHORT
            while acknowledged_since(run, begun) != run.five.members.keys() - {member.number}:
                assert time.monotonic() < give_up
                time.sleep(0.1)
            time.sleep(1.0)  # some thirty values more
            assert member.number not in acknowledged_since(run, begun)
        finally:
            call(connection, ("application", "start", [Atom("mongooseim"), Atom("permanent")]))
    calm(run)


def acknowledged_since(run: Run, begun: float) -> set[int]:
    """Return the members that have acknowledged values since `begun`."""
    with run.writer.pausing():
        attempts = itertools.chain.from_iterable(run.book.acknowledged.values())
        return {attempt.member for attempt in attempts if attempt.at > begun}


def test_a_slow_disk_holds_writes_up_until_it_is_healed(run: Run) -> None:
    """One of the writes that follow each other waits for a whole frozen time."""
    host, volume = run.members[0].host, run.members[0].volume
    assert host.holder is not None
    file = Path(f"/proc/{host.holder.pid}/root/{volume.path}/written")
    volume.slow()
    try:
        give_up = time.monotonic() + SHORT
        while seconds_of_write(file) < FROZEN:
            assert time.monotonic() < give_up
    finally:
        volume.heal()
    file.unlink()  # it would hang if the volume were still frozen
    calm(run)


def seconds_of_write(file: Path) -> float:
    """Write a byte to the disk; return how long it took."""
    begun = time.monotonic()
    with file.open("wb") as opened:
        opened.write(b".")
        opened.flush()
        os.fsync(opened.fileno())
    return time.monotonic() - begun


def test_the_soak_says_what_it_needs_where_no_volume_can_be_made() -> None:
    """One line, with the reason."""

    class NoLoopDevices(Host):
        root = Path("/nowhere")

        def __init__(self) -> None:
            pass

        def shell(self, script: str) -> str:
            why = "mount: failed to setup loop device\n"
            raise subprocess.CalledProcessError(1, script, stderr=why)

    said = "the soak needs root, loop devices and ext4: mount: failed to setup loop device"
    with pytest.raises(VolumeError, match=f"^{said}$"):
        Volume(NoLoopDevices(), Path("/nowhere/data"))


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (WHOLE, ""),
        (WHOLE._replace(why="it stops"), f"{B}: it stops"),
        (View("it does not run"), f"{B}: it does not run"),
        (WHOLE._replace(identity="theirs"), f"{B} is in another cluster: theirs, not ours"),
        (WHOLE._replace(members=frozenset({B})), f"{B} has as members {B}"),
        (WHOLE._replace(running=frozenset()), f"{B} runs together with none only"),
    ],
)
def test_what_keeps_two_from_being_one_cluster_is_said(view: View, said: str) -> None:
    """Each thing by which a node can differ."""
    assert not_one_cluster({A: WHOLE, B: view}, "ours") == ([said] if said else [])


def book() -> Book:
    """Return a book with one value of each kind, on member 1 unless said."""
    made = Book()
    made.note(1, Attempt(10, 1, 7, 90.0))  # while the cluster was whole
    made.note(1, Attempt(20, 1, 7, 99.0))  # just before it was disturbed
    made.note(2, Attempt(30, 2, 8, 101.0))  # while it was disturbed
    return made


@pytest.mark.parametrize(
    ("lives", "promised"),
    [
        ({1: 7, 2: 8}, {1: 20, 2: 30}),
        ({1: 6, 2: 8}, {1: 10, 2: 30}),
        ({1: 7, 2: 9}, {1: 20}),
        ({}, {1: 10}),
    ],
)
def test_what_counts_as_promised(lives: dict[int, int], promised: dict[int, int]) -> None:
    """What is old enough, and what was acknowledged by a VM that runs on."""
    found = book().promised(100.0, lives)
    assert {key: attempt.value for key, attempt in found.items()} == promised
    table = dict(promised)
    assert lost_values({A: table}, book(), 100.0, lives) == []
    for key, value in promised.items():
        (said,) = lost_values({A: {**table, key: value - 1}}, book(), 100.0, lives)
        assert said.startswith(f"{A} has {value - 1} for key {key}, but {value} was acknowledged")


def test_what_is_settled_is_looked_at_again() -> None:
    """A value that was lost without being promised is forgotten, one that was kept is not."""
    made = book()
    made.settle({1: 10}, 100.0, {})
    assert made.promised(200.0, {}) == {1: Attempt(10, 1, 7, 90.0)}
    made.doubt(1)
    assert made.promised(200.0, {}) == {}


def test_a_seed_gives_the_same_steps_and_all_kinds_come() -> None:
    """In words too; each kind within a hundred steps."""
    first, again = (list(itertools.islice(plan(7), 100)) for _ in range(2))
    assert list(map(str, first)) == list(map(str, again))
    assert {step.kind for step in first} == KINDS.keys() == WORDS.keys()
    assert list(map(str, first)) != list(map(str, itertools.islice(plan(8), 100)))


def test_a_client_leaves_no_connection_open_to_a_member_that_does_not_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is connected, and its first question fails: one that ends just then."""
    opened: list[Connection] = []
    closed: list[Connection] = []

    class Watched(Connection):
        def close(self) -> None:
            super().close()
            closed.append(self)

    def connect_to_it(_member: object, host: str) -> Connection:
        name, port = "mongooseim@chat-1", node.epmd_port
        opened.append(Watched(node.address, name, host, "sample", SHORT, epmd_port=port))
        return opened[-1]

    monkeypatch.setattr(soak_clients, "connect", connect_to_it)
    with running(new_address(), Manners()) as node:
        writer = Writer(run.members[:1], Book(), SEED)
        writer.identity = "ours"
        with writer:
            give_up = time.monotonic() + SHORT
            while len(opened) < 2 and time.monotonic() < give_up:
                time.sleep(0.01)
    assert len(opened) > 1
    assert closed == opened
