"""What a probe is told, from the notes of a member to the exit status."""

from __future__ import annotations

import _socket
import io
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from epmd_server import answering, epmd_that_knows, hang_up_after

from member_entrypoint import environment, state
from member_entrypoint.health import probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODE = "mongooseim@chat-2"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Have the signals of the tests as before: a probe sets those of its own process."""
    handler = signal.getsignal(signal.SIGINT)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.signal(signal.SIGINT, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Member:
    """A member that serves: this process is its PID 1 and its VM, a thread is its node."""

    def __init__(self, root: Path, epmd: int, port: int) -> None:
        """Write the notes."""
        self.root, self.epmd, self.port = str(root), str(epmd), port
        state.begin(self.root, port)
        self.note(os.getpid())
        state.note(self.root, state.STATE_FILE, state.SERVING)

    def note(self, vm: int, node: str = NODE) -> None:
        """Note another VM or another node."""
        words = (node, "tcp", self.epmd)
        state.note_processes(self.root, self.port, vm=vm, node=words)


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Member]:
    """Provide a member that serves, and is ready."""
    monkeypatch.setenv(environment.ROOT, str(tmp_path))
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        answering(hang_up_after) as node,
        answering(epmd_that_knows(node)) as epmd,
    ):
        yield Member(tmp_path, epmd, server.getsockname()[1])


def told(question: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the status and the words of a probe; nothing else is said."""
    status = probe.main([question])
    captured = capfd.readouterr()
    assert captured.err == ""
    return status, captured.out.removesuffix("\n")


def test_a_member_that_is_well_is_live_and_ready(
    member: Member, capfd: pytest.CaptureFixture[str]
) -> None:
    """A word for people, a status for Docker."""
    assert told("live", capfd) == (0, "live")
    assert told("ready", capfd) == (0, "ready")
    assert probe.examine(member.root) == (state.SERVING, "", "")


def test_a_member_whose_listener_is_missing_is_live_and_not_ready(
    member: Member, capfd: pytest.CaptureFixture[str]
) -> None:
    """The port is that of HEALTH_PORT."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        member.port = server.getsockname()[1]
    member.note(os.getpid())
    assert told("live", capfd) == (0, "live")
    said = f"nothing listens on port {member.port} (HEALTH_PORT)"
    assert told("ready", capfd) == (1, said)


@pytest.mark.parametrize("name", state.REASONS)
def test_a_note_against_a_member_makes_it_unready(
    name: str, member: Member, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the words of who wrote it."""
    state.note(member.root, name, "a reason")
    assert told("live", capfd) == (0, "live")
    assert told("ready", capfd) == (1, "a reason")


def test_a_node_that_is_not_well_is_neither(
    member: Member, capfd: pytest.CaptureFixture[str]
) -> None:
    """A restart would mend it."""
    member.note(os.getpid(), "other@chat-2")
    said = "the epmd of this host does not know other@chat-2"
    assert told("live", capfd) == (1, said)
    assert told("ready", capfd) == (1, said)
    assert (
        probe.examine(member.root, lambda *words: " ".join(words))[1:]
        == (f"other@chat-2 tcp {member.epmd}",) * 2
    )


def test_a_vm_that_is_stopped_or_has_ended_is_neither(
    member: Member, capfd: pytest.CaptureFixture[str]
) -> None:
    """The VM is the process that was noted."""
    vm = subprocess.Popen(["sleep", "1000"])
    try:
        member.note(vm.pid)
        assert told("live", capfd) == (0, "live")
        vm.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, vm.pid, os.WSTOPPED)
        assert told("live", capfd) == (1, "the Erlang VM is stopped, as by SIGSTOP")
    finally:
        vm.kill()
        vm.wait()
    assert told("ready", capfd) == (1, "the Erlang VM has ended")


def test_a_member_without_a_state_waits(member: Member, capfd: pytest.CaptureFixture[str]) -> None:
    """Its PID 1 is there, and has not written it yet."""
    state.forget(member.root, state.STATE_FILE)
    assert told("live", capfd) == (0, "live")
    assert told("ready", capfd) == (1, probe.why_not_ready(state.WAITING))


