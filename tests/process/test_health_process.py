"""Probes of a real member, by command and over HTTP; its VM, epmd and node are stand-ins."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from loopback import free_port, new_address
from processes import (
    DEADLINE,
    HELPERS,
    MEMBER,
    Machine,
    Mode,
    Program,
    children_of,
    eventually,
    status_of,
)

from member_entrypoint import state
from member_entrypoint.health import http_server
from member_entrypoint.health.probe import NO_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processes import Running
    from releases import FakeRelease

PLAIN = Program(MEMBER, Mode.SUBREAPER)
"""Not PID 1: member and probes must be in the same PID namespace. For PID 1 see tests/docker."""
FAR = "600"
LOOPBACK = "127.0.0.1"
TARGET = new_address()
FIRST_SECONDS = 0.5


class Host:
    """What a node has around it on its host: a listener, an epmd, its own port."""

    def __init__(self, release: FakeRelease) -> None:
        """Open the ports; until they are closed, all is well."""
        self.release = release
        self.listener = socket.create_server((LOOPBACK, 0))
        self.registered = True
        self._node = socket.create_server((LOOPBACK, 0))
        self._epmd = socket.create_server((LOOPBACK, 0))
        self.epmd_port: int = self._epmd.getsockname()[1]
        self._threads = [
            threading.Thread(target=serve, args=(self._node, lambda one: one.recv(100))),
            threading.Thread(target=serve, args=(self._epmd, self._as_epmd)),
        ]
        for thread in self._threads:
            thread.start()

    def _as_epmd(self, connection: socket.socket) -> None:
        connection.recv(100)
        port = self._node.getsockname()[1]
        connection.sendall(registration(port) if self.registered else b"w\x01")

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
        for server in (self._node, self._epmd):
            server.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for server in (self._node, self._epmd, self.listener):
            server.close()


def registration(port: int) -> bytes:
    """Return what an epmd says of the node `mongooseim`: PORT2_RESP."""
    return struct.pack(">BBHBBHHH", 119, 0, port, 77, 0, 6, 5, 10) + b"mongooseim\0\0"


def serve(server: socket.socket, answer: Callable[[socket.socket], object]) -> None:
    """Answer whoever connects, until the server is shut down."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection:
                answer(connection)


@pytest.fixture
def host(release: FakeRelease) -> Iterator[Host]:
    """Provide the surroundings of a node that is well."""
    made = Host(release)
    try:
        yield made
    finally:
        made.close()


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


@pytest.fixture
def probe(machine: Machine, release: FakeRelease) -> Probe:
    """Provide a way to ask."""
    return Probe(machine, release)


def serving(machine: Machine, host: Host, probe: Probe, **variables: str) -> Running:
    """Start a member that serves."""
    running = machine.start(PLAIN, environment=host.environment(**variables))
    probe.eventually("ready", 0, "ready")
    return running


def test_where_no_server_runs_a_probe_says_so(machine: Machine, probe: Probe) -> None:
    """As in a container that was started with a command of its own."""
    machine.start(PLAIN, ["sleep", "1000"])
    for question in ("live", "ready"):
        assert probe(question) == (1, f"{NO_SERVER}\n")


@pytest.mark.parametrize("questions", [[], ["alive"], ["live", "ready"], ["--help"]])
def test_another_question_is_refused(probe: Probe, questions: list[str]) -> None:
    """Status 78, and one line that says what can be asked."""
    status, said = probe(*questions)
    assert status == 78
    assert said.count("\n") == 1
    assert "allowed: health live, health ready" in said


