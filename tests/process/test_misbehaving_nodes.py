"""Connections to a node that misbehaves on purpose: always an error of ours, in time."""

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from loopback import new_address
from misbehaving_node import CHALLENGE, Manners, Node, packet, running

from member_entrypoint.erlang import distribution, epmd
from member_entrypoint.erlang.distribution import (
    Call,
    Connection,
    DistributionError,
    NoAnswerError,
    OtherNodeError,
    RefusedError,
)
from member_entrypoint.erlang.etf import OLD_PID, OLD_REFERENCE, Identifier
from member_entrypoint.erlang.messages import digest
from member_entrypoint.terms import Atom

ADDRESS = new_address()
NAME = "mongooseim@chat-1"
COOKIE = "sample"
LONG, SHORT, STEP = 60.0, 1.0, 0.3
CALL: Call = ("erlang", "node", [])
PROTOCOLS = [pytest.param(False, id="new"), pytest.param(True, id="old")]


def answer(*call: Any) -> Any:
    """Give the call back."""
    return call


def connect(node: Node, timeout: float = LONG, cookie: str = COOKIE) -> Connection:
    """Connect to the node."""
    return Connection(node.address, NAME, "chat-2", cookie, timeout, epmd_port=node.epmd_port)


@contextlib.contextmanager
def refused(kind: type[Exception], said: str, **manners: Any) -> Iterator[Node]:
    """Run a node whose connection, or whose answer to a call, is an error of this kind."""
    with running(ADDRESS, Manners(**manners)) as node, pytest.raises(kind, match=said):
        yield node


@pytest.mark.parametrize("old", PROTOCOLS)
def test_a_node_answers_calls(*, old: bool) -> None:
    """The plain case, for both handshakes; one connection, several calls."""
    with running(ADDRESS, Manners(old=old, answer=answer)) as node, connect(node) as connection:
        for number in range(3):
            call = ("lists", "seq", [number, Atom("é"), b"\0", "x"])
            assert connection.call(*call, LONG) == ("lists", "seq", [number, "é", b"\0", [120]])


@pytest.mark.parametrize("old", PROTOCOLS)
def test_several_calls_are_sent_before_the_first_answer_comes(*, old: bool) -> None:
    """A node works at them side by side; each has its own answer, whichever comes first."""
    calls: list[Call] = [("lists", "seq", [number]) for number in range(3)]
    with (
        running(ADDRESS, Manners(old=old, answer=answer, gathers=len(calls))) as node,
        connect(node) as connection,
    ):
        assert connection.call_all(calls, LONG) == calls
        assert connection.call_all([], LONG) == []


def test_what_answers_no_call_is_kept_for_whom_it_concerns() -> None:
    """A message of the node comes between its answers, and one that looks like an answer."""
    stray = [([1], Atom("x")), (Atom("event"), b"x"), (Atom("x"),)]
    between = b"".join(packet((2, Atom(""), 0), message) for message in stray)
    with (
        running(ADDRESS, Manners(answer=answer, before_answer=between)) as node,
        connect(node) as connection,
    ):
        assert connection.call(*CALL, LONG) == CALL
        assert [connection.receive(LONG) for _ in stray] == stray


def test_the_old_handshake_is_that_of_the_manual() -> None:
    """OTP 22 and older: `n`, versions and flags of 32 bits, and identifiers of the old form.

    The format is that of the manual of OTP 22. No node that old could be recorded: OTP 25, from
    which the other vectors are, refuses the old handshake.
    """
    with running(ADDRESS, Manners(old=True, answer=answer)) as node, connect(node) as connection:
        connection.call(*CALL, LONG)
        connection.monitor("mnesia_subscr")
        connection.call(*CALL, LONG)
    (name, proof), (call, monitor, _) = node.frames[0], node.packets
    tag, version, flags = struct.unpack_from("!cHI", name)
    assert (tag, version) == (b"n", 5)
    assert name[7:].decode() == connection.pid.node
    # Extended references and pids are what no node does without; large creations it has not.
    assert flags & 0x104 == 0x104
    assert flags & 0x40000 == 0
    assert proof[:1] + proof[5:] == b"r" + digest(COOKIE, CHALLENGE)
    assert call == (6, connection.pid, "", "rex")
    assert connection.pid == Identifier(OLD_PID, connection.pid.node, connection.pid.rest)
    assert len(connection.pid.rest) == 9
    assert connection.pid.rest[8] < 4
    assert monitor[:3] == (19, connection.pid, "mnesia_subscr")
    assert monitor[3].tag == OLD_REFERENCE
    assert monitor[3].rest[0] < 4


