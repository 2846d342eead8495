"""Talking to a node in Erlang's own distribution protocol, without booting a VM for it.

A connection here is a hidden node, as the C nodes of `erl_interface` are: the cluster does not
mesh with it. Over plain TCP, or over TLS (`erlang.tls`); what uses another carrier is asked through
`erlang.rpc`.

Source: "Distribution Protocol" in the ERTS manual. Both handshakes are spoken, that of OTP 23 and
newer and the older one.
"""

import os
import struct
import time
from collections import deque
from itertools import cycle

from member_entrypoint.erlang import epmd, messages
from member_entrypoint.erlang.etf import VERSION, Identifier, encode
from member_entrypoint.lean_typing import TYPE_CHECKING, Any, Protocol, Self
from member_entrypoint.network.addresses import connected, notice_when_dead
from member_entrypoint.terms import Atom, TermError

if TYPE_CHECKING:
    import socket

Call = tuple[str, str, list[Any]]
"""Module, function, arguments."""
HIGHEST = 6
# A node keeps each name that it was ever connected with, an atom, for as long as it lives: those
# of a process that connects again and again are few.
_TOKEN = os.urandom(3).hex()
_NUMBERS = cycle(range(10, 74))  # of two digits each: all names are of one length
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
    """Another node answers at this address; `node` is its name, fit for a line of the log."""

    def __init__(self, node: str, other: str) -> None:
        """Take the node that was meant, and the one that answers."""
        super().__init__(f"what answers there is not {node} but {other}")
        self.node = other


class NotListeningError(DistributionError):
    """Nothing listens at the port of the node."""


class NotTlsError(DistributionError):
    """What answers there does not speak TLS."""


class WaitsEmptyError(DistributionError):
    """No node is there, but a member that waits with an empty disk."""


class WaitsError(WaitsEmptyError):
    """The same, of one that knows others that may have the data."""


class RefusedError(DistributionError):
    """The node is there, and refuses us: another cookie, most likely."""


class CertificateError(RefusedError):
    """The certificate of the one is not accepted by the other; the text says whose, and why."""


class Secured(Protocol):
    """What makes a connection secure: `erlang.tls`, where nodes speak TLS."""

    def wrap(self, plain: "socket.socket", node: str, timeout: float | None) -> "socket.socket":
        """Return the connection, secured, within `timeout` seconds; raises OSError."""

    def explained(self, error: OSError, node: str) -> DistributionError | None:
        """Return what an error says of that, None if nothing."""


