"""A stand-in for an epmd: a server in a thread of the test process."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[socket.socket], object]

EPMD_PORT = 4369
NOT_REGISTERED = b"w\x01"
"""PORT2_RESP of a node that is not registered."""


@contextlib.contextmanager
def answering(answer: Answer, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Have a thread answer each connection while the block runs; provides the port.

    With 0 it is any free port.
    """
    with socket.create_server((address, port)) as server:
        thread = threading.Thread(target=_serve, args=(server, answer))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, answer: Answer) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection:
                answer(connection)


def registration(port: int) -> bytes:
    """Return PORT2_RESP of the node `mongooseim`, which is registered."""
    return struct.pack(">BBHBBHHH", 119, 0, port, 77, 0, 6, 5, 10) + b"mongooseim\0\0"


def epmd_that_knows(port: int) -> Answer:
    """Return the answers of an epmd that knows the node `mongooseim` at `port` and no other."""

    def answer(connection: socket.socket) -> None:
        match connection.recv(100)[2:]:
            case b"n":
                names = struct.pack(">I", EPMD_PORT) + b"name mongooseim at port %d\n" % port
                connection.sendall(names)
            case b"zmongooseim":
                connection.sendall(registration(port))
            case _:
                connection.sendall(NOT_REGISTERED)

    return answer


def hang_up_after(connection: socket.socket) -> None:
    """Close a connection when the other side has, or has said something: a node that is well."""
    connection.recv(100)
