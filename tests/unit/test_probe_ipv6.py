"""A probe of a node whose epmd and distribution are reached over IPv6 only."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from member_entrypoint.health import probe

NODE = "mongooseim@mongooseim-1"
NAME = b"mongooseim"


class Server:
    """Answers each connection to a port of ::1 in a thread, until it is closed."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        """Open the port; `answer` returns what to send for what was received."""
        self._answer = answer
        self._socket = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self._answer(connection.recv(1024)))

    def close(self) -> None:
        """Close the port."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@pytest.fixture
def node() -> Iterator[Server]:
    """Provide a node that closes each connection at once."""
    server = Server(lambda _received: b"")
    yield server
    server.close()


@pytest.fixture
def epmd(node: Server) -> Iterator[Server]:
    """Provide an epmd that knows `node` and nobody else."""

    def answer(request: bytes) -> bytes:
        if request != struct.pack("!Hc", len(NAME) + 1, b"z") + NAME:
            return b"w\x01"
        return struct.pack("!ccHBBHHH", b"w", b"\0", node.port, 77, 0, 6, 5, len(NAME)) + NAME

    server = Server(answer)
    yield server
    server.close()


def test_a_node_on_ipv6_alone_is_well(epmd: Server) -> None:
    """As with `-proto_dist inet6_tcp`: nothing listens at an IPv4 address."""
    assert probe.whats_wrong_with_node(NODE, "tcp", str(epmd.port)) == ""


def test_an_epmd_on_ipv6_alone_is_asked_for_the_node(epmd: Server) -> None:
    """Its answer counts, also that it does not know a node."""
    said = probe.whats_wrong_with_node("other@mongooseim-1", "tcp", str(epmd.port))
    assert said == "the epmd of this host does not know other@mongooseim-1"