@pytest.mark.parametrize("status", [b"nok", b"not_allowed", b"alive", b"named:x", b"", b"\xff"])
@pytest.mark.parametrize("old", PROTOCOLS)
def test_a_node_that_refuses_is_quoted(status: bytes, *, old: bool) -> None:
    """Its own word is in the error."""
    said = status.decode(errors="replace")
    with refused(RefusedError, f"refuses us: {said}$", status=status, old=old) as node:
        connect(node)


def test_both_words_for_yes_are_taken() -> None:
    """`ok_simultaneous` is what a node says that connects to us at the same time."""
    with running(ADDRESS, Manners(status=b"ok_simultaneous")) as node, connect(node):
        pass


@pytest.mark.parametrize("old", PROTOCOLS)
def test_another_cookie_is_refused(*, old: bool) -> None:
    """A node closes the connection when our proof is wrong; and it must prove itself, too."""
    with refused(RefusedError, "refuses our cookie", old=old) as node:
        connect(node, cookie="other")
    with refused(RefusedError, "does not know our cookie", old=old, proof=b"x" * 16) as node:
        connect(node)
    with refused(RefusedError, "does not know our cookie", old=old, proof=b"") as node:
        connect(node)


@pytest.mark.parametrize("old", PROTOCOLS)
def test_another_node_at_the_address_is_not_taken_for_the_one_that_was_meant(*, old: bool) -> None:
    """As Erlang has it: an address that was given to another host has another node."""
    with refused(OtherNodeError, "not mongooseim@chat-1 but a@b", says_name="a@b", old=old) as node:
        connect(node)


def test_a_node_must_speak_the_handshake_that_its_epmd_says() -> None:
    """A challenge of the other kind is none."""
    with refused(DistributionError, "does not speak the protocol", old=True) as old:
        port, _ = epmd.node_port(ADDRESS, "mongooseim", LONG, old.epmd_port)
        said = struct.pack("!cBHBBHHH", b"w", 0, port, 77, 0, 6, 5, 10) + b"mongooseim\0\0"
        with running(ADDRESS, Manners(epmd_says=said)) as new:
            connect(new)


def handshake_size(manners: Manners) -> int:
    """Return how many bytes a node sends in a handshake."""
    with running(ADDRESS, manners) as node, connect(node):
        pass
    return node.sent[0]


@pytest.mark.parametrize("old", PROTOCOLS)
def test_a_node_that_goes_away_in_the_handshake_is_an_error(*, old: bool) -> None:
    """At every byte."""
    for size in range(handshake_size(Manners(old=old))):
        with refused(DistributionError, ".", old=old, closes_after=size) as node:
            connect(node)


def test_a_node_that_goes_away_in_its_answer_gives_none() -> None:
    """At every byte."""
    manners = Manners(answer=answer)
    begin = handshake_size(manners)
    with running(ADDRESS, manners) as node, connect(node) as connection:
        connection.call(*CALL, LONG)
    for size in range(begin, node.sent[0]):
        # A connection is made when the last byte of the handshake is there.
        with (
            refused(NoAnswerError, "closed|reset", answer=answer, closes_after=size) as node,
            connect(node) as connection,
        ):
            connection.call(*CALL, LONG)


@pytest.mark.parametrize("old", PROTOCOLS)
def test_an_answer_may_come_byte_by_byte(*, old: bool) -> None:
    """Slow is not wrong."""
    manners = Manners(old=old, answer=answer, drips=0.0)
    with running(ADDRESS, manners) as node, connect(node) as connection:
        assert connection.call(*CALL, LONG) == CALL


def test_the_deadline_holds_against_a_node_that_drips() -> None:
    """Each byte comes in time, all of them would take a quarter of a minute."""
    with refused(NoAnswerError, "no answer within 1 s", drips=STEP) as node:
        connect(node, SHORT)


def test_the_deadline_of_a_call_holds_against_a_node_that_drips() -> None:
    """A quick handshake does not make up for a slow answer."""
    slow = b"\0\0\0\0" * 1000
    with (
        running(ADDRESS, Manners(answer=answer, after_handshake=slow, drips=0.01)) as node,
        connect(node) as connection,
        pytest.raises(NoAnswerError, match="no answer in time"),
    ):
        connection.call(*CALL, SHORT)


def test_the_deadline_holds_against_an_epmd_that_drips() -> None:
    """Each byte of its answer comes in time, the whole does not."""
    with running(ADDRESS, Manners(epmd_drips=STEP)) as node:
        with pytest.raises(epmd.NotRegisteredError, match="no answer from"):
            epmd.node_port(ADDRESS, "mongooseim", SHORT, node.epmd_port)
        known = epmd.names(ADDRESS, SHORT, node.epmd_port)
        assert known.names is None
        assert "no answer" in known.reason


