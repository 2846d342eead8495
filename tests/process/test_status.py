"""`status` as a command: where no member runs, waits or hangs; on a terminal; its words."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from health_tools import PLAIN, TARGET, Host, Probe, serving, vm
from loopback import free_port
from processes import ROOT, eventually
from releases import NODE, PRIMARY
from terminals import Terminal

from member_entrypoint import state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processes import Machine
    from releases import FakeRelease

NOT_NEEDED = {
    "concurrent",
    "dns",
    "logging",
    "psutil",
    "random",
    "secrets",
    "socket",
    "ssl",
    "structlog",
    "subprocess",
    "typing",
}
"""What takes longer to import than a member takes to answer."""
BOLD, RED = "\033[1m", "\033[31m"


class Status:
    """Asks for the status as `docker exec` does."""

    def __init__(self, machine: Machine, environment: dict[str, str]) -> None:
        """Take the environment of the container."""
        self._machine = machine
        self.environment = environment

    def __call__(self, *words: str) -> tuple[int, str]:
        """Return status and output."""
        return self._machine.run(PLAIN, ["status", *words], environment=self.environment)

    def document(self) -> dict[str, Any]:
        """Return what it says as JSON."""
        code, printed = self("--json")
        found: dict[str, Any] = json.loads(printed)
        assert code == (0 if found["well"] else 1)
        return found

    def eventually(self, kind: str) -> dict[str, Any]:
        """Wait until the verdict is of this kind."""
        last: list[dict[str, Any]] = []

        def judged() -> bool:
            last[:] = [self.document()]
            return bool(last[0]["kind"] == kind)

        eventually(judged, f"it is {kind}: {last}")
        return last[0]


def test_without_a_member_there_is_one_line(machine: Machine, release: FakeRelease) -> None:
    """And status 1; as JSON, too."""
    status = Status(machine, release.environment())
    assert status() == (1, "no MongooseIM server runs in this container\n")
    found = status.document()
    assert (found["kind"], found["node"], found["members"]) == ("no_server", None, [])


@pytest.mark.parametrize("words", [["--yaml"], ["--watch", "often"], ["live"]], ids=" ".join)
def test_other_words_are_refused(machine: Machine, release: FakeRelease, words: list[str]) -> None:
    """With the status of `health` for wrong words, and what is allowed."""
    code, said = Status(machine, release.environment())(*words)
    assert code == 78
    assert said.endswith("; allowed: status [--json] [--watch [SECONDS]]\n")


def test_a_member_that_waits_says_for_whom(machine: Machine, host: Host) -> None:
    """Before its VM runs, in the words of its log, with the time that is left."""
    environment = host.waiting()
    running = machine.start(PLAIN, environment=environment)
    running.wait_for_output(f"waiting for {PRIMARY}")
    status = Status(machine, environment)
    found = status.eventually("waiting")
    assert found["verdict"].startswith(f"{NODE} waits for {PRIMARY}: no epmd on {TARGET} port ")
    assert found["waiting"]["text"] == f"waiting for {PRIMARY}"
    assert 0 < found["waiting"]["seconds_left"] <= 300
    assert [(row["name"], row["state"], row["member"]) for row in found["members"]] == [
        (PRIMARY, "stopped", False),
        (NODE, "waits", False),
    ]
    code, shown = status()
    assert code == 1
    assert "\ngives up    in " in shown
    assert f"\n  {PRIMARY}: no epmd on {TARGET} port " in shown


def test_what_was_waited_for_is_not_said_any_more(
    machine: Machine, host: Host, probe: Probe, release: FakeRelease
) -> None:
    """A member that has started waits for nobody."""
    port = free_port()
    awaited = f"127.0.0.1:{port}"
    environment = host.environment(WAIT_FOR=awaited)
    machine.start(PLAIN, environment=environment)
    status = Status(machine, environment)
    found = status.eventually("waiting")
    assert found["verdict"].startswith(f"{NODE} waits for {awaited}: ")
    with socket.create_server(("127.0.0.1", port)):
        probe.eventually("ready", 0, "ready")
    assert status.document()["waiting"] is None
    assert not (release.root / "run/mongooseim/waits").exists()


def test_a_vm_that_is_stopped_or_does_not_answer(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """Within a second or so, whatever the VM does; the fake one speaks no Erlang at all."""
    running = serving(machine, host, probe)
    status = Status(machine, host.environment())
    found = status.document()
    assert found["kind"] == "no_answer"
    assert found["verdict"].startswith(f"{NODE} does not answer: ")
    assert found["took_seconds"] < 60
    assert found["node"]["state"] == "serving"
    os.kill(vm(running), signal.SIGSTOP)
    try:
        said = f"{NODE} is dead: the Erlang VM is stopped, as by SIGSTOP"
        assert status.document()["verdict"] == said
    finally:
        os.kill(vm(running), signal.SIGCONT)


PLACES = (
    *(state.STATE_FILE, state.PROCESSES_FILE, state.PARTITION_FILE, state.OTHER_CLUSTER_FILE),
    *(state.WAIT_FILE, f"{state.FAILING_FILE}watch"),
    *(f"run/mongooseim/etc/{name}" for name in ("vm.args", "vm.dist.args", "app.config")),
    f"var/lib/mongooseim/Mnesia.{NODE}/schema.DAT",
    f"var/lib/mongooseim/.cluster.{NODE}",
)
"""Of files that the member's user can replace."""
THINGS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_holds_nobody_up(
    machine: Machine, release: FakeRelease, place: str, thing: str
) -> None:
    """A pipe blocks who opens it, and a device may never end."""
    root = str(release.root)
    state.begin(root, 5222)
    state.note_processes(root, 5222, vm=os.getpid(), node=(NODE, "plain", "4369"))
    state.note(root, state.STATE_FILE, state.SERVING)
    path = release.root / place
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    THINGS[thing](path)
    for command in ("status", "check"):
        _, output = machine.run(PLAIN, [command, "--json"], environment=release.environment())
        json.loads(output)


