"""Calls the Docker engine through its socket, in 1 ms; the docker command needs 40 ms.

This module is for calls that must not disturb a measurement; for all others use `containers`.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import threading
import time
from datetime import datetime
from typing import Any

from bench.figures import BenchmarkError

SOCKET = "/var/run/docker.sock"
API_TIMEOUT = 120.0
"""Seconds that a call may take."""
FIRST_ERROR_STATUS = 300
"""HTTP statuses below mean success."""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(API_TIMEOUT)
        self.sock.connect(socket_path())


def socket_path() -> str:
    """Return the path of the engine's socket. Raises BenchmarkError if the engine is remote."""
    host = os.environ.get("DOCKER_HOST") or f"unix://{SOCKET}"
    if not host.startswith("unix://"):
        raise BenchmarkError(f"the benchmark needs an engine on this machine, not {host}")
    return host.removeprefix("unix://")


def _call(method: str, path: str) -> Any:
    body = _raw(method, path)
    return json.loads(body) if body.strip() else None


def _raw(method: str, path: str) -> bytes:
    connection = _Connection("localhost")
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
    except OSError as error:
        raise BenchmarkError(f"the engine does not answer {method} {path}: {error}") from error
    finally:
        connection.close()
    if answer.status >= FIRST_ERROR_STATUS:
        raise BenchmarkError(f"{method} {path}: {answer.status} {body.decode(errors='replace')}")
    return body


def start(name: str) -> None:
    """Start a container that exists."""
    _call("POST", f"/containers/{name}/start")


def pid(name: str) -> int:
    """Return the pid, on this machine, of its PID 1. Raises BenchmarkError if it has ended."""
    state = _call("GET", f"/containers/{name}/json")["State"]
    if not state["Running"]:
        raise BenchmarkError(f"the container {name} ended with status {state['ExitCode']}")
    return int(state["Pid"])


def send(name: str, signal: str) -> None:
    """Send a signal to its PID 1."""
    _call("POST", f"/containers/{name}/kill?signal={signal}")


def cpu_seconds(name: str) -> float:
    """Return the CPU seconds of all its processes so far; works with cgroups 1 and 2."""
    answer = _call("GET", f"/containers/{name}/stats?stream=false&one-shot=true")
    return int(answer["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


def lines(name: str) -> list[tuple[float, str]]:
    """Return the output of a container without a terminal: lines and their times (`time.time`).

    The engine records the time at which each line arrives.
    """
    body = _raw("GET", f"/containers/{name}/logs?stdout=1&stderr=1&timestamps=1")
    found = []
    while body:
        # Each line has a header with its stream and its length.
        size = int.from_bytes(body[4:8], "big")
        stamp, _, text = body[8 : 8 + size].decode(errors="replace").rstrip().partition(" ")
        found.append((seconds(stamp), text))
        body = body[8 + size :]
    return found


def seconds(stamp: str) -> float:
    """Convert a time of the engine (2026-01-02T03:04:05.678901234Z) to that of `time.time`."""
    found = re.fullmatch(r"([\dT:-]+)(\.\d+)?Z", stamp)
    if found is None:
        raise BenchmarkError(f"{stamp!r} is not a time in the engine's format")
    return datetime.fromisoformat(f"{found[1]}+00:00").timestamp() + float(found[2] or 0)


class End:
    """The end of a container, waited for from now on."""

    def __init__(self, name: str) -> None:
        """Start to wait in a thread."""
        self._name = name
        self._found: tuple[int, float] | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        status = int(_call("POST", f"/containers/{self._name}/wait")["StatusCode"])
        self._found = status, time.monotonic()

    def found(self, timeout: float) -> tuple[int, float]:
        """Wait for the end; return exit status and time (`time.monotonic`).

        Raises BenchmarkError after `timeout` seconds.
        """
        self._thread.join(timeout)
        if self._found is None:
            raise BenchmarkError(f"the container {self._name} did not end within {timeout:g} s")
        return self._found