class Connection:
    """An authenticated connection to a node; use it as a context manager."""

    def __init__(  # noqa: PLR0913 - whom, where, as whom, and for how long
        self,
        address: str,
        node: str,
        own_host: str,
        cookie: str | None,
        timeout: float,
        *,
        epmd_port: int = epmd.PORT,
        node_port: int = 0,
        tls: "Secured | None" = None,
    ) -> None:
        """Connect to `node` at `address` within `timeout` seconds.

        The node listens on `node_port`; with 0 the epmd there is asked, on `epmd_port`. Without a
        `cookie` it is only seen who answers: nothing can be asked then.

        Raises `NotRegisteredError`, `NotListeningError`, `RefusedError` where the cookie is another
        one, or a certificate is not accepted, `OtherNodeError`, `WaitsEmptyError`, `NoAnswerError`
        where the time is over, else `DistributionError`.
        """
        self._deadline = time.monotonic() + timeout
        self._name = f"entrypoint-{os.getpid()}-{_TOKEN}-{next(_NUMBERS)}@{own_host}"
        self._used = 0
        self._waiting: deque[Any] = deque()
        self._received = bytearray()
        # TLS has frames of the handshake begin as packets do. Source: inet_tls_dist in OTP.
        self._length = "!H" if tls is None else "!I"
        port, version = node_port, HIGHEST
        if not port:
            port, version = epmd.node_port(address, node.partition("@")[0], timeout, epmd_port)
        self._new = version >= HIGHEST
        try:
            self._connect(address, port, node, cookie, tls)
        except TimeoutError:
            raise NoAnswerError(f"{node}: no answer within {timeout:.3g} s") from None
        except ConnectionRefusedError:
            text = f"nothing listens on {address} port {port}, where {node} would"
            raise NotListeningError(text) from None
        except OSError as error:
            if tls is not None and (told := tls.explained(error, node)):
                raise told from None
            raise DistributionError(f"{node}: {error.strerror or error}") from None
        except (struct.error, UnicodeError) as error:
            raise DistributionError(f"{node}: does not speak the protocol ({error})") from None

    def _connect(
        self, address: str, port: int, node: str, cookie: str | None, tls: Secured | None
    ) -> None:
        self._socket = connected(address, port, self._left())
        try:
            notice_when_dead(self._socket)
            if tls is not None:
                self._socket = tls.wrap(self._socket, node, self._left())
            self._creation = self._shake_hands(node, cookie)
        except BaseException:
            self.close()
            raise

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
        (answer,) = self.call_all([(module, function, arguments)], timeout)
        return answer

    def call_all(self, calls: list[Call], timeout: float) -> list[Any]:
        """Return what each call gives; the node works at them at the same time. As for `call`.

        `timeout` in seconds holds for the first answer, and again for each further one.
        """
        call, user = Atom("call"), Atom("user")
        requests = [(call, Atom(name), Atom(what), given, user) for name, what, given in calls]
        return self.request_all("rex", requests, timeout)

    def request_all(self, name: str, requests: list[Any], timeout: float) -> list[Any]:
        """Return what the server that is registered as `name` there answers to each request.

        As for `call_all`, which asks the server `rex`.
        """
        self._deadline = time.monotonic() + timeout
        asked = [self._request(name, request) for request in requests]
        answers: dict[Identifier, Any] = {}
        while len(answers) < len(requests):
            match self._receive():
                case (Identifier() as to, answer) if to in asked and to not in answers:
                    answers[to] = answer
                    self._deadline = time.monotonic() + timeout
                case _ if len(self._waiting) == MOST_WAITING:
                    raise DistributionError("the node sends messages that nobody asked for")
                case other:
                    self._waiting.append(other)
        return [answers[to] for to in asked]

    def _request(self, name: str, request: Any) -> Identifier:
        """Send a request; return the reference that its answer begins with."""
        reference = self._reference()
        message = (Atom("$gen_call"), (self.pid, reference), request)
        self._send((messages.REG_SEND, self.pid, Atom(""), Atom(name)), message)
        return reference

    def monitor(self, name: str) -> None:
        """Have `receive` return `(DOWN, Reason)` when the process of this name ends there."""
        self._send((messages.MONITOR_P, self.pid, Atom(name), self._reference()))

    @property
    def pid(self) -> Identifier:
        """The process that we pretend to be."""
        return messages.pid(self._name, self._creation, new=self._new)

    def _reference(self) -> Identifier:
        """Return a reference that was not used yet."""
        self._used += 1
        return messages.reference(self._name, self._creation, self._used, new=self._new)

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
                delivered = messages.delivered(packet)
            except TermError as error:
                raise DistributionError(f"an answer that is not understood: {error}") from None
            if delivered:
                return delivered[0]

    def _send(self, control: tuple[Any, ...], message: Any = None) -> None:
        packet = messages.PASS_THROUGH + VERSION + encode(control)
        if message is not None:
            packet += VERSION + encode(message)
        try:
            self._transmit(struct.pack("!I", len(packet)) + packet)
        except OSError as error:
            raise DistributionError(f"cannot be sent to: {error.strerror or error}") from None

    def _transmit(self, data: bytes) -> None:
        try:
            self._put(data)
        except OSError:
            # A part may have been sent: nothing can follow it.
            self.close()
            raise

    def _put(self, data: bytes) -> None:
        # `sendall` of TLS has its time for each part.
        while data:
            self._socket.settimeout(self._left())
            data = data[self._socket.send(data) :]

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
        length = self._take(struct.calcsize(self._length))
        if length == messages.TLS_ALERT:
            raise DistributionError("the node speaks TLS, and -proto_dist of this one does not")
        (size,) = struct.unpack(self._length, length)
        if size > LONGEST_PACKET:
            raise DistributionError(f"the node sends {size} bytes at once")
        return self._take(size)

    def _introduce(self) -> int:
        """Say our name; return our creation."""
        creation = 4 + messages.random_number() % (2**32 - 4)
        hello = messages.hello(self._name.encode(), creation, new=self._new)
        try:
            self._put(struct.pack(self._length, len(hello)) + hello)
        except OSError as error:
            # Who has hung up before has said why: with TLS 1.3, a certificate that it refuses.
            if isinstance(error, TimeoutError):
                raise
        return creation

    def _shake_hands(self, node: str, cookie: str | None) -> int:
        """Prove to each other that we know the cookie; return our creation."""
        creation = self._introduce()
        status = self._frame()
        if status[:1] != b"s":
            raise DistributionError(f"{node}: does not speak the protocol")
        if (knows := messages.KNOWS.get(status[1:])) is not None:
            raise (WaitsError if knows else WaitsEmptyError)(messages.waits(node, knows=knows))
        if status not in {b"sok", b"sok_simultaneous"}:
            word = messages.printable(status[1:].decode(errors="replace"))
            raise RefusedError(f"the node refuses us: {word}")
        challenge, answering = messages.read_challenge(self._frame(), new=self._new)
        if answering != node:
            raise OtherNodeError(node, messages.printable(answering))
        if cookie is None:
            return creation
        ours = messages.random_number()
        proof = b"r" + struct.pack("!I", ours) + messages.digest(cookie, challenge)
        self._put(struct.pack(self._length, len(proof)) + proof)
        try:
            answer = self._frame()
        except ConnectionError:
            raise RefusedError("the node refuses our cookie") from None
        if answer != b"a" + messages.digest(cookie, ours):
            raise RefusedError("the node does not know our cookie")
        return creation
