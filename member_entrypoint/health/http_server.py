"""Answers probes over HTTP: `/live`, `/ready` and `/metrics`, where HEALTH_HTTP_PORT asks for it.

A process of its own that PID 1 starts, watches and ends; it sleeps until somebody asks. It is one
thread: each connection is good for one answer and has a few seconds in all, whatever its client
does, and when there are too many the oldest goes.
"""

import re
import selectors
import socket
import time
from collections.abc import Callable

from member_entrypoint.health import metrics, probe
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.log import Log
from member_entrypoint.settings import Settings, log_as

MOST_CLIENTS = 64
CLIENT_TIMEOUT = 5.0
LONGEST_REQUEST = 8192
LISTEN_AGAIN = 2.0
NODE_ANSWER_AGE = 1.0
TEXT = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Answer(NamedTuple):
    """What a client is told."""

    status: str
    body: str
    kind: str = TEXT


class Node:
    """Asks the node what is wrong with it, once a second however many clients ask."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: tuple[tuple[str, ...], float, str] = ((), 0.0, "")

    def whats_wrong(self, *node: str) -> str:
        """Return what `probe.whats_wrong_with_node` does, or did a moment ago."""
        about, until, wrong = self._known
        if about != node or time.monotonic() >= until:
            wrong = probe.whats_wrong_with_node(*node)
            self._known = node, time.monotonic() + NODE_ANSWER_AGE, wrong
        return wrong


def answer(path: str, root: str, ask: Callable[..., str]) -> Answer:
    """Return the answer to a GET of `path`."""
    if path not in {"/live", "/ready", "/metrics"}:
        return Answer("404 Not Found", "/live, /ready and /metrics are here\n")
    now, not_live, not_ready = probe.examine(root, ask)
    if path == "/metrics":
        return Answer(
            "200 OK", metrics.text(root, now, live=not not_live, ready=not not_ready), METRICS
        )
    why_not = not_live if path == "/live" else not_ready
    if why_not:
        return Answer("503 Service Unavailable", f"{why_not}\n")
    return Answer("200 OK", f"{path[1:]}\n")


def respond(request: bytes, get: Callable[[str], Answer]) -> bytes:
    """Return the whole response to the head of a request, whatever that is."""
    words = request.partition(b"\n")[0].decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - RFC 9112, 3
        method, said = "", Answer("400 Bad Request", "this is not HTTP\n")
    elif words[0] not in {"GET", "HEAD"}:
        method, said = words[0], Answer("405 Method Not Allowed", "GET and HEAD are allowed\n")
    else:
        method, said = words[0], get(words[1].partition("?")[0])
    body = said.body.encode()
    head = [
        f"HTTP/1.1 {said.status}",
        f"Content-Type: {said.kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(["Allow: GET, HEAD"] if said.status.startswith("405") else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + (b"" if method == "HEAD" else body)


class Client:
    """A connection: what it has said, what it is still to be told, and until when."""

    def __init__(self, connection: socket.socket) -> None:
        """Begin with the next few seconds."""
        self.connection = connection
        self.until = time.monotonic() + CLIENT_TIMEOUT
        self._said = b""
        self._to_tell = b""

    def go_on(self, get: Callable[[str], Answer]) -> int:
        """Read or write what can be; return which of the two to wait for, 0 when it is over."""
        try:
            if self._to_tell:
                self._to_tell = self._to_tell[self.connection.send(self._to_tell) :]
                return selectors.EVENT_WRITE if self._to_tell else 0
            data = self.connection.recv(LONGEST_REQUEST)
        except BlockingIOError:
            return selectors.EVENT_WRITE if self._to_tell else selectors.EVENT_READ
        except OSError:
            return 0
        self._said += data
        if not data:
            return 0
        if not re.search(rb"\r?\n\r?\n", self._said) and len(self._said) < LONGEST_REQUEST:
            return selectors.EVENT_READ
        self._to_tell = respond(self._said, get)
        self.until = time.monotonic() + CLIENT_TIMEOUT
        return selectors.EVENT_WRITE


def serve(listener: socket.socket, get: Callable[[str], Answer]) -> None:
    """Answer whoever connects to `listener`, for ever."""
    selector = selectors.DefaultSelector()
    listener.settimeout(0)
    selector.register(listener, selectors.EVENT_READ)
    clients: list[Client] = []

    def drop(client: Client) -> None:
        clients.remove(client)
        selector.unregister(client.connection)
        client.connection.close()

    while True:
        first = min((client.until for client in clients), default=None)
        ready = selector.select(None if first is None else max(0.0, first - time.monotonic()))
        for key, _ in ready:
            if key.data in clients:
                wanted = key.data.go_on(get)
                if wanted:
                    selector.modify(key.fileobj, wanted, key.data)
                else:
                    drop(key.data)
            elif key.fileobj is listener:
                if len(clients) >= MOST_CLIENTS:
                    drop(clients[0])
                if client := _accept(listener):
                    clients.append(client)
                    selector.register(client.connection, selectors.EVENT_READ, client)
        now = time.monotonic()
        for client in [client for client in clients if client.until <= now]:
            drop(client)


def _accept(listener: socket.socket) -> Client | None:
    try:
        connection, _ = listener.accept()
    except OSError:
        # The client has gone already, or the system is short of something for a moment.
        time.sleep(0.01)
        return None
    connection.settimeout(0)
    return Client(connection)


def listen(port: int, log: Log) -> socket.socket:
    """Return a socket that listens on `port`, for IPv6 and IPv4 as far as there are.

    Where the port is taken, this is said once, and it is tried until it is free.
    """
    said = False
    while True:
        try:
            if socket.has_dualstack_ipv6():
                found = socket.create_server(
                    ("", port), family=socket.AF_INET6, dualstack_ipv6=True
                )
            else:
                found = socket.create_server(("", port))
        except OSError as error:
            if not said:
                text = f"probes get no answer on port {port} (HEALTH_HTTP_PORT), trying on"
                log.error(text, reason=error.strerror)
            said = True
            time.sleep(LISTEN_AGAIN)
        else:
            if said:
                log.info(f"probes get their answers on port {port} (HEALTH_HTTP_PORT) now")
            return found


def run(settings: Settings) -> None:
    """Answer probes on HEALTH_HTTP_PORT until this process is ended."""
    if settings.health_http_port is None:
        return
    listener = listen(settings.health_http_port, log_as(settings))
    node = Node()
    serve(listener, lambda path: answer(path, settings.root, node.whats_wrong))
