"""Talking to a node in Erlang's own distribution protocol, without booting a VM for it.

A connection here is a hidden node, as the C nodes of `erl_interface` are: the cluster does not
mesh with it. Plain TCP only; what uses TLS, or another carrier, is asked through `erlang.rpc`.

Source: "Distribution Protocol" in the ERTS manual. Both handshakes are spoken, that of OTP 23 and
newer and the older one.
"""

import os
import secrets
import socket
import struct
import time
from collections import deque
from hashlib import md5
from itertools import cycle
from typing import Any, Self

from member_entrypoint.erlang import epmd
from member_entrypoint.erlang.etf import (
    LONGEST_ATOM,
    NEW_PID,
    NEW_REFERENCE,
    OLD_PID,
    OLD_REFERENCE,
    VERSION,
    Identifier,
    Reader,
    encode,
)
from member_entrypoint.terms import Atom, TermError

HIGHEST, LOWEST = 6, 5
FLAGS = {
    "EXTENDED_REFERENCES": 0x4,
    "DIST_MONITOR": 0x8,
    "FUN_TAGS": 0x10,
    "DIST_MONITOR_NAME": 0x20,
    "NEW_FUN_TAGS": 0x80,
    "EXTENDED_PIDS_PORTS": 0x100,
    "EXPORT_PTR_TAG": 0x200,
    "BIT_BINARIES": 0x400,
    "NEW_FLOATS": 0x800,
    "UTF8_ATOMS": 0x10000,
    "MAP_TAG": 0x20000,
    "BIG_CREATION": 0x40000,
    "HANDSHAKE_23": 0x1000000,
    "UNLINK_ID": 0x2000000,
    "V4_NC": 0x400000000,
}
OUR_FLAGS = sum(FLAGS.values())
OLD_FLAGS = OUR_FLAGS & 0xFFFFFF & ~FLAGS["BIG_CREATION"]
SEND, REG_SEND = 2, 6
MONITOR_P, MONITOR_P_EXIT = 19, 21
MONITOR_P_EXIT_LENGTH = 5
DOWN = Atom("DOWN")
# A node keeps each name that it was ever connected with, an atom, for as long as it lives: those
# of a process that connects again and again are few.
_TOKEN = secrets.token_hex(3)
_NUMBERS = cycle(range(10, 74))  # of two digits each: all names are of one length
PASS_THROUGH = b"p"
TICK = b"\0\0\0\0"
CHUNK = 65536
LONGEST_PACKET = 1 << 24
MOST_WAITING = 1000
"""How many messages are kept that nobody has asked for."""


class DistributionError(Exception):
    """The node cannot be talked to this way; the text says why."""


class NoAnswerError(DistributionError):
    """The node was asked, and did not answer in time, or went away."""


class OtherNodeError(NoAnswerError):
    """Another node answers at this address; the text says which."""


class RefusedError(DistributionError):
    """The node is there, and refuses us: another cookie, most likely."""


