"""A member that waits without a VM, where there is no epmd: it says so at the node's own port."""

import contextlib
import socket
import socketserver
import struct
import threading

from member_entrypoint.erlang.distribution import CHUNK
from member_entrypoint.erlang.messages import WAITS, WAITS_EMPTY
from member_entrypoint.erlang.reach import Reach

CLIENT_TIMEOUT = 3.0  # seconds in which a client reads the answer


class _Answer(socketserver.BaseRequestHandler):
    server: "Listener"

    def handle(self) -> None:
        """Say the status before all else: a node, and one that wants TLS, take it for a no."""
        with contextlib.suppress(OSError):
            self.request.settimeout(CLIENT_TIMEOUT)
            word = self.server.word
            self.request.sendall(struct.pack("!Hc", 1 + len(word), b"s") + word)
            self.request.shutdown(socket.SHUT_WR)
            # What it sends is taken, or the kernel would drop what it has not read.
            self.request.recv(CHUNK)


class Listener(socketserver.ThreadingTCPServer):
    """Answers at the port of this node, in a thread, until it is closed."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, reach: Reach, *, knows: bool) -> None:
        """Listen where the VM will; `knows`: others that may have data. Raises OSError."""
        self.word = WAITS if knows else WAITS_EMPTY
        self.address_family = socket.AF_INET6 if reach.ipv6 else socket.AF_INET
        super().__init__((reach.interface, reach.node_port), _Answer)
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave a client alone that goes away."""

    def close(self) -> None:
        """Free the port for the VM."""
        self.shutdown()
        self.server_close()
