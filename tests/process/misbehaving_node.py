"""A node in Python, with an epmd of its own, that speaks as much of the protocol as peers ask for.

It does all that a node does in a connection of ours, or misbehaves on purpose, as its manners say.
Source: "Distribution Protocol" in the ERTS manual, of OTP 25, and of OTP 22 for the old handshake.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from epmd_server import EPMD_PORT

from member_entrypoint.erlang.etf import Reader, encode
from member_entrypoint.erlang.messages import FLAGS, OUR_FLAGS, digest
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    import ssl

CHALLENGE = 0x01020304
OLD_VERSION, NEW_VERSION = 5, 6
Answer = Callable[[str, str, list[Any]], Any]
BADRPC = (Atom("badrpc"), Atom("no_answer"))
ENDLESS = 10**9


def framed(data: bytes, layout: str = "!H") -> bytes:
    """Return a message of the handshake with its length."""
    return struct.pack(layout, len(data)) + data


def packet(control: Any, message: Any = None) -> bytes:
    """Return a control message with its length, and the message that follows it, if any."""
    data = b"p\x83" + encode(control)
    if message is not None:
        data += b"\x83" + encode(message)
    return struct.pack("!I", len(data)) + data


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How a node behaves; as a node should, unless it is said otherwise."""

    name: str = "mongooseim@chat-1"
    cookie: str = "sample"
    old: bool = False
    """Speak the handshake of OTP 22 and older."""
    says_name: str = ""
    """Another name in the handshake than in its epmd."""
    begins_with: bytes = b""
    """What it sends before all else."""
    status: bytes = b"ok"
    proof: bytes | None = None
    """What it proves with that it knows the cookie."""
    after_handshake: bytes = b""
    before_answer: bytes = b""
    """What it sends before its answer to a call."""
    floods_with: bytes = b""
    """What it sends without end instead of an answer."""
    answer: Answer = lambda *_: BADRPC
    """What a function called gives."""
    gathers: int = 1
    """How many answers it gathers before it sends them, the last one first."""
    repeats: int = 1
    """How often it sends each answer."""
    waits: float = 0.0
    """Seconds that it, and its epmd, take for each message."""
    drips: float | None = None
    """Seconds between the single bytes that it sends."""
    epmd_drips: float | None = None
    """Seconds between the single bytes that its epmd sends."""
    closes_after: int = ENDLESS
    """How many bytes it sends before it closes the connection."""
    epmd_says: bytes | None = None
    """What its epmd answers to everything."""
    registered: tuple[str, ...] = ()
    """Other names that its epmd knows."""
    context: ssl.SSLContext | None = None
    """Speak TLS, as this says."""

    @property
    def layout(self) -> str:
        """The length before a message of the handshake; longer with TLS."""
        return "!I" if self.context else "!H"


@dataclass
class Node:
    """A node that runs: where it is, and what it was sent, per connection."""

    address: str
    epmd_port: int
    port: int
    frames: list[list[bytes]] = field(default_factory=list)
    packets: list[Any] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


class GoneError(Exception):
    """The connection is at its end, by the one side or the other."""


class Wire:
    """One connection, with the manners of its node."""

    def __init__(
        self, connection: socket.socket, manners: Manners, stopped: threading.Event
    ) -> None:
        """Take a connection."""
        self._connection = connection
        self._manners = manners
        self._stopped = stopped
        self.sent = 0
        self.gathered: list[bytes] = []

    def send(self, data: bytes) -> None:
        """Send as the manners have it; raises `GoneError`."""
        self._wait(self._manners.waits)
        data = data[: self._manners.closes_after - self.sent]
        step = len(data) if self._manners.drips is None else 1
        for at in range(0, len(data), max(1, step)):
            self._wait(self._manners.drips or 0.0)
            try:
                self._connection.sendall(data[at : at + step])
            except OSError:
                raise GoneError from None
            self.sent += len(data[at : at + step])
        if self.sent >= self._manners.closes_after:
            raise GoneError

    def receive(self, size: int) -> bytes:
        """Return so many bytes; raises `GoneError`."""
        data = b""
        while len(data) < size:
            try:
                part = self._connection.recv(size - len(data))
            except OSError:
                raise GoneError from None
            if not part:
                raise GoneError
            data += part
        return data

    def frame(self, layout: str = "!H") -> bytes:
        """Return what comes with its length."""
        (length,) = struct.unpack(layout, self.receive(struct.calcsize(layout)))
        return self.receive(length)

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds) or self._stopped.is_set():
            raise GoneError


