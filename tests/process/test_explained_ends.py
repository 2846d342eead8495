"""A VM that ends by itself is explained by one line, also where Kubernetes looks for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hosts import SLOW, Host
from processes import eventually, tool

from member_entrypoint import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from processes import Machine, Running

LISTEN = "import socket, time; s = socket.create_server(('', {})); print('up', flush=True); input()"


def member(name: str, text: str) -> Callable[[Host], contextlib.AbstractContextManager[None]]:
    """Return what puts a file into /member."""

    @contextlib.contextmanager
    def make(host: Host) -> Iterator[None]:
        folder = host.root / "member"
        folder.mkdir()
        (folder / name).write_text(text)
        yield

    return make


def program(
    name: str, change: Callable[[bytes], bytes]
) -> Callable[[Host], contextlib.AbstractContextManager[None]]:
    """Return what changes a program of the VM."""

    @contextlib.contextmanager
    def make(host: Host) -> Iterator[None]:
        [path] = host.root.glob(f"usr/lib/mongooseim-image/erts-*/bin/{name}")
        content = path.read_bytes()
        changed = change(content)
        assert changed != content
        path.unlink()  # all hosts share it
        path.write_bytes(changed)
        path.chmod(0o755)
        yield

    return make


def for_another_machine(content: bytes) -> bytes:
    """Return a program for a machine that nobody has: bytes 18 and 19 of the header say which."""
    return content[:18] + b"\x16\0" + content[20:]


def taken(port: int) -> Callable[[Host], contextlib.AbstractContextManager[None]]:
    """Return what listens on a port of the host."""

    @contextlib.contextmanager
    def make(host: Host) -> Iterator[None]:
        command = [*host.inside(), sys.executable, "-c", LISTEN.format(port)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            try:
                yield
            finally:
                process.communicate("\n")

    return make


@contextlib.contextmanager
def node_range(host: Host) -> Iterator[None]:
    """Let nodes have one port only, and take it."""
    low = "-kernel inet_dist_listen_min 9100 inet_dist_listen_max 9100\n"
    with member("vm.dist.args", low)(host), taken(9100)(host):
        yield


@contextlib.contextmanager
def same_name(host: Host) -> Iterator[None]:
    """Run a node with the name of ours on the same host."""
    command = [*host.inside(), tool("erl"), "-noinput", "-sname", "mongooseim", "-eval"]
    said = "io:put_chars([atom_to_list(node()), 10])."
    with subprocess.Popen([*command, said], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mongooseim@chat-1\n"
        try:
            yield
        finally:
            process.kill()


@dataclass(frozen=True)
class Case:
    """Something that ends a VM at its start, and how that is explained."""

    name: str
    make: Callable[[Host], contextlib.AbstractContextManager[None]]
    said: str
    status: int = 1
    variables: dict[str, str] = field(default_factory=dict)


CASES = (
    Case(
        "TOML",
        member("mongooseim.toml", "[general]\n  loglevel = \n"),
        "/member/mongooseim.toml, line 2, column 14: Invalid value; correct it there",
    ),
    Case(
        "a listener",
        member("mongooseim.toml", "[[listen.c2s]]\n  port = 99999\n"),
        "/member/mongooseim.toml has the port 99999; give it one from 1 to 65535",
    ),
    Case(
        "app.config",
        member("app.config", "[{kernel, [a b]}].\n"),
        "/member/app.config, line 2: syntax error before: a word that is not shown here; correct",
    ),
    Case("a port", taken(5222), "is taken by python"),
    Case("the node's port", node_range, "port 9100 (inet_dist_listen_min of the VM's flags) is"),
    Case("the node's name", same_name, "a node mongooseim runs on this host already"),
    Case(
        "a flag",
        member("vm.args", "+Q nonsense\n"),
        "vm.args, vm.dist.args or ERL_FLAGS have a flag that this Erlang does not know",
    ),
    Case(
        "what only the log says",
        member("mongooseim.cfg", "{listen"),
        "level=error pid=",
        variables={"MONGOOSEIM_CONFIG_FORMAT": "cfg"},
    ),
    Case(
        "what only the crash dump says",
        member("app.config", '[{mongooseim, [{boot_delay_ms, "soon"}]}].\n'),
        "Kernel pid terminated (application_controller) ({application_start_failure,mongooseim",
    ),
    Case(
        "another machine",
        program("erlexec", for_another_machine),
        "erlexec cannot be run: it was compiled for s390x",
        126,
    ),
    Case(
        "a program of another machine",
        program("beam.smp", for_another_machine),
        "beam.smp cannot be run: it was compiled for s390x",
    ),
    Case(
        "another libc",
        program("beam.smp", lambda content: content.replace(b"/ld-linux", b"/ld-nobod")),
        "does not exist here: it was compiled for another distribution",
    ),
    Case(
        "a library",
        program("beam.smp", lambda content: content.replace(b"libtinfo.so.6", b"libtinfo.so.9")),
        "beam.smp misses",
        127,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_vm_that_ends_at_its_start_is_explained(machine: Machine, one: Host, case: Case) -> None:
    """By one error line, the last but that of the end; its status is the container's."""
    with case.make(one), termination_log(one) as log:
        running = one.start(machine, JOIN_CLUSTER="false", **case.variables)
        assert running.wait(timeout=SLOW) == case.status, running.output()
        errors = errors_of(running)
        assert len(errors) == 1, errors
        assert f"MongooseIM ended while it started (exit status {case.status}): " in errors[0]
        assert case.said in errors[0]
        assert "MongooseIM ended" in running.output().splitlines()[-1]
        assert case.said in log.read_text()
        assert log.read_text().startswith("MongooseIM ended while it started")