def test_the_deadline_is_one_for_all_steps() -> None:
    """The epmd and each message of the handshake come in time, all together do not."""
    with refused(NoAnswerError, "no answer within 1 s", waits=STEP) as node:
        connect(node, SHORT)


FLOODS = {
    "ticks": b"\0\0\0\0",
    "control messages": packet((1, Atom("a"), Atom("b"))) * 100,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_the_deadline_holds_against_a_flood(flood: str) -> None:
    """Something comes all the time, and is not what was asked for."""
    with (
        running(ADDRESS, Manners(floods_with=FLOODS[flood])) as node,
        connect(node) as connection,
        pytest.raises(NoAnswerError, match="no answer in time"),
    ):
        connection.call(*CALL, SHORT)


def test_a_flood_of_messages_is_an_error() -> None:
    """They are kept for whoever asks, and not without end."""
    message = packet((2, Atom(""), Atom("us")), (Atom("event"), 1))
    with (
        running(ADDRESS, Manners(floods_with=message * 100)) as node,
        connect(node) as connection,
        pytest.raises(DistributionError, match="nobody asked"),
    ):
        connection.call(*CALL, LONG)


def test_an_answer_that_comes_again_and_again_is_an_error() -> None:
    """It does not give the other answers more time."""
    with (
        running(ADDRESS, Manners(answer=answer, repeats=2000)) as node,
        connect(node) as connection,
        pytest.raises(DistributionError, match="nobody asked"),
    ):
        connection.call_all([CALL, CALL], LONG)


def test_messages_beside_an_answer_wait() -> None:
    """Other control messages and ticks are passed over, messages are kept in their order."""
    events = [packet((2, Atom(""), Atom("us")), number) for number in (1, 2)]
    unknown = packet((99, Atom("a")), 3)
    manners = Manners(answer=answer, before_answer=events[0] + unknown + b"\0\0\0\0" + events[1])
    with running(ADDRESS, manners) as node, connect(node) as connection:
        assert connection.call(*CALL, LONG) == CALL
        assert [connection.receive(LONG), connection.receive(LONG)] == [1, 2]


def test_a_message_that_is_cut_by_the_deadline_is_received_later() -> None:
    """No byte of it is lost: whoever waits again gets it whole."""
    event = packet((2, Atom(""), Atom("us")), [Atom("event")] * 20)
    waits = 0
    manners = Manners(after_handshake=event, drips=0.01)
    with running(ADDRESS, manners) as node, connect(node) as connection:
        while True:
            try:
                assert connection.receive(0.05) == ["event"] * 20
                break
            except NoAnswerError:
                waits += 1
    assert waits > 0


GARBAGE = {
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no term": b"\0\0\0\x04p\x83\xff\xff",
    "an integer": packet(7),
    "a list in a tuple": packet(([1], 2)),
    "a deep term": struct.pack("!I", 6003) + b"p\x83" + b"h\1" * 3000 + b"j",
    "a message that is cut": b"\0\0\0\x09p" + packet((2, 1, 2))[5:],
    "another kind": b"\0\0\0\x04\x83D\0j",
    "a huge length": b"\xff\xff\xff\xff",
    "a length beyond the limit": struct.pack("!I", distribution.LONGEST_PACKET + 1),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_behind_the_handshake_is_an_error(garbage: str) -> None:
    """Whatever it is, the node is not understood."""
    with (
        refused(DistributionError, ".", after_handshake=GARBAGE[garbage]) as node,
        connect(node) as connection,
    ):
        connection.receive(LONG)


def test_a_promise_of_much_is_an_answer_that_does_not_come() -> None:
    """A packet as long as it may be, of which nothing follows."""
    length = struct.pack("!I", distribution.LONGEST_PACKET)
    with (
        refused(NoAnswerError, "no answer in time", after_handshake=length) as node,
        connect(node) as connection,
    ):
        connection.receive(STEP)


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 70_000, b"\0\0", b"\0\1x"]
)
def test_garbage_in_the_handshake_is_an_error(garbage: bytes) -> None:
    """Another server listens there, and closes the connection."""
    manners = {"begins_with": garbage, "closes_after": len(garbage)}
    with refused(DistributionError, "does not speak|closed", **manners) as node:
        connect(node)


def test_what_a_node_says_of_itself_is_one_line_of_the_log() -> None:
    """Neither line feeds nor terminal escapes get through, nor a whole page."""
    with refused(
        RefusedError, r"^the node refuses us: a\?\?b{252}$", status=b"a\n\x1b" + b"b" * 999
    ) as node:
        connect(node)
