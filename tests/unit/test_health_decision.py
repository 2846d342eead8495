"""Alive? Ready? The tables, and the questions that a node and the kernel are asked."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from epmd_server import answering, epmd_that_knows, hang_up_after

from member_entrypoint import state
from member_entrypoint.health import http_server, probe
from member_entrypoint.log import Log
from member_entrypoint.places import Places

WAITING, STARTING, SERVING, STOPPING = state.STATES
GONE, RUNS, SLEEPS, FROZEN, TRACED, ZOMBIE = "", "R", "S", "T", "t", "Z"
NODE = "mongooseim@chat-2"


@pytest.mark.parametrize(
    ("now", "init", "vm", "said"),
    [
        # a member that waits or stops has a VM or not; PID 1 sees to its deadlines
        (WAITING, SLEEPS, GONE, ""),
        (WAITING, RUNS, FROZEN, ""),
        (STOPPING, SLEEPS, SLEEPS, ""),
        (STOPPING, SLEEPS, FROZEN, ""),
        (STOPPING, SLEEPS, ZOMBIE, ""),
        (STOPPING, SLEEPS, GONE, ""),
        # from its start on, the VM has to be well
        (STARTING, SLEEPS, RUNS, ""),
        (STARTING, SLEEPS, FROZEN, "VM is stopped"),
        (STARTING, SLEEPS, GONE, "VM has ended"),
        (SERVING, SLEEPS, SLEEPS, ""),
        (SERVING, SLEEPS, "D", ""),
        (SERVING, SLEEPS, TRACED, "VM is stopped"),
        (SERVING, SLEEPS, FROZEN, "VM is stopped"),
        (SERVING, SLEEPS, ZOMBIE, "VM has ended"),
        (SERVING, SLEEPS, "X", "VM has ended"),
        # PID 1, always
        (SERVING, FROZEN, SLEEPS, "PID 1 is stopped"),
        (WAITING, FROZEN, GONE, "PID 1 is stopped"),
        (STOPPING, TRACED, SLEEPS, "PID 1 is stopped"),
        (SERVING, GONE, SLEEPS, "no MongooseIM server runs"),
        (WAITING, GONE, GONE, "no MongooseIM server runs"),
        (STOPPING, ZOMBIE, GONE, "no MongooseIM server runs"),
    ],
)
def test_live(now: str, init: str, vm: str, said: str) -> None:
    """Each state of the member, of PID 1 and of the VM has one answer."""
    why_not = probe.why_not_live(now, init, vm)
    assert said in why_not
    assert bool(said) == bool(why_not)


@pytest.mark.parametrize(
    ("now", "reasons", "said"),
    [
        (SERVING, ("", "", ""), ""),
        (SERVING, ("in a minority", "", "nothing listens"), "in a minority"),
        (SERVING, ("", "left", "nothing listens"), "left"),
        (SERVING, ("", "", "nothing listens"), "nothing listens"),
        (WAITING, (), "not started yet"),
        (STARTING, (), "starts"),
        (STOPPING, (), "stops"),
        ("", (), "unknown"),
        ("unheard-of", (), "unheard-of"),
    ],
)
def test_ready(now: str, reasons: tuple[str, ...], said: str) -> None:
    """Only a member that serves is ready, and the first thing that speaks against it is said."""
    why_not = probe.why_not_ready(now, *reasons)
    assert said in why_not
    assert bool(said) == bool(why_not)


def test_a_node_that_is_registered_and_closes_connections_is_well() -> None:
    """Nothing is wrong with it."""
    with answering(hang_up_after) as node, answering(epmd_that_knows(node)) as epmd:
        assert probe.whats_wrong_with_node(NODE, "tcp", str(epmd)) == ""


def test_a_node_that_is_not_registered_is_not_well() -> None:
    """Its epmd knows other names, or there is no epmd."""
    with answering(hang_up_after) as node, answering(epmd_that_knows(node)) as epmd:
        said = probe.whats_wrong_with_node("other@chat-2", "other", str(epmd))
        assert said == "the epmd of this host does not know other@chat-2"
    assert "no epmd on this host" in probe.whats_wrong_with_node(NODE, "tcp", str(epmd))


def test_a_node_that_hangs_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes the connection, nobody closes it. Over TLS, the node is not asked."""
    monkeypatch.setattr(probe, "NODE_TIMEOUT", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as hung,
        answering(epmd_that_knows(hung.getsockname()[1])) as epmd,
    ):
        assert "the Erlang VM hangs" in probe.whats_wrong_with_node(NODE, "tcp", str(epmd))
        assert probe.whats_wrong_with_node(NODE, "other", str(epmd)) == ""