def test_a_member_that_waits_for_its_primary_is_live_and_not_ready(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """A liveness probe must not end it; there is no VM yet."""
    running = machine.start(PLAIN, environment=host.waiting())
    running.wait_for_output("waiting for mongooseim@chat-1")
    assert probe("live") == (0, "live\n")
    status, said = probe("ready")
    assert status == 1
    assert "not started yet" in said


def test_a_member_that_boots_is_live_and_not_ready(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """Although its listener is open, and its node not registered."""
    host.registered = False
    running = machine.start(PLAIN, environment=host.environment("booting"))
    running.wait_for_output("vm is up")
    assert probe("live") == (0, "live\n")
    status, said = probe("ready")
    assert status == 1
    assert "starts, or joins" in said


def test_a_member_that_serves_is_live_and_ready(machine: Machine, host: Host, probe: Probe) -> None:
    """One line each, and status 0."""
    serving(machine, host, probe)
    assert probe("live") == (0, "live\n")
    assert probe("ready") == (0, "ready\n")


def test_a_closed_listener_is_not_ready(machine: Machine, host: Host, probe: Probe) -> None:
    """The server is there, but nobody can reach it; a new start is no remedy to be had by force."""
    serving(machine, host, probe)
    host.listener.close()
    status, said = probe("ready")
    assert (status, "nothing listens on port" in said) == (1, True)
    assert probe("live")[0] == 0


@pytest.mark.parametrize("path", [state.PARTITION_FILE, state.LEFT_FILE])
def test_a_node_without_its_cluster_is_not_ready(
    machine: Machine, host: Host, probe: Probe, path: str
) -> None:
    """It lost in a partition, or left: the reason is the file's text. The end of it is ready."""
    serving(machine, host, probe)
    file = host.release.root / path
    file.write_text("one of three sees nobody\n")
    assert probe("ready") == (1, "one of three sees nobody\n")
    assert probe("live")[0] == 0
    file.write_text("")
    assert probe("ready")[0] == 1
    file.unlink()
    assert probe("ready")[0] == 0


def test_a_node_that_its_epmd_does_not_know_is_not_live(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """No other node finds it; registering again takes a new start."""
    serving(machine, host, probe)
    host.registered = False
    for question in ("live", "ready"):
        status, said = probe(question)
        assert status == 1
        assert "epmd of this host does not know mongooseim@chat-2" in said


@pytest.mark.parametrize(("whom", "said"), [("vm", "VM is stopped"), ("init", "PID 1 is stopped")])
def test_a_stopped_process_is_not_live(
    machine: Machine, host: Host, probe: Probe, whom: str, said: str
) -> None:
    """SIGSTOP for the VM or for PID 1; live again after SIGCONT."""
    running = serving(machine, host, probe)
    pid = vm(running) if whom == "vm" else running.pid
    os.kill(pid, signal.SIGSTOP)
    for question in ("live", "ready"):
        probe.eventually(question, 1, said)
    os.kill(pid, signal.SIGCONT)
    probe.eventually("live", 0, "live")
    probe.eventually("ready", 0, "ready")


def test_a_member_that_stops_is_live_and_not_ready(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """A liveness probe must not cut a stop short; clients go elsewhere at once."""
    running = machine.start(PLAIN, environment=host.environment("deaf"))
    probe.eventually("ready", 0, "ready")
    running.send(signal.SIGTERM)
    probe.eventually("ready", 1, "MongooseIM stops")
    assert probe("live")[0] == 0


def test_a_new_life_begins_without_the_notes_of_the_last(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """A container that was killed while it served, and lost in a partition, is started again."""
    running = serving(machine, host, probe)
    (host.release.root / state.PARTITION_FILE).write_text("old\n")
    running.kill()
    assert probe("live") == (1, f"{NO_SERVER}\n")
    host.release.status_file.unlink()
    running = machine.start(PLAIN, environment=host.environment("booting"))
    running.wait_for_output("vm is up")
    assert "starts, or joins" in probe("ready")[1]
    assert probe("live")[0] == 0
    assert not (host.release.root / state.PARTITION_FILE).exists()


def test_notes_that_cannot_be_written_end_no_server(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """It is said, and the server stops in good order when it is told to."""
    running = serving(machine, host, probe)
    path = host.release.root / state.STATE_FILE
    path.unlink()
    path.mkdir()
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    assert "probes cannot be told that it is stopping" in running.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_probe_can_be_ended(machine: Machine, host: Host, number: int) -> None:
    """The signals that its interpreter was started with blocked reach it: kubelet's time-out."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = str(silent.getsockname()[1])
        environment = {**host.environment(), "ERL_EPMD_PORT": port}
        running = machine.start(PLAIN, environment=environment)
        running.wait_for_output("MongooseIM started")
        notes = host.release.root / state.STATE_FILE
        eventually(lambda: notes.read_text() == "serving\n", "it serves")
        asking = machine.start(
            PLAIN, ["health", "live"], environment={"ENTRYPOINT_ROOT": str(host.release.root)}
        )
        silent.settimeout(DEADLINE)
        with silent.accept()[0]:
            asking.send(number)
            assert asking.wait() == -number
    assert asking.output() == ""


def test_a_probe_imports_next_to_nothing(machine: Machine) -> None:
    """What takes as long as half the interpreter's start, or more, is not there."""
    script = "import sys; sys.argv = [sys.argv[0], 'health', 'live']\n"
    script += f"try: exec(open({str(MEMBER)!r}).read())\n"
    script += "except SystemExit: print(*sys.modules)"
    command = [str(machine.python), "-I", "-c", script]
    words = machine.run(PLAIN, command)[1].split()
    assert "member_entrypoint.health.probe" in words
    ours = {word for word in words if word.startswith("member_entrypoint.")}
    parts = ("__main__", "environment", "files", "files.whole", "health", "health.probe", "state")
    assert ours == {f"member_entrypoint.{part}" for part in parts}
    heavy = {"collections", "typing", "socket", "signal", "structlog", "psutil", "dns"}
    assert not heavy & set(words)


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


@pytest.fixture
def web() -> Http:
    """Provide a port, and a way to ask it."""
    return Http()


def vm(running: Running) -> int:
    """Return the pid of the VM."""
    return running.child_that_runs(str(HELPERS / "vm.py"))


def helper(running: Running) -> int:
    """Return the pid of the process that answers over HTTP, once there is one."""
    return eventually(lambda: running.child_that_runs("answer-probes"), "somebody answers")


def test_http_answers_from_the_waiting_to_the_end(machine: Machine, host: Host, web: Http) -> None:
    """Live all the time, ready while it serves, and nobody there after the end."""
    environment = host.waiting(HEALTH_HTTP_PORT=str(web.port))
    running = machine.start(PLAIN, environment=environment)
    running.wait_for_output("waiting for mongooseim@chat-1")
    web.eventually("/live", 200)
    assert "not started yet" in web.ask("/ready").body
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")

    environment = host.environment("deaf", HEALTH_HTTP_PORT=str(web.port))
    running = machine.start(PLAIN, environment=environment)
    assert web.eventually("/ready", 200).body == "ready\n"
    assert web.ask("/live").body == "live\n"
    running.send(signal.SIGTERM)
    assert "MongooseIM stops" in web.eventually("/ready", 503).body
    assert web.ask("/live").status == 200
    os.kill(vm(running), signal.SIGKILL)
    assert running.wait() == 0
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")


def test_http_answers_both_address_families(machine: Machine, host: Host, web: Http) -> None:
    """And GET and HEAD, and says what else there is."""
    running = machine.start(PLAIN, environment=host.environment(HEALTH_HTTP_PORT=str(web.port)))
    web.eventually("/ready", 200)
    assert web.ask("/ready", address="::1").status == 200
    head = web.ask("/ready", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, "", "6")
    assert web.ask("/nothing").status == 404
    assert web.ask("/ready", "POST").status == 405
    running.send(signal.SIGTERM)
    assert running.wait() == 0


def test_http_metrics_are_what_prometheus_reads(machine: Machine, host: Host, web: Http) -> None:
    """Each has HELP and TYPE, then its values; those of the VM are the kernel's."""
    running = machine.start(PLAIN, environment=host.environment(HEALTH_HTTP_PORT=str(web.port)))
    web.eventually("/ready", 200)
    reply = web.ask("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values: dict[str, float] = {}
    known: dict[str, str] = {}
    for line in reply.body.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, known[name] = line.split()
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'((\w+)(\{state="\w+"\})?) (\S+)', line)
            assert match is not None, line
            assert match[2] in known, "a value comes after its type"
            values[match[1].removeprefix("mongooseim_entrypoint_")] = float(match[4])
    assert reply.body.count("# HELP ") == len(known)
    assert (values["live"], values["ready"], values["partitioned"]) == (1, 1, 0)
    assert (values['state{state="serving"}'], values['state{state="waiting"}']) == (1, 0)
    assert abs(values["vm_start_time_seconds"] - time.time()) < DEADLINE
    resident = int(status_of(vm(running))["VmRSS"].split()[0]) * 1024
    assert 0.5 * resident < values["vm_resident_memory_bytes"] < 2 * resident
    assert known["mongooseim_entrypoint_vm_cpu_seconds_total"] == "counter"
    host.listener.close()
    assert "mongooseim_entrypoint_ready 0\n" in web.ask("/metrics").body


def test_http_slow_and_garbage_clients_keep_nobody_else_waiting(
    machine: Machine, host: Host, web: Http
) -> None:
    """Three times as many as there is room for, some of whom say something that is no end."""
    environment = host.environment(HEALTH_HTTP_PORT=str(web.port))
    running = machine.start(PLAIN, environment=environment)
    web.eventually("/ready", 200)
    pid = helper(running)
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(3 * http_server.MOST_CLIENTS):
            client = stack.enter_context(socket.create_connection((LOOPBACK, web.port), DEADLINE))
            clients.append(client)
            with contextlib.suppress(OSError):
                client.sendall([b"", b"GET /live HTTP/1.1\r\nX: ", os.urandom(100)][number % 3])
        assert web.ask("/live").status == 200
        open_files = len(os.listdir(f"/proc/{pid}/fd"))
        assert open_files < http_server.MOST_CLIENTS + 20
        assert status_of(pid)["Threads"] == "1"
        # The last to come has its few seconds, and is then shown out without an answer.
        with contextlib.suppress(ConnectionResetError):
            assert clients[-3].recv(1000) == b""
        with socket.create_connection((LOOPBACK, web.port), DEADLINE) as client:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"x" * http_server.LONGEST_REQUEST)
            assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert web.ask("/live").status == 200
    assert helper(running) == pid


@pytest.mark.parametrize("phase", ["waiting", "serving"])
def test_http_a_helper_that_dies_is_started_anew(
    machine: Machine, host: Host, web: Http, phase: str
) -> None:
    """It is said; the pause before the next grows; the server goes on."""
    port = str(web.port)
    serves = phase == "serving"
    environment = (
        host.environment(HEALTH_HTTP_PORT=port) if serves else host.waiting(HEALTH_HTTP_PORT=port)
    )
    running = machine.start(PLAIN, environment=environment)
    for said in ("after_seconds=1.0", "after_seconds=2.0"):
        web.eventually("/ready", 200 if serves else 503)
        os.kill(helper(running), signal.SIGKILL)
        running.wait_for_output(said)
    web.eventually("/live", 200)
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    assert "vm ends, told 1 times" in running.output() or not serves


def test_http_a_port_that_is_taken_ends_no_server(machine: Machine, host: Host, web: Http) -> None:
    """It is said; when the port is free, it is taken."""
    with socket.create_server((LOOPBACK, web.port)):
        environment = host.environment(HEALTH_HTTP_PORT=str(web.port))
        running = machine.start(PLAIN, environment=environment)
        running.wait_for_output(f"no answer on port {web.port} (HEALTH_HTTP_PORT)")
        running.wait_for_output("MongooseIM started")
    web.eventually("/ready", 200)
    running.send(signal.SIGTERM)
    assert running.wait() == 0


def test_http_goes_on_when_the_vm_is_started_anew(machine: Machine, host: Host, web: Http) -> None:
    """A join that fails and is tried again from the start: probes are answered all along.

    The node to join is registered, and what asks it (a VM of the release) says that it runs.
    """
    root = host.release.root
    (root / "etc/hosts").write_text(f"127.0.0.1 chat-2\n{TARGET} chat-1\n")
    with socket.create_server((TARGET, host.epmd_port)) as epmd:
        names = b"\0\0\x11\x11name mongooseim at port 1\n"

        def answer(connection: socket.socket) -> None:
            asked = connection.recv(100)[2:3]
            connection.sendall(names if asked == b"n" else registration(1))

        thread = threading.Thread(target=serve, args=(epmd, answer))
        thread.start()
        environment = host.environment(
            JOIN_CLUSTER="true",
            HEALTH_HTTP_PORT=str(web.port),
            FAKE_ERL="['mongooseim@chat-1']",
            FAKE_CTL="exit 1",
        )
        try:
            running = machine.start(PLAIN, environment=environment)
            running.wait_for_output("vm is up")
            web.eventually("/live", 200)
            partition = root / state.PARTITION_FILE
            partition.write_text("in the first life\n")
            running.wait_for_output("starting MongooseIM anew, to join from there")
            eventually(lambda: not partition.exists(), "the second life begins without it")
            assert web.eventually("/ready", 503).body
            assert web.ask("/live").status == 200
            running.send(signal.SIGTERM)
            assert running.wait() == 0
        finally:
            epmd.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_http_costs_nothing_when_it_is_not_asked_for(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """No process beside the VM, no module in PID 1."""
    running = serving(machine, host, probe)
    eventually(lambda: len(children_of(running.pid)) == 1, "only the VM is left")
    assert children_of(running.pid) == [vm(running)]
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    assert "answers probes" not in running.output()


def test_http_nobody_takes_the_place_of_a_helper_that_a_stop_has_ended(
    machine: Machine, host: Host, web: Http
) -> None:
    """All is killed when STOP_TIMEOUT is over, and stays so."""
    variables = {"HEALTH_HTTP_PORT": str(web.port), "STOP_TIMEOUT": "0.5"}
    running = machine.start(PLAIN, environment={**host.environment("deaf"), **variables})
    web.eventually("/ready", 200)
    running.send(signal.SIGTERM)
    assert running.wait() == 137
    assert "starting it anew" not in running.output()
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")


def test_http_leaves_nobody_behind_when_the_start_fails(
    machine: Machine, host: Host, web: Http
) -> None:
    """The primary does not come: PID 1 ends with 2, and what answered is gone with it."""
    environment = host.waiting(HEALTH_HTTP_PORT=str(web.port), JOIN_TIMEOUT=str(FIRST_SECONDS))
    running = machine.start(PLAIN, environment=environment)
    assert running.wait() == 2
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")
