"""Answers rebar3's questions to the Hex repository, for the time of one build.

rebar3 asks the repository about each package, even one that it has, whether that has changed. A
package of a version never does, and its checksum is in the lock: so the answer is no, without a
network. All other questions go on to the repository.
"""

import contextlib
import http.server
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

PUBLIC = "https://repo.hex.pm"
PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
TIMEOUT = 60.0  # seconds that the repository may take to answer
HEADERS = ("Accept", "Authorization", "If-None-Match", "User-Agent")  # those that go on to it
ANSWERED = ("Content-Type", "ETag")  # those that come back


class _Handler(http.server.BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        if self.path.startswith("/tarballs/") and self.headers["If-None-Match"]:
            self._answer(http.HTTPStatus.NOT_MODIFIED, {"ETag": self.headers["If-None-Match"]}, b"")
            return
        headers = {name: value for name in HEADERS if (value := self.headers[name])}
        request = urllib.request.Request(self.server.repository + self.path, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                self._answer(answer.status, dict(answer.headers.items()), answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, dict(error.headers.items()), error.read())
        except (OSError, ValueError):
            self._answer(http.HTTPStatus.BAD_GATEWAY, {}, b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        with contextlib.suppress(OSError):  # the build was stopped
            self.send_response(status)
            for name in ANSWERED:
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, repository: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository


@contextlib.contextmanager
def answering(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Answer until the end of the block; give the variables that tell rebar3 where.

    Where requests go through a proxy there are none, since the proxy cannot reach us.
    """
    if any(environment.get(name) for name in PROXIES):
        yield {}
        return
    repository = environment.get("HEX_CDN") or environment.get("HEX_MIRROR") or PUBLIC
    server = _Server(repository.rstrip("/"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield {"HEX_CDN": f"http://127.0.0.1:{server.server_port}"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
