"""Probes of a member, by command and over HTTP, and what its host has around it."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING, NamedTuple

from epmd_server import NOT_REGISTERED, answering, epmd_that_knows, hang_up_after
from loopback import free_port, new_address
from processes import DEADLINE, HELPERS, MEMBER, Machine, Mode, Program, eventually

if TYPE_CHECKING:
    from processes import Running
    from releases import FakeRelease

PLAIN = Program(MEMBER, Mode.SUBREAPER)
"""Not PID 1: member and probes must be in the same PID namespace. For PID 1 see tests/docker."""
FAR = "600"
LOOPBACK = "127.0.0.1"
TARGET = new_address()


class Host:
    """What a node has around it on its host: a listener, an epmd, its own port."""

    def __init__(self, release: FakeRelease) -> None:
        """Open the ports; until they are closed, all is well."""
        self.release = release
        self.listener = socket.create_server((LOOPBACK, 0))
        self.registered = True
        self._servers = contextlib.ExitStack()
        node_port = self._servers.enter_context(answering(hang_up_after))
        self._known = epmd_that_knows(node_port)
        self.epmd_port = self._servers.enter_context(answering(self._as_epmd))

    def _as_epmd(self, connection: socket.socket) -> None:
        if self.registered:
            self._known(connection)
        else:
            connection.recv(100)
            connection.sendall(NOT_REGISTERED)

    def environment(self, vm: str = "", **variables: str) -> dict[str, str]:
        """Return the environment of a member on this host."""
        ports = {
            "HEALTH_PORT": str(self.listener.getsockname()[1]),
            "ERL_EPMD_PORT": str(self.epmd_port),
        }
        return self.release.environment(vm, **ports, STOP_TIMEOUT=FAR, **variables)

    def waiting(self, **variables: str) -> dict[str, str]:
        """Return the environment of a member whose primary is not there."""
        hosts = self.release.root / "etc/hosts"
        hosts.write_text(f"127.0.0.1 chat-2\n{TARGET} chat-1\n")
        return self.environment(JOIN_CLUSTER="true", **variables)

    def close(self) -> None:
        """Close all ports."""
        self._servers.close()
        self.listener.close()


class Probe:
    """Asks as Docker and Kubernetes do: a command with the container's environment."""

    def __init__(self, machine: Machine, release: FakeRelease) -> None:
        """Take what runs programs; the root folder is all that a probe needs to know."""
        self._machine = machine
        self._environment = {"ENTRYPOINT_ROOT": str(release.root)}

    def __call__(self, *questions: str) -> tuple[int, str]:
        """Return status and output of a probe."""
        return self._machine.run(PLAIN, ["health", *questions], environment=self._environment)

    def eventually(self, question: str, status: int, said: str) -> None:
        """Wait until the answer is this one."""
        last: list[tuple[int, str]] = []

        def answered() -> bool:
            last[:] = [self(question)]
            return last[0][0] == status and said in last[0][1]

        eventually(answered, f"health {question} is {status}, {said!r}; it is {last}")


def serving(machine: Machine, host: Host, probe: Probe, **variables: str) -> Running:
    """Start a member that serves."""
    running = machine.start(PLAIN, environment=host.environment(**variables))
    probe.eventually("ready", 0, "ready")
    return running


class Reply(NamedTuple):
    """What came over HTTP."""

    status: int
    body: str
    headers: dict[str, str]


class Http:
    """Asks a port over HTTP."""

    def __init__(self) -> None:
        """Find a port that is free."""
        self.port = free_port()

    def ask(self, path: str, method: str = "GET", address: str = LOOPBACK) -> Reply:
        """Return the reply; raises OSError where nobody answers."""
        connection = http.client.HTTPConnection(address, self.port, timeout=DEADLINE)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return Reply(response.status, response.read().decode(), dict(response.getheaders()))
        finally:
            connection.close()

    def eventually(self, path: str, status: int) -> Reply:
        """Wait until the reply has this status."""

        def answered() -> Reply | None:
            with contextlib.suppress(OSError):
                reply = self.ask(path)
                return reply if reply.status == status else None
            return None

        reply = eventually(answered, f"{path} is {status}")
        assert reply is not None
        return reply


def vm(running: Running) -> int:
    """Return the pid of the VM."""
    return running.child_that_runs(str(HELPERS / "vm.py"))


def helper(running: Running) -> int:
    """Return the pid of the process that answers over HTTP, once there is one."""
    return running.helper("answer-probes")
