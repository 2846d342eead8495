"""Real builds of small real repositories, and servers that give them out."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import psutil
from processes import tool

if TYPE_CHECKING:
    from collections.abc import Iterator

Server = TypeVar("Server", bound=http.server.ThreadingHTTPServer)

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 170.0
"""Seconds that anything may take before a test gives up; nothing is expected to take that long."""
RELEASE = "_build/prod/rel/mongooseim"
CONFIGURE = '#!/bin/sh\necho configured: "$@"\n'
MAKEFILE = f"""\
rel:
	@echo compiling
	@mkdir -p {RELEASE}/bin {RELEASE}/releases
	@cp hello {RELEASE}/bin/mongooseim
	@echo '14.2.5 6.2.1' > {RELEASE}/releases/start_erl.data
"""
PROGRAMS = ["git", "make", "tar", "pigz", "gzip", "sh", "mkdir", "cp", "cat", "ssh", "head", "echo"]
FIXED = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_AUTHOR_DATE": "2025-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2025-01-01T00:00:00Z",
}
LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ")


class Result(NamedTuple):
    """How a build ended."""

    status: int
    output: str

    @property
    def lines(self) -> list[str]:
        """What was printed, line by line."""
        return self.output.splitlines()

    @property
    def said(self) -> list[str]:
        """The builder's own lines, without the time."""
        return [LINE.sub("", line, count=1) for line in self.lines if LINE.match(line)]

    @property
    def tarball(self) -> Path:
        """The tarball that the last line names."""
        assert self.status == 0, self.output
        return Path(self.said[-1].removesuffix(" is ready"))


class Repository:
    """A git repository that the builder can build."""

    def __init__(self, folder: Path) -> None:
        """Make one with a commit on branch `master`, and the annotated tag `v1` on it."""
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=master")
        self.write("hello", "hello\n")
        self.write("Makefile", MAKEFILE)
        self.write("tools/configure", CONFIGURE)
        self.first = self.commit()
        self.git("tag", "--annotate", "--message=v1", "v1")

    @property
    def url(self) -> str:
        """The repository as a file:// address."""
        return f"file://{self.folder}"

    def git(self, *arguments: str) -> str:
        """Run git in the repository; return what it prints."""
        ended = subprocess.run(
            [tool("git"), "-C", str(self.folder), *arguments],
            env={**os.environ, **FIXED},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def write(self, name: str, text: str, mode: int = 0o755) -> None:
        """Write a file in the work tree."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def commit(self, message: str = "one more") -> str:
        """Commit all that is in the work tree; return the full hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git("rev-parse", "HEAD")

    def make(self, *recipe: str) -> str:
        """Let `make rel` make a release, and do `recipe` after that; return the commit."""
        lines = "".join(f"\t{line}\n" for line in recipe)
        self.write("Makefile", MAKEFILE + lines)
        return self.commit()


class Workshop:
    """A place to build in: a folder for tarballs and nothing of the person who runs the tests."""

    def __init__(self, folder: Path) -> None:
        """Make the folders; `programs` are the running builds, which `close` ends."""
        self.folder = folder
        self.builds = folder / "builds"
        self.temporary = folder / "tmp"
        self.home = folder / "home"
        for path in (self.builds, self.temporary, self.home):
            path.mkdir()
        for name in ("make", "tar", "pigz"):
            tool(name)
        self._started: list[subprocess.Popen[bytes]] = []

    def repository(self, name: str = "sample") -> Repository:
        """Make a repository."""
        return Repository(self.folder / "repositories" / name)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a build."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "BUILDS": str(self.builds),
            "PYTHONPATH": str(ROOT),
            "GIT_CONFIG_SYSTEM": "/dev/null",
            **variables,
        }

    def start(
        self,
        *arguments: str,
        prefix: tuple[str, ...] = (),
        stdout: int | None = None,
        stdin: int = subprocess.DEVNULL,
        **variables: str,
    ) -> subprocess.Popen[bytes]:
        """Start a build in a session of its own; its output goes to a pipe, unless elsewhere."""
        started = subprocess.Popen(
            [*prefix, sys.executable, "-m", "builder_entrypoint", *arguments],
            env=self.environment(**variables),
            cwd=self.folder,
            stdin=stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(started)
        return started

    def finish(self, started: subprocess.Popen[bytes]) -> Result:
        """Wait until a build has ended."""
        output = started.communicate(timeout=DEADLINE)[0]
        return Result(started.returncode, output.decode(errors="replace"))

    def build(self, *arguments: str, prefix: tuple[str, ...] = (), **variables: str) -> Result:
        """Build, and wait for the end."""
        return self.finish(
            self.start(
                *arguments, prefix=prefix, stdout=None, stdin=subprocess.DEVNULL, **variables
            )
        )

    def tarballs(self) -> list[Path]:
        """Return whatever lies in the folder for tarballs, the log and the cache left out."""
        return sorted(
            path for path in self.builds.iterdir() if path.name not in {"build.log", ".cache"}
        )

    def log(self) -> str:
        """Return the log file."""
        return (self.builds / "build.log").read_text(errors="replace")

    def close(self) -> None:
        """End what still runs."""
        for started in self._started:
            if started.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    for process in psutil.Process(started.pid).children(recursive=True):
                        with contextlib.suppress(psutil.NoSuchProcess):
                            process.kill()
                started.kill()
                started.wait()
            if started.stdout:
                started.stdout.close()


def programs_without(folder: Path, missing: str) -> str:
    """Return a PATH on which all programs that a build needs are found, but one."""
    folder.mkdir()
    for name in PROGRAMS:
        path = shutil.which(name, path="/usr/bin:/bin")
        if path and name != missing:
            (folder / name).symlink_to(path)
    return str(folder)


class _GitHandler(http.server.BaseHTTPRequestHandler):
    """Gives repositories out through git's own CGI program, to whoever knows the password."""

    server: GitServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        self.server.requests.append(self.path)
        wanted = f"Basic {base64.b64encode(self.server.credentials.encode()).decode()}"
        if self.server.credentials and self.headers["Authorization"] != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        answer = subprocess.run(
            [tool("git"), "http-backend"],
            input=body,
            env={
                **os.environ,
                **FIXED,
                "GIT_PROJECT_ROOT": str(self.server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers["Content-Type"] or "",
                "CONTENT_LENGTH": str(len(body)),
                "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
            },
            capture_output=True,
            check=True,
        ).stdout
        head, _, rest = answer.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        self.send_response(next((int(value[:3]) for key, value in fields if key == "Status"), 200))
        for key, value in fields:
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(rest)
        self.server.sent += len(rest)


class GitServer(http.server.ThreadingHTTPServer):
    """Repositories below a folder, over http on loopback."""

    def __init__(self, root: Path, credentials: str = "") -> None:
        """`credentials` are user:password, or none."""
        super().__init__(("127.0.0.1", 0), _GitHandler)
        self.root = root
        self.credentials = credentials
        self.requests: list[str] = []
        self.sent = 0

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
