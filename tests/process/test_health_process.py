"""Probes of a real member by command; its VM, epmd and node are stand-ins."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from health_tools import LOOPBACK, PLAIN, TARGET, Host, Probe, serving, vm
from processes import DEADLINE, MEMBER, Machine, eventually
from releases import PRIMARY

from member_entrypoint import state
from member_entrypoint.health import probe
from member_entrypoint.health.probe import NO_SERVER


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
    said = f"MongooseIM is not started yet: waiting for {PRIMARY} (no epmd on {TARGET} port "
    probe.eventually("ready", 1, said)


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


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_node_on_either_loopback_is_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes connections and closes none hangs; with IPv6 alone it is at ::1 only."""
    monkeypatch.setattr(probe, "NODE_TIMEOUT", 0.2)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as silent:
        port = str(silent.getsockname()[1])
        assert "hangs" in probe.whats_wrong_with_node("mongooseim@chat-1", "tcp", "0", port)


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
