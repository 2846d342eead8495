"""The distribution protocol: a recorded conversation with a real node, and malformed packets."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import golden_vectors as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.erlang import epmd, messages
from member_entrypoint.erlang.etf import encode
from member_entrypoint.erlang.messages import DOWN, delivered, read_challenge
from member_entrypoint.terms import Atom, TermError

LOOPBACK = "127.0.0.1"
STEPS = [(who, bytes.fromhex(data)) for who, data in golden.load("conversation")]
CHALLENGE = STEPS[1][1][7:]
EPMD = {name: bytes.fromhex(answer) for name, answer in golden.load("epmd").items()}
PID = golden.READ["pid of the old form"][1]


def recorded_packets() -> list[bytes]:
    """Return the packets that the node sent after the handshake, the ticks among them."""
    data = b"".join(data for who, data in STEPS[4:] if who == "node")
    packets = []
    while data:
        (length,) = struct.unpack_from("!I", data)
        packets.append(data[4 : 4 + length])
        data = data[4 + length :]
    return packets


PACKETS = recorded_packets()


@contextlib.contextmanager
def serving(*answers: bytes | None) -> Iterator[int]:
    """Take a connection for each answer, read a request and answer it; give the port.

    The connection is closed behind the answer, as an epmd does. None takes no connection.
    """
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer or b"")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_the_recorded_conversation_is_held_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that sends what a real one sent gets, byte by byte, what the real one got.

    That is a whole handshake, calls, a monitor, a tick and messages to a pid and to a name.
    """
    golden.make_predictable(monkeypatch)
    got: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as server:

        def replay() -> None:
            connection, _ = server.accept()
            with connection:
                for who, data in STEPS:
                    if who == "node":
                        connection.sendall(data)
                        continue
                    got.append(b"")
                    while len(got[-1]) < len(data) and (
                        part := connection.recv(len(data) - len(got[-1]))
                    ):
                        got[-1] += part

        thread = threading.Thread(target=replay)
        thread.start()
        answer = EPMD["port of a node with protocol 6"]
        answer = answer[:2] + struct.pack("!H", server.getsockname()[1]) + answer[4:]
        with serving(answer) as epmd_port:
            said = golden.talk(LOOPBACK, epmd_port)
        thread.join()
    assert said == golden.SAID
    assert [data for who, data in STEPS if who == "us"] == got


def test_the_recorded_packets_have_all_kinds() -> None:
    """A tick, SEND, REG_SEND and the end of a process that is monitored."""
    kinds = {packet[5] for packet in PACKETS if packet}
    assert {messages.SEND, messages.REG_SEND, messages.MONITOR_P_EXIT} <= kinds
    assert b"" in PACKETS


@pytest.mark.parametrize("packet", [packet for packet in PACKETS if packet])
def test_a_cut_packet_is_an_error(packet: bytes) -> None:
    """Wherever it ends."""
    for size in range(len(packet)):
        with pytest.raises(TermError):
            delivered(packet[:size])


@pytest.mark.parametrize("packet", [packet for packet in PACKETS if packet])
def test_a_packet_with_a_wrong_byte_is_an_error_or_another_packet(packet: bytes) -> None:
    """Nothing else gets out, whichever bit is flipped."""
    for place in range(len(packet)):
        for bit in range(8):
            changed = bytearray(packet)
            changed[place] ^= 1 << bit
            with contextlib.suppress(TermError):
                assert len(delivered(bytes(changed))) <= 1


@given(st.binary())
def test_any_packet_is_an_error_or_a_message(data: bytes) -> None:
    """Nothing else gets out."""
    with contextlib.suppress(TermError):
        assert len(delivered(data)) <= 1
    with contextlib.suppress(TermError):
        assert len(delivered(b"p\x83h" + data)) <= 1


@pytest.mark.parametrize(
    "control",
    [1, Atom("a"), [], (), ([1], 2), ((2,),), (2.0,), (Atom("x"), 1), (21, 1, 2, 3), b"\2"],
    ids=repr,
)
def test_a_control_message_that_is_none_is_an_error(control: Any) -> None:
    """It is a tuple that begins with the number of its kind, and as long as that kind is."""
    with pytest.raises(TermError, match="control message"):
        delivered(b"p\x83" + encode(control) + b"\x83a\1")


def test_deeply_nested_control_messages_are_an_error() -> None:
    """They cost no stack."""
    with pytest.raises(TermError, match="nested deeper"):
        delivered(b"p\x83" + b"h\x01" * 3000 + b"j")


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ((2, Atom(""), PID), [7]),
        ((6, PID, Atom(""), Atom("name")), [7]),
        ((21, PID, PID, PID, Atom("over")), [(DOWN, "over")]),
        ((1, PID, PID), []),
        ((3, PID, PID, Atom("over")), []),
        ((2**40,), []),
    ],
    ids=repr,
)
def test_only_messages_to_us_are_delivered(control: Any, message: list[Any]) -> None:
    """Links, exits and what newer nodes may send are passed over."""
    assert delivered(b"p\x83" + encode(control) + b"\x83a\7") == message


