"""A real little DNS server, in a thread of the test process, over UDP and TCP."""

import contextlib
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from loopback import new_address

Zone = Callable[[str, str], "list[str] | int | None"]


def answer(zone: Zone, wire: bytes) -> bytes | None:
    """Answer a query as `zone` says: records as text, a response code, or None for silence.

    `zone` is asked with the name in lower case and the type; records are `NAME TYPE VALUE`.
    """
    query = dns.message.from_wire(wire)
    question = query.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    said = zone(str(question.name).lower(), kind)
    if said is None:
        return None
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    if isinstance(said, int):
        response.set_rcode(dns.rcode.from_flags(said, 0))
    else:
        for record in said:
            name, record_kind, value = record.split(maxsplit=2)
            response.answer.append(dns.rrset.from_text(name, 1, "IN", record_kind, value))
    return response.to_wire()


@contextlib.contextmanager
def serving(address: str, zone: Zone) -> Iterator[None]:
    """Serve `zone` on port 53 of a loopback address while the block runs."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            response = answer(zone, data)
            if response is not None:
                socket.sendto(response, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            response = answer(zone, self.rfile.read(length))
            if response is not None:
                self.wfile.write(struct.pack("!H", len(response)) + response)

    class UdpServer(socketserver.ThreadingUDPServer):
        daemon_threads = True

    class TcpServer(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    servers = (UdpServer((address, 53), Udp), TcpServer((address, 53), Tcp))
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


@contextlib.contextmanager
def name_servers(root: Path, *zones: Zone, options: str = "") -> Iterator[None]:
    """Serve each zone by a server of its own, and name them in this order in resolv.conf.

    `root` is the root folder of an image, `options` are more lines of resolv.conf.
    """
    with contextlib.ExitStack() as servers:
        lines = [options]
        for zone in zones:
            address = new_address()
            servers.enter_context(serving(address, zone))
            lines.append(f"nameserver {address}")
        (root / "etc/resolv.conf").write_text("\n".join(lines) + "\n")
        yield