def test_nobodys_cookie_is_needed(machine: Machine, host: Host, probe: Probe) -> None:
    """Its file may be root's alone: the rendered configuration has it."""
    serving(machine, host, probe)
    status = Status(machine, {**host.environment(), "CLUSTER_COOKIE_FILE": "/root/not/there"})
    assert status.document()["node"]["name"] == NODE


def test_colour_is_for_terminals(machine: Machine, release: FakeRelease) -> None:
    """And for those who have not said NO_COLOR."""
    said = "no MongooseIM server runs in this container"
    for variables, wanted in (
        ({"TERM": "xterm"}, f"{BOLD}{RED}{said}"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, said),
        ({"TERM": "dumb"}, said),
    ):
        terminal = Terminal(machine, PLAIN, ["status"], release.environment(**variables))
        assert terminal.wait_for(said) == wanted
        terminal.close()


def test_it_is_watched_until_ctrl_c(machine: Machine, release: FakeRelease) -> None:
    """The last look stays on the terminal, without a traceback; the status is that of it."""
    said = "no MongooseIM server runs in this container"
    terminal = Terminal(machine, PLAIN, ["status", "--watch", "0.1"], release.environment())
    for _ in range(3):
        terminal.wait_for("every 0.1 s; ")
        terminal.wait_for(said)
    terminal.type("\x03")
    rest = terminal.wait_for("\033[?1049l")
    assert "Traceback" not in rest + terminal.wait_for(said)
    assert terminal.running.wait() == 1
    terminal.close()


def test_watching_as_json_gives_a_line_each_time(machine: Machine, release: FakeRelease) -> None:
    """Until SIGTERM, for programs."""
    words = ["status", "--watch", "0.1", "--json"]
    running = machine.start(PLAIN, words, environment=release.environment())
    eventually(lambda: running.output().count("\n") > 2, "it looks again and again")
    running.send(signal.SIGTERM)
    assert running.wait() == 1
    for line in running.output().splitlines():
        assert json.loads(line)["kind"] == "no_server"


def test_wrong_settings_are_told_as_json(machine: Machine, release: FakeRelease) -> None:
    """As the schema has it; as text they are lines of standard error."""
    environment = release.environment(HEALTH_PORT="http", LOG_LEVEL="loud")
    state.begin(str(release.root), 5222)
    state.note_processes(str(release.root), 5222, vm=os.getpid(), node=(NODE, "plain", "4369"))
    found = Status(machine, environment).document()
    jsonschema.validate(found, json.loads((ROOT / "deploy/status.schema.json").read_text()))
    assert (found["well"], found["kind"], found["node"]) == (False, "not_asked", None)
    assert "HEALTH_PORT is 'http'; allowed: " in found["verdict"]
    assert "LOG_LEVEL is 'loud'; allowed: " in found["verdict"]
    code, said = Status(machine, environment)()
    assert code == 1
    assert [line.partition(" ")[0] for line in said.splitlines()] == ["HEALTH_PORT", "LOG_LEVEL"]


def test_what_status_imports_is_little(python: Path) -> None:
    """It has 100 ms, and the interpreter takes its part of them."""
    script = (
        "import sys; from member_entrypoint.status import asking, command, text; "
        f"print(sorted({NOT_NEEDED!r} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [python, "-I", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