def test_packets_of_another_kind_are_an_error() -> None:
    """Those with an atom cache are not agreed on."""
    with pytest.raises(TermError, match="another kind"):
        delivered(b"\x83D\0h\3a\2j")


def test_the_recorded_challenge_is_read() -> None:
    """The number, and the name of the node."""
    challenge, node = read_challenge(CHALLENGE, new=True)
    assert node == golden.TARGET
    reply = STEPS[2][1]
    assert messages.digest(golden.COOKIE, challenge) == reply[-16:]
    assert STEPS[3][1] == b"\0\x11a" + messages.digest(golden.COOKIE, 0xCAFECAFE)


@pytest.mark.parametrize("new", [True, False])
def test_a_challenge_that_is_none_is_an_error(*, new: bool) -> None:
    """Cut short, or of the other handshake."""
    with pytest.raises(struct.error, match="not a challenge"):
        read_challenge((b"n" if new else b"N") + CHALLENGE[1:], new=new)
    with pytest.raises(struct.error):
        read_challenge(CHALLENGE[:10], new=new)


def test_an_epmd_tells_names_and_ports() -> None:
    """Real answers of an epmd that knows a node, and of one that knows none."""
    with serving(EPMD["names"], EPMD["names of none"]) as port:
        assert epmd.names(LOOPBACK, port=port) == epmd.Names(("chat",), "")
        assert epmd.names(LOOPBACK, port=port) == epmd.Names((), "")
    with serving(
        EPMD["port of a node with protocol 6"], EPMD["port of a node with protocol 5"]
    ) as port:
        assert epmd.node_port(LOOPBACK, "chat", port=port) == (4321, 6)
        assert epmd.node_port(LOOPBACK, "chat", port=port) == (4321, 5)
    with (
        serving(EPMD["port of none"]) as port,
        pytest.raises(epmd.NotRegisteredError, match="has no node chat"),
    ):
        epmd.node_port(LOOPBACK, "chat", port=port)


@pytest.mark.parametrize("name", ["registered with protocol 5", "registered with protocol 6"])
def test_an_epmd_accepts_a_name(name: str) -> None:
    """Both forms of the answer, by the byte."""
    with serving(EPMD[name]) as port:
        epmd.Registration("chat", port=port).close()


@pytest.mark.parametrize("answer", [EPMD["registered twice"], b"y\1\0\0", b"", b"y", b"HTTP/1.1"])
def test_an_epmd_that_does_not_accept_a_name_is_an_error(answer: bytes) -> None:
    """Another node has the name, the answer is cut short or comes from something else."""
    with serving(answer) as port, pytest.raises(OSError, match="epmd"):
        epmd.Registration("chat", port=port)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"\0\0\x11", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x11\x11name chat at po"),
        *(b"\0\0\x11\x11name chat at port x\n", b"x" * (epmd.LONGEST_ANSWER + 1)),
    ],
    ids=lambda answer: answer[:12],
)
def test_what_is_no_epmd_does_not_say_that_no_node_runs(answer: bytes) -> None:
    """A proxy that closes the connection, or another server, knows nothing of the nodes there."""
    with serving(answer) as port:
        known = epmd.names(LOOPBACK, port=port)
    assert known.names is None
    assert not known.refused
    assert "epmd" in known.reason


@pytest.mark.parametrize("answer", [b"", b"w", b"w\0", b"w\0\1\2\3\4\5", b"HTTP/1.1"])
def test_a_port_that_is_cut_short_is_an_error(answer: bytes) -> None:
    """It is not said that the node is not registered."""
    with serving(answer) as port, pytest.raises(epmd.NotRegisteredError) as error:
        epmd.node_port(LOOPBACK, "chat", port=port)
    assert "has no node" not in str(error.value)


def test_a_host_without_epmd_refuses() -> None:
    """That is, the host is there, and no node runs on it."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    known = epmd.names(LOOPBACK, port=port)
    assert known.names is None
    assert known.refused


@given(st.binary(max_size=300))
def test_any_answer_of_an_epmd_is_names_or_a_reason(data: bytes) -> None:
    """Nothing else gets out."""
    with serving(data, data) as port:
        known = epmd.names(LOOPBACK, port=port)
        assert (known.names is None) == bool(known.reason)
        with contextlib.suppress(epmd.NotRegisteredError):
            epmd.node_port(LOOPBACK, "chat", port=port)