class Connection:
    """An authenticated connection to a node; use it as a context manager."""

    def __init__(  # noqa: PLR0913 - whom, where, as whom, and for how long
        self,
        address: str,
        node: str,
        own_host: str,
        cookie: str,
        timeout: float,
        *,
        epmd_port: int = epmd.PORT,
    ) -> None:
        """Connect to `node` at `address` within `timeout` seconds.

        Raises `NotRegisteredError`, `RefusedError` where the cookie is another one,
        `OtherNodeError`, `NoAnswerError` where the time is over, else `DistributionError`.
        """
        self._deadline = time.monotonic() + timeout
        self._name = f"entrypoint-{os.getpid()}-{_TOKEN}-{next(_NUMBERS)}@{own_host}"
        self._calls = 0
        self._waiting: deque[Any] = deque()
        self._received = bytearray()
        port, version = epmd.node_port(address, node.partition("@")[0], timeout, epmd_port)
        self._new = version >= HIGHEST
        try:
            self._socket = socket.create_connection((address, port), self._left())
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                self._creation = self._shake_hands(node, cookie)
            except BaseException:
                self.close()
                raise
        except TimeoutError:
            raise NoAnswerError(f"{node}: no answer within {timeout:g} s") from None
        except OSError as error:
            raise DistributionError(f"{node}: {error.strerror or error}") from None
        except (struct.error, UnicodeError) as error:
            raise DistributionError(f"{node}: does not speak the protocol ({error})") from None

    def __enter__(self) -> Self:
        """Return this connection."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close this connection."""
        self.close()

    def close(self) -> None:
        """Close it; the node forgets us."""
        self._socket.close()

    def call(self, module: str, function: str, arguments: list[Any], timeout: float) -> Any:
        """Return what `module:function(arguments)` gives on the node, within `timeout` seconds.

        `{badrpc, Reason}` is returned as it is. Raises `DistributionError`, or `TermError` for
        arguments that are no Erlang terms.
        """
        request = (Atom("call"), Atom(module), Atom(function), arguments, Atom("user"))
        return self.request("rex", request, timeout)

    def request(self, name: str, request: Any, timeout: float) -> Any:
        """Return what the server that is registered as `name` there answers to a request.

        As for `call`, which asks the server `rex`.
        """
        self._deadline = time.monotonic() + timeout
        self._calls += 1
        reference = self._reference(self._calls)
        message = (Atom("$gen_call"), (self.pid, reference), request)
        self._send((REG_SEND, self.pid, Atom(""), Atom(name)), message)
        while True:
            answer = self._receive()
            if isinstance(answer, tuple) and answer[:1] == (reference,):
                return answer[1]
            if len(self._waiting) == MOST_WAITING:
                raise DistributionError("the node sends messages that nobody asked for")
            self._waiting.append(answer)

    def monitor(self, name: str) -> None:
        """Have `receive` return `(DOWN, Reason)` when the process of this name ends there."""
        self._calls += 1
        self._send((MONITOR_P, self.pid, Atom(name), self._reference(self._calls)))

    @property
    def pid(self) -> Identifier:
        """The process that we pretend to be."""
        if self._new:
            return Identifier(NEW_PID, self._name, struct.pack("!III", 1, 0, self._creation))
        return Identifier(OLD_PID, self._name, struct.pack("!IIB", 1, 0, self._creation & 3))

    def _reference(self, number: int) -> Identifier:
        if self._new:
            rest = struct.pack("!IIII", self._creation, number, 0, 0)
            return Identifier(NEW_REFERENCE, self._name, rest, 3)
        rest = struct.pack("!BIII", self._creation & 3, number, 0, 0)
        return Identifier(OLD_REFERENCE, self._name, rest, 3)

    def receive(self, timeout: float | None) -> Any:
        """Return the next message sent to us; None waits for ever, answering the node's ticks.

        Raises `NoAnswerError` when the node is gone or the time is over.
        """
        if self._waiting:
            return self._waiting.popleft()
        self._deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        return self._receive()

    def _receive(self) -> Any:
        while True:
            try:
                packet = self._packet()
                if not packet:
                    self._transmit(TICK)
                    continue
            except TimeoutError:
                raise NoAnswerError("no answer in time") from None
            except OSError as error:
                raise NoAnswerError(f"no answer: {error.strerror or error}") from None
            try:
                messages = delivered(packet)
            except TermError as error:
                raise DistributionError(f"an answer that is not understood: {error}") from None
            if messages:
                return messages[0]

    def _send(self, control: tuple[Any, ...], message: Any = None) -> None:
        packet = PASS_THROUGH + VERSION + encode(control)
        if message is not None:
            packet += VERSION + encode(message)
        try:
            self._transmit(struct.pack("!I", len(packet)) + packet)
        except OSError as error:
            raise DistributionError(f"cannot be sent to: {error.strerror or error}") from None

    def _transmit(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        try:
            self._socket.sendall(data)
        except OSError:
            # A part may have been sent: nothing can follow it.
            self.close()
            raise

    def _left(self) -> float | None:
        """Return the seconds until the deadline, None for no deadline; raises TimeoutError."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(None, "no answer in time")
        return None if left == float("inf") else left

    def _fill(self, size: int) -> None:
        """Receive until there are `size` bytes, which stay there when the time is over first."""
        while len(self._received) < size:
            self._socket.settimeout(self._left())
            part = self._socket.recv(CHUNK)
            if not part:
                raise ConnectionResetError(None, "the connection was closed")
            self._received += part

    def _take(self, size: int) -> bytes:
        self._fill(size)
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def _packet(self) -> bytes:
        self._fill(4)
        (length,) = struct.unpack("!I", self._received[:4])
        if length > LONGEST_PACKET:
            raise DistributionError(f"the node sends {length} bytes at once")
        self._fill(4 + length)
        return self._take(4 + length)[4:]

    def _frame(self) -> bytes:
        return self._take(struct.unpack("!H", self._take(2))[0])

    def _send_frame(self, data: bytes) -> None:
        self._transmit(struct.pack("!H", len(data)) + data)

    def _shake_hands(self, node: str, cookie: str) -> int:
        """Prove to each other that we know the cookie; return our creation."""
        name = self._name.encode()
        creation = secrets.randbelow(2**32 - 4) + 4
        if self._new:
            self._send_frame(struct.pack("!cQIH", b"N", OUR_FLAGS, creation, len(name)) + name)
        else:
            self._send_frame(struct.pack("!cHI", b"n", LOWEST, OLD_FLAGS) + name)
        status = self._frame()
        if status[:1] != b"s":
            raise DistributionError(f"{node}: does not speak the protocol")
        if status not in {b"sok", b"sok_simultaneous"}:
            word = _printable(status[1:].decode(errors="replace"))
            raise RefusedError(f"the node refuses us: {word}")
        challenge, answering = read_challenge(self._frame(), new=self._new)
        if answering != node:
            raise OtherNodeError(f"what answers there is not {node} but {_printable(answering)}")
        ours = secrets.randbits(32)
        self._send_frame(b"r" + struct.pack("!I", ours) + digest(cookie, challenge))
        try:
            answer = self._frame()
        except ConnectionError:
            raise RefusedError("the node refuses our cookie") from None
        if answer != b"a" + digest(cookie, ours):
            raise RefusedError("the node does not know our cookie")
        return creation


def _printable(text: str) -> str:
    """Return what a node says of itself, fit for a line of the log."""
    return "".join(char if char.isprintable() else "?" for char in text[:LONGEST_ATOM])


def read_challenge(frame: bytes, *, new: bool) -> tuple[int, str]:
    """Return the challenge in a frame of the handshake, and the name of the node that sent it.

    Raises struct.error or UnicodeError for a frame that is none.
    """
    layout = "!cQIIH" if new else "!cHII"
    fields = struct.unpack_from(layout, frame)
    if fields[0] != (b"N" if new else b"n"):
        raise struct.error("not a challenge")
    name = frame[struct.calcsize(layout) :]
    return fields[2 if new else 3], name[: fields[4] if new else None].decode()


def digest(cookie: str, challenge: int) -> bytes:
    """Return what proves to the sender of `challenge` that we know `cookie`."""
    return md5(f"{cookie}{challenge}".encode(), usedforsecurity=False).digest()


def delivered(packet: bytes) -> list[Any]:
    """Return the message that a packet of a node delivers to us: one, or none.

    The end of a process that is monitored comes as `(DOWN, Reason)`. Raises `TermError` for a
    packet that is malformed.
    """
    if packet[:1] != PASS_THROUGH:
        raise TermError("a packet of another kind than was agreed on")
    reader = Reader(packet[1:])
    control = reader.term()
    if not isinstance(control, tuple) or not control or type(control[0]) is not int:
        raise TermError("a control message that is none")
    if control[0] in {SEND, REG_SEND}:
        return [reader.term()]
    if control[0] != MONITOR_P_EXIT:
        return []
    if len(control) != MONITOR_P_EXIT_LENGTH:
        raise TermError("a control message that is none")
    return [(DOWN, control[4])]