@contextlib.contextmanager
def running(address: str, manners: Manners, epmd_port: int = 0) -> Iterator[Node]:
    """Run a node and its epmd at a loopback address while the block runs.

    With 0 the epmd has any free port. All connections are closed at the end.
    """
    stopped = threading.Event()
    with (
        socket.create_server((address, 0)) as server,
        socket.create_server((address, epmd_port)) as epmd,
        contextlib.ExitStack() as threads,
    ):
        port = server.getsockname()[1]
        node = Node(address, epmd.getsockname()[1], port)

        def serve_epmd(wire: Wire) -> None:
            wire.send(epmd_answer(manners, port, wire.frame()))

        def serve_node(wire: Wire) -> None:
            try:
                shake_hands(wire, manners, node)
                wire.send(manners.after_handshake)
                while True:
                    answer_packet(wire, manners, node)
            finally:
                node.sent.append(wire.sent)

        of_epmd = replace(manners, drips=manners.epmd_drips, closes_after=ENDLESS, context=None)
        for listener, serve, how in (
            (epmd, serve_epmd, of_epmd),
            (server, serve_node, manners),
        ):
            thread = threading.Thread(target=accept, args=(listener, serve, how, stopped))
            thread.start()
            threads.callback(thread.join)
            threads.callback(listener.shutdown, socket.SHUT_RDWR)
        threads.callback(stopped.set)
        yield node


def accept(
    listener: socket.socket,
    serve: Callable[[Wire], None],
    manners: Manners,
    stopped: threading.Event,
) -> None:
    """Serve each connection in a thread, until the listener is shut down; then end them all."""
    served: list[tuple[threading.Thread, socket.socket]] = []

    def serve_one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(GoneError):
            if manners.context is not None:
                try:
                    secured = manners.context.wrap_socket(connection, server_side=True)
                except OSError:
                    return
                secured.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with secured:
                    serve(Wire(secured, manners, stopped))
            else:
                serve(Wire(connection, manners, stopped))

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=serve_one, args=(connection,))
        thread.start()
        served.append((thread, connection))
    for thread, connection in served:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        thread.join()


def epmd_answer(manners: Manners, port: int, request: bytes) -> bytes:
    """Return what an epmd says of the node, which listens on `port`."""
    name = manners.name.partition("@")[0].encode()
    if manners.epmd_says is not None:
        return manners.epmd_says
    if request == b"n":
        names = [name.decode(), *manners.registered] if name else manners.registered
        lines = "".join(f"name {known} at port {port}\n" for known in names)
        return struct.pack("!I", EPMD_PORT) + lines.encode()
    if not name or request != b"z" + name:
        return b"w\1"
    highest = OLD_VERSION if manners.old else NEW_VERSION
    head = struct.pack("!cBHBBHHH", b"w", 0, port, 77, 0, highest, OLD_VERSION, len(name))
    return head + name + b"\0\0"


def shake_hands(wire: Wire, manners: Manners, node: Node) -> None:
    """Be the side that a connection was made to; raises `GoneError`."""
    frames = [wire.frame(manners.layout)]
    node.frames.append(frames)
    wire.send(manners.begins_with + framed(b"s" + manners.status, manners.layout))
    name = (manners.says_name or manners.name).encode()
    if manners.old:
        flags = OUR_FLAGS & 0xFFFFFF & ~FLAGS["BIG_CREATION"]
        wire.send(
            framed(struct.pack("!cHII", b"n", OLD_VERSION, flags, CHALLENGE) + name, manners.layout)
        )
    else:
        head = struct.pack("!cQIIH", b"N", OUR_FLAGS, CHALLENGE, 1, len(name))
        wire.send(framed(head + name, manners.layout))
    frames.append(wire.frame(manners.layout))
    challenge, proof = struct.unpack("!xI16s", frames[-1])
    if proof != digest(manners.cookie, CHALLENGE):
        raise GoneError
    ours = digest(manners.cookie, challenge) if manners.proof is None else manners.proof
    wire.send(framed(b"a" + ours, manners.layout))


def answer_packet(wire: Wire, manners: Manners, node: Node) -> None:
    """Take one packet and answer it, if it is a call; raises `GoneError`."""
    data = wire.frame("!I")
    reader = Reader(data[1:])
    control = reader.term() if data else ()
    node.packets.append(control)
    if control[:1] != (6,):
        return
    _, (sender, reference), (_, module, function, arguments, _) = reader.term()
    wire.send(manners.before_answer)
    while manners.floods_with:
        wire.send(manners.floods_with)
    result = manners.answer(module, function, arguments)
    wire.gathered.append(packet((2, Atom(""), sender), (reference, result)))
    if len(wire.gathered) == manners.gathers:
        wire.send(b"".join(reversed(wire.gathered)) * manners.repeats)
        wire.gathered.clear()
