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

from member_entrypoint.erlang.epmd import node_port
from member_entrypoint.erlang.etf import (
    NEW_PID,
    NEW_REFERENCE,
    OLD_PID,
    OLD_REFERENCE,
    VERSION,
    Identifier,
    Reader,
    encode,
)
from member_entrypoint.terms import Atom

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
DOWN = Atom("DOWN")
# A node keeps each name that it was ever connected with, an atom, for as long as it lives: those
# of a process that connects again and again are few.
_TOKEN = secrets.token_hex(3)
_NUMBERS = cycle(range(64))
PASS_THROUGH = b"p"


class DistributionError(Exception):
    """The node cannot be talked to this way; the text says why."""


class NoAnswerError(DistributionError):
    """The node was asked, and did not answer in time, or went away."""


class RefusedError(DistributionError):
    """The node is there, and refuses us: another cookie, most likely."""


class Connection:
    """An authenticated connection to a node; use it as a context manager."""

    def __init__(self, address: str, node: str, own_host: str, cookie: str, timeout: float) -> None:
        """Connect to `node` at `address`; each step takes at most `timeout` seconds.

        Raises `NotRegisteredError`, `RefusedError` where the cookie is another one, else
        `DistributionError`.
        """
        self._deadline = time.monotonic() + timeout
        self._name = f"entrypoint-{os.getpid()}-{_TOKEN}-{next(_NUMBERS)}@{own_host}"
        self._calls = 0
        self._waiting: deque[Any] = deque()
        port, version = node_port(address, node.partition("@")[0], timeout)
        try:
            self._socket = socket.create_connection((address, port), timeout)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            try:
                self._creation = self._shake_hands(cookie, new=version >= HIGHEST)
            except BaseException:
                self._socket.close()
                raise
        except OSError as error:
            raise DistributionError(f"{node}: {error.strerror or error}") from None
        except (struct.error, IndexError, ValueError) as error:
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

        `{badrpc, Reason}` is returned as it is. Raises `DistributionError`.
        """
        self._deadline = time.monotonic() + timeout
        self._calls += 1
        reference = self._reference(self._calls)
        request = (Atom("call"), Atom(module), Atom(function), arguments, Atom("user"))
        message = (Atom("$gen_call"), (self.pid, reference), request)
        self._send((REG_SEND, self.pid, Atom(""), Atom("rex")), message)
        while True:
            answer = self._receive()
            if isinstance(answer, tuple) and answer[:1] == (reference,):
                return answer[1]
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
                (length,) = struct.unpack("!I", self._read(4))
                packet = self._read(length)
                if not packet:
                    self._socket.sendall(b"\0\0\0\0")
                    continue
                reader = Reader(packet[1:])
                control = reader.term()
                if packet[:1] == PASS_THROUGH and control[0] in {SEND, REG_SEND}:
                    return reader.term()
                if packet[:1] == PASS_THROUGH and control[0] == MONITOR_P_EXIT:
                    return DOWN, control[4]
            except OSError as error:
                raise NoAnswerError(f"no answer: {error.strerror or error}") from None
            except (struct.error, IndexError, ValueError) as error:
                raise DistributionError(f"an answer that is not understood: {error}") from None

    def _send(self, control: tuple[Any, ...], message: Any = None) -> None:
        packet = PASS_THROUGH + VERSION + encode(control)
        if message is not None:
            packet += VERSION + encode(message)
        try:
            self._socket.sendall(struct.pack("!I", len(packet)) + packet)
        except OSError as error:
            raise DistributionError(f"cannot be sent to: {error.strerror or error}") from None

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(None, "no answer in time")
            self._socket.settimeout(None if left == float("inf") else left)
            part = self._socket.recv(size - len(data))
            if not part:
                raise ConnectionResetError(None, "the connection was closed")
            data += part
        return data

    def _frame(self) -> bytes:
        return self._read(struct.unpack("!H", self._read(2))[0])

    def _send_frame(self, data: bytes) -> None:
        self._socket.sendall(struct.pack("!H", len(data)) + data)

    def _shake_hands(self, cookie: str, *, new: bool) -> int:
        """Prove to each other that we know the cookie; return our creation."""
        name = self._name.encode()
        creation = secrets.randbelow(2**32 - 4) + 4
        if new:
            self._send_frame(struct.pack("!cQIH", b"N", OUR_FLAGS, creation, len(name)) + name)
        else:
            self._send_frame(struct.pack("!cHI", b"n", LOWEST, OLD_FLAGS) + name)
        status = self._frame()
        if status not in {b"sok", b"sok_simultaneous"}:
            raise RefusedError(f"the node refuses us: {status[1:].decode(errors='replace')}")
        asked = self._frame()
        self._new = asked[:1] == b"N"
        offset = 9 if self._new else 7
        (challenge,) = struct.unpack("!I", asked[offset : offset + 4])
        ours = secrets.randbits(32)
        self._send_frame(b"r" + struct.pack("!I", ours) + _digest(cookie, challenge))
        try:
            answer = self._frame()
        except ConnectionError:
            raise RefusedError("the node refuses our cookie") from None
        if answer != b"a" + _digest(cookie, ours):
            raise RefusedError("the node does not know our cookie")
        return creation


def _digest(cookie: str, challenge: int) -> bytes:
    return md5(f"{cookie}{challenge}".encode(), usedforsecurity=False).digest()