@pytest.mark.parametrize(
    ("question", "asked"),
    [([], "''"), (["x"], "'x'"), (["live", "ready"], "'live ready'"), (["x", "live"], "'x live'")],
)
def test_another_question_is_an_error(
    question: list[str], asked: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the two that are allowed."""
    assert probe.main(question) == 78
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == f"health is asked {asked}; allowed: health live, health ready\n"


def test_a_probe_can_be_ended(member: Member, capfd: pytest.CaptureFixture[str]) -> None:
    """Though the images start the interpreter with all signals blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    assert told("live", capfd) == (0, "live"), member.root
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_a_dead_process_is_no_pid_1() -> None:
    """`X` is what the kernel says for a moment."""
    assert probe.why_not_live(state.WAITING, "X", "") == probe.NO_SERVER


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")],
)
def test_a_node_at_one_address_is_asked_there(
    family: int, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has no epmd, at the port that the flags give it."""
    monkeypatch.setattr(probe, "NODE_TIMEOUT", 0.2)
    with socket.create_server((address, 0), family=family) as hung:
        port = str(hung.getsockname()[1])
        said = probe.whats_wrong_with_node(NODE, "tcp", "0", port, address)
    assert said == "the Erlang VM hangs: it closed no connection within 0.2 s"


def test_a_node_that_waits_for_our_end_of_the_connection_is_well() -> None:
    """It closes its own side then: nothing was said, so nothing is logged."""

    def until_the_end(connection: socket.socket) -> None:
        assert connection.recv(100) == b""

    with answering(until_the_end) as node:
        assert probe.whats_wrong_with_node(NODE, "tcp", "0", str(node)) == ""


@pytest.mark.parametrize(
    ("answer", "known"),
    [(b"w\0\x13\x88", True), (b"w\0\x13", False), (b"w\x01\x13\x88", False), (b"", False)],
)
def test_of_an_answer_of_epmd_the_first_bytes_count(answer: bytes, *, known: bool) -> None:
    """A result, and a port; what is shorter is no answer."""

    def epmd(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(answer)

    with answering(epmd) as port:
        said = probe.whats_wrong_with_node(NODE, "other", str(port))
    assert said == ("" if known else f"the epmd of this host does not know {NODE}")


def test_where_there_is_no_epmd_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the last address; a family that the kernel has not is passed over."""
    no_such_family = (12345, "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    said = probe.whats_wrong_with_node(NODE, "tcp", port)
    assert said == "no epmd on this host (Connection refused)"
    monkeypatch.setattr(probe, "LOOPBACK", (no_such_family,))
    said = probe.whats_wrong_with_node(NODE, "tcp", port)
    assert said == "no epmd on this host (Address family not supported by protocol)"
    monkeypatch.setattr(probe, "LOOPBACK", (no_such_family, (socket.AF_INET, "127.0.0.1")))
    with answering(hang_up_after) as node, answering(epmd_that_knows(node)) as epmd:
        assert probe.whats_wrong_with_node(NODE, "tcp", str(epmd)) == ""


def test_the_kernel_is_asked_for_just_the_listeners_of_a_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its table of all sockets may be long, so it is not read."""
    try:
        _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, probe.NETLINK_SOCK_DIAG).close()
    except OSError:
        pytest.skip("this kernel cannot be asked")

    def fail(_path: str, _port: int) -> bool:
        raise AssertionError("the table was read")

    monkeypatch.setattr(probe, "_in_table", fail)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probe.listens(port)
    assert not probe.listens(port)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (b"", False),
        (b"  sl  local_address rem_address   st\n", False),
        (b"head\n 0: 0100007F:1F90 00000000:0000 0A 0\n", True),
        (b"head\n 0: 0100007F:1F91 00000000:0000 0A 0\n", False),
        (b"head\n 0: 0100007F:1F91 0 0A 0\n 1: 0100007F:1F90 0 0A 0\n", True),
        (b"head\n 0: 0100007F:1F90 0100007F:1F91 01 0\n", False),
        (None, False),
    ],
)
def test_where_the_kernel_cannot_be_asked_its_table_is_read(
    table: bytes | None, monkeypatch: pytest.MonkeyPatch, *, expected: bool
) -> None:
    """Of port 8080; a connection is no listener, and without a table there is none."""

    def unable(_family: int, _port: int) -> bool:
        raise OSError

    def opened(path: str, _mode: str) -> io.BytesIO:
        if table is None:
            raise FileNotFoundError(path)
        return io.BytesIO(table)

    monkeypatch.setattr(probe, "_listens", unable)
    monkeypatch.setattr(probe, "open", opened, raising=False)
    assert probe.listens(8080) is expected
