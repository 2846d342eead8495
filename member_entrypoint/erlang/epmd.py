"""Talking to an epmd, the daemon on each host that knows the ports of the nodes there.

Source: "Distribution Protocol" in the ERTS manual, "EPMD Protocol".
"""

import re
import socket
import struct
from typing import NamedTuple

PORT = 4369
NAMES_REQ = b"n"
ALIVE2_REQ, HIDDEN, NOBODYS_PORT = b"x", 72, 1
PORT_PLEASE2_REQ, PORT2_RESP = b"z", b"w"
LONGEST_ANSWER = 1 << 20
CHUNK = 65536


class Names(NamedTuple):
    """What an epmd said: the names registered there, or None and the reason.

    `refused` says that the host itself answered: no epmd, hence no node, runs there.
    """

    names: tuple[str, ...] | None
    reason: str
    refused: bool = False


class Registration:
    """A name held in the epmd of this host for as long as this is open; use it with `with`."""

    def __init__(self, name: str, timeout: float = 3.0) -> None:
        """Register `name` as a hidden node that nobody can connect to; raises OSError."""
        encoded = name.encode()
        request = struct.pack("!sHBBHHH", ALIVE2_REQ, NOBODYS_PORT, HIDDEN, 0, 6, 5, len(encoded))
        request += encoded + b"\0\0"
        self._connection = socket.create_connection(("127.0.0.1", PORT), timeout)
        self._connection.sendall(struct.pack("!H", len(request)) + request)
        self._connection.recv(CHUNK)

    def close(self) -> None:
        """Give the name up."""
        self._connection.close()


class NotRegisteredError(Exception):
    """No epmd answers, or it does not know the node; the text says which."""


def names(address: str, timeout: float = 3.0, port: int = PORT) -> Names:
    """Return the names that the epmd at `address` knows; `timeout` is in seconds.

    Never raises for what the network does; the reason says it.
    """
    try:
        answer = _ask(address, port, NAMES_REQ, timeout)
    except NotRegisteredError as error:
        return Names(None, str(error), isinstance(error.__cause__, ConnectionRefusedError))
    found = re.findall(rb"^name (\S+) at port \d+$", answer[4:], re.MULTILINE)
    return Names(tuple(name.decode(errors="replace") for name in found), "")


def node_port(address: str, name: str, timeout: float = 3.0) -> tuple[int, int]:
    """Return the port of the node `name` at `address`, and the highest protocol it speaks.

    Raises `NotRegisteredError`.
    """
    answer = _ask(address, PORT, PORT_PLEASE2_REQ + name.encode(), timeout)
    if answer[:2] != PORT2_RESP + b"\0" or len(answer) < 8:  # noqa: PLR2004 - two bytes, then four fields
        raise NotRegisteredError(f"the epmd at {address} has no node {name}")
    port, _kind, _protocol, highest = struct.unpack("!HBBH", answer[2:8])
    return port, highest


def _ask(address: str, port: int, request: bytes, timeout: float) -> bytes:
    answer = b""
    try:
        with socket.create_connection((address, port), timeout) as connection:
            connection.sendall(struct.pack("!H", len(request)) + request)
            while part := connection.recv(CHUNK):
                answer += part
                if len(answer) > LONGEST_ANSWER:
                    raise NotRegisteredError(f"what answers on {address} port {port} is no epmd")
    except TimeoutError:
        raise NotRegisteredError(
            f"no answer from {address} port {port} (epmd) within {timeout:g} s"
        ) from None
    except OSError as error:
        raise NotRegisteredError(
            f"no epmd on {address} port {port} ({error.strerror or error})"
        ) from error
    return answer