def errors_of(running: Running) -> list[str]:
    """Return our own error lines."""
    return [line for line in running.output().splitlines() if " level=error event=" in line]


@contextlib.contextmanager
def termination_log(host: Host, *, mounted: bool = True) -> Iterator[Path]:
    """Have Kubernetes' file there."""
    (host.root / "dev").mkdir()
    path, source = host.root / "dev/termination-log", host.root / "message"
    path.write_text("as it was")
    if not mounted:
        yield path
        return
    source.write_text("earlier")
    source.chmod(0o666)
    host.shell(f"mount --bind {source} {path}")
    try:
        yield source
    finally:
        host.shell(f"umount {path}")


def test_bad_cookie_of_mnesia_is_explained(machine: Machine, two: list[Host]) -> None:
    """The server of another cluster, under the name of a member of ours."""
    second = two[1].start(machine)
    second.wait_for_output("waiting for")
    first = two[0].start(machine)
    for host in two:
        host.becomes_ready(machine)
    for running in (second, first):
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    alone = {"JOIN_CLUSTER": "false", "NODE_RENAMED": "start-empty"}
    for path in sorted((two[0].root / "var/lib/mongooseim").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    two[0].start(machine, **alone)
    two[0].becomes_ready(machine)
    running = two[1].start(machine, **alone)
    assert running.wait(timeout=SLOW) == 1
    [error] = errors_of(running)
    assert "Mnesia met a node of its schema that runs in another cluster (Bad cookie" in error


def test_a_crash_dump_of_a_server_that_has_served_is_explained(machine: Machine, one: Host) -> None:
    """By its slogan, and where it lies."""
    running = one.start(machine, JOIN_CLUSTER="false")
    one.becomes_ready(machine)
    running.send(signal.SIGUSR1)
    assert running.wait(timeout=SLOW) == 1
    [error] = errors_of(running)
    assert "MongooseIM ended by itself (exit status 1): Received SIGUSR1; see " in error
    assert "log/erl_crash.dump" in error


def test_what_an_earlier_life_left_behind_explains_nothing(machine: Machine, one: Host) -> None:
    """Neither its log nor its crash dump."""
    with member("app.config", '[{mongooseim, [{boot_delay_ms, "soon"}]}].\n')(one):
        assert one.start(machine, JOIN_CLUSTER="false").wait(timeout=SLOW) == 1
    (one.root / "member/app.config").unlink()
    (one.root / "member/vm.args").write_text("+Q nonsense\n")
    running = one.start(machine, JOIN_CLUSTER="false")
    assert running.wait(timeout=SLOW) == 1
    [error] = errors_of(running)
    assert "it ended before it wrote a log" in error


def test_a_vm_that_was_killed_is_explained(machine: Machine, one: Host) -> None:
    """Somebody, or a machine without memory."""
    running = one.start(machine, JOIN_CLUSTER="false")
    one.becomes_ready(machine)
    os.kill(int(state.processes(str(one.root))["vm"][0]), signal.SIGKILL)
    assert running.wait(timeout=SLOW) == 137
    [error] = errors_of(running)
    assert "(signal 9): SIGKILL came from outside" in error


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "not mounted"])
def test_a_refusal_is_told_to_kubernetes(
    machine: Machine,
    one: Host,
    mounted: bool,  # noqa: FBT001
) -> None:
    """All of its lines; where the file is not Kubernetes' mount, it is left alone."""
    with termination_log(one, mounted=mounted) as log:
        running = one.start(machine, JOIN_CLUSTER="maybe", HEALTH_PORT="x")
        assert running.wait() == 78
        expected = "JOIN_CLUSTER is 'maybe'; allowed: true, false, 1 or 0\nHEALTH_PORT is 'x'; all"
        assert log.read_text().startswith(expected if mounted else "as it was")


def test_a_long_message_ends_with_a_whole_character(one: Host) -> None:
    """What is no UTF-8 cannot be in a pod's status."""
    script = (
        "import sys; from member_entrypoint.files import termination_log; "
        "termination_log.note(sys.argv[1], 'x' + 3000 * '\u00e9')"
    )
    with termination_log(one) as log:
        subprocess.run([*one.inside(), sys.executable, "-I", "-c", script, one.root], check=True)
        assert log.read_text("utf-8") == "x" + 2047 * "\u00e9"


def test_a_join_that_failed_is_told_to_kubernetes(machine: Machine, two: list[Host]) -> None:
    """By the helper that knows why."""
    with termination_log(two[1]) as log:
        running = two[1].start(machine, JOIN_TIMEOUT="1")
        assert running.wait() == 2
        assert log.read_text().startswith(f"Failed clustering {two[1].node} with {two[0].node}: ")


def test_a_stop_leaves_no_message(machine: Machine, one: Host) -> None:
    """Kubernetes shows what it shows."""
    with termination_log(one) as log:
        running = one.start(machine, JOIN_CLUSTER="false")
        one.becomes_ready(machine)
        running.send(signal.SIGTERM)
        assert running.wait(timeout=SLOW) == 0
        assert log.read_text() == "earlier"


def test_no_byte_of_the_server_passes_through_us(machine: Machine, one: Host) -> None:
    """Its standard output is ours itself, not a pipe of ours."""
    running = one.start(machine, JOIN_CLUSTER="false")
    one.becomes_ready(machine)
    vm = state.processes(str(one.root))["vm"][0]
    for descriptor in (1, 2):
        ours = os.readlink(f"/proc/{running.pid}/fd/{descriptor}")
        assert os.readlink(f"/proc/{vm}/fd/{descriptor}") == ours
        assert eventually(lambda: os.path.isfile(ours), "it is the test's file")  # noqa: B023