def test_an_epmd_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, and says nothing."""
    monkeypatch.setattr(probe, "EPMD_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        assert "does not answer within" in probe.whats_wrong_with_node(NODE, "tcp", port)


def test_a_node_without_epmd_or_at_another_address_is_taken_for_well() -> None:
    """A liveness probe that cannot know must not have a server killed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        unused = server.getsockname()[1]
    assert probe.whats_wrong_with_node(NODE, "other", "0") == ""
    with answering(epmd_that_knows(unused)) as epmd:
        assert probe.whats_wrong_with_node(NODE, "tcp", str(epmd)) == ""


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),  # noqa: S104 - that is the question
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::"),
    ],
)
@pytest.mark.parametrize("way", ["asked", "read"])
def test_a_listener_is_seen_at_any_address(
    family: socket.AddressFamily, address: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both by asking the kernel, and in its table where it cannot be asked."""
    if way == "read":
        monkeypatch.setattr(probe, "_listens", unable)
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        assert probe.listens(port)
        with socket.create_connection((address, port)) as client:
            assert not probe.listens(client.getsockname()[1]), "a connection is no listener"
    assert not probe.listens(port)


def unable(_family: int, _port: int) -> bool:
    """Fail as a kernel without sock_diag."""
    raise OSError


def test_a_life_begins_without_the_notes_of_another(tmp_path: Path) -> None:
    """And everybody may read them, whatever the umask."""
    Path(Places(str(tmp_path)).run).mkdir(parents=True)
    for name in (state.STATE_FILE, state.PARTITION_FILE, state.LEFT_FILE):
        Path(tmp_path, name).write_text("old")
    before = os.umask(0o077)
    try:
        state.begin(str(tmp_path), 5222)
    finally:
        os.umask(before)
    path = tmp_path / state.STATE_FILE
    assert state.read(str(path)) == WAITING
    assert path.stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / state.PARTITION_FILE).exists()
    assert not (tmp_path / state.LEFT_FILE).exists()
    assert probe.examine(str(tmp_path)) == (WAITING, "", probe.why_not_ready(WAITING))


def test_notes_of_an_earlier_life_are_nobodys(tmp_path: Path) -> None:
    """The pid is the same again (1, in a container), the process is another."""
    state.begin(str(tmp_path), 5222)
    path = tmp_path / state.PROCESSES_FILE
    path.write_text(f"init {os.getpid()} 1\nport 5222\n")
    assert probe.examine(str(tmp_path))[1] == probe.NO_SERVER


def noted(root: Path, now: str) -> Path:
    """Note that this process is PID 1 and the VM of a member in this state; return the note."""
    Path(Places(str(root)).run).mkdir(parents=True)
    state.begin(str(root), 5222)
    state.note_processes(str(root), 5222, vm=os.getpid(), node=(NODE, "other", "0"))
    state.note(str(root), state.STATE_FILE, now)
    return root / state.PROCESSES_FILE


FOR_FIRST, SILENT = "waiting for m-1", "m-1 is silent"


@pytest.mark.parametrize(
    ("now", "text", "reason", "said"),
    [
        (WAITING, FOR_FIRST, SILENT, f": {FOR_FIRST} ({SILENT})"),
        (WAITING, FOR_FIRST, "", f": {FOR_FIRST}"),
        (WAITING, "", "", ""),
        (STARTING, FOR_FIRST, SILENT, f": {FOR_FIRST} ({SILENT})"),
        (STARTING, FOR_FIRST, "", ""),
        (STOPPING, FOR_FIRST, SILENT, ""),
    ],
)
def test_who_does_not_serve_yet_says_for_what_it_waits(
    now: str, text: str, reason: str, said: str, tmp_path: Path
) -> None:
    """A VM that boots is waited for, too: that is said only if there is a reason."""
    noted(tmp_path, now)
    state.note_wait(str(tmp_path), text, reason, 1e6)
    assert probe.examine(str(tmp_path)) == (now, "", f"{probe.why_not_ready(now)}{said}")


@pytest.mark.parametrize("missing", ["port", "node"])
def test_who_serves_is_not_ready_where_its_notes_are_cut(missing: str, tmp_path: Path) -> None:
    """It is live, as far as is known: a restart might not mend that."""
    path = noted(tmp_path, SERVING)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith(missing)))
    said = f"{path} cannot be understood"
    assert probe.examine(str(tmp_path)) == (SERVING, "", said)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /live?verbose HTTP/1.0\n\n", 200),
        (b"HEAD /live HTTP/1.1\r\n\r\n", 200),
        (b"POST /live HTTP/1.1\r\n\r\n", 405),
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"GET /live\r\n\r\n", 400),
        (b"GET /live FTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\xff\xff\r\n\r\n", 400),
        (b"", 400),
    ],
)
def test_requests_and_what_they_get(request_: bytes, status: int) -> None:
    """Two methods, a few paths; all else is told so. HEAD gets the head alone."""

    def get(path: str) -> http_server.Answer:
        found = path == "/live"
        return http_server.Answer("200 OK" if found else "404 Not Found", "the body")

    head, _, body = http_server.respond(request_, get).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    if request_.startswith(b"HEAD"):
        assert b"Content-Length: 8" in head
        assert body == b""
    else:
        assert f"Content-Length: {len(body)}".encode() in head


def test_a_node_is_asked_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may ask over HTTP must not be able to keep the node busy."""
    asked = []

    def ask(*node: str) -> str:
        asked.append(node)
        return "wrong"

    monkeypatch.setattr(probe, "whats_wrong_with_node", ask)
    monkeypatch.setattr(http_server, "NODE_ANSWER_AGE", 600.0)
    node = http_server.Node()
    assert [node.whats_wrong("a", "tcp", "1") for _ in range(100)] == ["wrong"] * 100
    assert len(asked) == 1
    node.whats_wrong("b", "tcp", "1")
    assert len(asked) == 2


def test_a_port_that_is_taken_is_said_once_and_taken_when_it_is_free(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """However long that lasts."""
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        pauses = iter([lambda: None, lambda: None, taken.close])
        monkeypatch.setattr(time, "sleep", lambda _seconds: next(pauses)())
        http_server.listen(port, Log()).close()
    said = capfd.readouterr().out
    assert said.count(f"no answer on port {port} (HEALTH_HTTP_PORT)") == 1
    assert said.count("now") == 1
