"""Talking to an epmd, the daemon on each host that knows the ports of the nodes there.

Source: "Distribution Protocol" in the ERTS manual, "EPMD Protocol".
"""

import re
import struct
import time

from member_entrypoint.lean_typing import TYPE_CHECKING, NamedTuple
from member_entrypoint.network.addresses import connected

if TYPE_CHECKING:
    import socket

PORT = 4369
NAMES_REQ = b"n"
ALIVE2_REQ, HIDDEN, NOBODYS_PORT = b"x", 72, 1
# The longer answer comes from an epmd of OTP 23 or newer.
ALIVE2_RESPONSES = {b"y": 4, b"v": 6}
PORT_PLEASE2_REQ, PORT2_RESP = b"z", b"w"
LONGEST_ANSWER = 1 << 20
CHUNK = 65536
_NAME = rb"name (\S+) at port [0-9]+"


class Names(NamedTuple):
    """What an epmd said: the names registered there, or None and the reason.

    `refused` says that the host itself answered: no epmd, hence no node, runs there.
    """

    names: tuple[str, ...] | None
    reason: str
    refused: bool = False


class Registration:
    """A name held in the epmd of this host until it is closed."""

    def __init__(
        self, name: str, timeout: float = 3.0, port: int = PORT, *, address: str = "127.0.0.1"
    ) -> None:
        """Register `name` as a hidden node that nobody can connect to, within `timeout` seconds.

        `address` is a loopback one. Raises OSError, also where the epmd does not accept the name.
        """
        deadline = time.monotonic() + timeout
        encoded = name.encode()
        request = struct.pack("!sHBBHHH", ALIVE2_REQ, NOBODYS_PORT, HIDDEN, 0, 6, 5, len(encoded))
        request += encoded + b"\0\0"
        self._connection = _request(address, port, request, deadline)
        try:
            _check_accepted(self._connection, name, deadline)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the name up."""
        self._connection.close()


def _check_accepted(connection: "socket.socket", name: str, deadline: float) -> None:
    """Read the answer to ALIVE2_REQ; raises OSError if it is not that the name is registered."""
    answer = b""
    while len(answer) < ALIVE2_RESPONSES.get(answer[:1], 4):
        part = _receive(connection, deadline)
        if not part:
            raise ConnectionResetError(None, "the epmd closed the connection")
        answer += part
    if answer[:1] not in ALIVE2_RESPONSES or answer[1]:
        raise OSError(None, f"the epmd does not accept the name {name}")


class NotRegisteredError(Exception):
    """No epmd answers, or it does not know the node; the text says which."""


def names(address: str, timeout: float = 3.0, port: int = PORT) -> Names:
    """Return the names that the epmd at `address` knows, asking for at most `timeout` seconds.

    Never raises for what the network does; the reason says it.
    """
    try:
        answer = _ask(address, port, NAMES_REQ, timeout)
    except NotRegisteredError as error:
        return Names(None, str(error), isinstance(error.__cause__, ConnectionRefusedError))
    # The epmd's own port comes first, in four bytes. Whatever else is not a line of names comes
    # from something that is no epmd, such as a proxy: it does not say that no node runs there.
    *lines, rest = answer[4:].split(b"\n")
    found = [re.fullmatch(_NAME, line) for line in lines]
    if len(answer) < 4 or rest or not all(found):  # noqa: PLR2004 - the port's four bytes
        return Names(None, _strange(address, port, answer))
    return Names(tuple(match[1].decode(errors="replace") for match in found if match), "")


def node_port(address: str, name: str, timeout: float = 3.0, port: int = PORT) -> tuple[int, int]:
    """Return the port of the node `name` at `address`, and the highest protocol it speaks.

    The epmd there, on `port`, is asked for at most `timeout` seconds. Raises `NotRegisteredError`.
    """
    answer = _ask(address, port, PORT_PLEASE2_REQ + name.encode(errors="replace"), timeout)
    if len(answer) < 2 or answer[:1] != PORT2_RESP:  # noqa: PLR2004 - a tag and a result
        raise NotRegisteredError(_strange(address, port, answer))
    if answer[1]:
        raise NotRegisteredError(f"the epmd at {address} has no node {name}")
    try:
        node, _kind, _protocol, highest = struct.unpack("!HBBH", answer[2:8])
    except struct.error:
        raise NotRegisteredError(_strange(address, port, answer)) from None
    return node, highest


def _strange(address: str, port: int, answer: bytes) -> str:
    if not answer:
        return f"{address} port {port} (epmd) closed the connection without an answer"
    return f"what answers on {address} port {port} is no epmd"


def _ask(address: str, port: int, request: bytes, timeout: float) -> bytes:
    """Return all that an epmd answers before it closes the connection."""
    deadline = time.monotonic() + timeout
    answer = bytearray()
    try:
        connection = _request(address, port, request, deadline)
        try:
            while part := _receive(connection, deadline):
                answer += part
                if len(answer) > LONGEST_ANSWER:
                    raise NotRegisteredError(f"what answers on {address} port {port} is no epmd")
        finally:
            connection.close()
    except TimeoutError:
        raise NotRegisteredError(
            f"no answer from {address} port {port} (epmd) within {timeout:g} s"
        ) from None
    except OSError as error:
        raise NotRegisteredError(
            f"no epmd on {address} port {port} ({error.strerror or error})"
        ) from error
    return bytes(answer)


def _request(address: str, port: int, request: bytes, deadline: float) -> "socket.socket":
    """Return a connection on which `request` was sent; raises OSError."""
    connection = connected(address, port, _left(deadline))
    try:
        connection.settimeout(_left(deadline))
        connection.sendall(struct.pack("!H", len(request)) + request)
    except BaseException:
        connection.close()
        raise
    return connection


def _receive(connection: "socket.socket", deadline: float) -> bytes:
    connection.settimeout(_left(deadline))
    return connection.recv(CHUNK)


def _left(deadline: float) -> float:
    """Return the seconds until `deadline`; raises TimeoutError when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(None, "no answer in time")
    return left
