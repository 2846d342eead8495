"""The stop: prompt at every moment, and over at the deadline."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from epmd_server import EPMD_PORT, answering, epmd_that_knows
from loopback import new_address
from processes import HELPERS, MEMBER, Machine, Mode, Program, alive, eventually, tool
from releases import PRIMARY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processes import Running
    from releases import FakeRelease

PID_1 = Program(MEMBER, Mode.PID_1)
FAR = "600"
"""A STOP_TIMEOUT (seconds) that no test lasts: who ends before it did not wait for it."""
STOP_TIMEOUT = 1.0
"""One (seconds) that a test sees pass; without it, what is stopped here would never end."""
LOOPBACK = new_address()


def stop(running: Running) -> tuple[int, float]:
    """Send SIGTERM; return the exit status, and the seconds until the end."""
    began = time.monotonic()
    running.send(signal.SIGTERM)
    status = running.wait()
    return status, time.monotonic() - began


def named(mark: str) -> list[psutil.Process]:
    """Return the processes that have `mark` among their arguments."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and mark in process.cmdline():
                found.append(process)
    return found


@pytest.fixture
def mark() -> Iterator[str]:
    """Provide a number of seconds for `sleep` that tells a test's leftovers from all others.

    Those that are there after the test are killed, also those that come meanwhile.
    """
    text = f"{100_000 + time.monotonic_ns() % 10**9}"
    yield text
    while leftovers := named(text):
        for process in leftovers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def test_server_a_vm_that_ignores_term_is_killed_at_the_deadline(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """When STOP_TIMEOUT is over, and not before; the status is 137."""
    environment = release.environment("deaf", STOP_TIMEOUT=str(STOP_TIMEOUT))
    running = machine.start(member, environment=environment)
    running.wait_for_output("MongooseIM started")
    status, took = stop(running)
    assert status == 137
    assert took >= STOP_TIMEOUT
    assert "did not stop within STOP_TIMEOUT and was killed" in running.output()
    assert "signal SIGKILL" in running.output().splitlines()[-1]


def test_a_child_that_ignores_term_is_killed_at_the_deadline(
    machine: Machine, member: Program
) -> None:
    """The same for a command."""
    command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    running = machine.start(member, command, environment={"STOP_TIMEOUT": str(STOP_TIMEOUT)})
    running.wait_for_output("ready")
    status, took = stop(running)
    assert status == 137
    assert took >= STOP_TIMEOUT


def test_server_an_obedient_vm_ends_early(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """Nobody waits for a deadline that is not needed."""
    running = machine.start(member, environment=release.environment(STOP_TIMEOUT=FAR))
    running.wait_for_output("MongooseIM started")
    assert stop(running)[0] == 0


def test_server_a_vm_that_ends_in_time_was_not_killed_however_late_we_look(
    machine: Machine, release: FakeRelease
) -> None:
    """On a machine so slow that the deadline is over by then, its end counts, with the status 0."""
    environment = release.environment(STOP_TIMEOUT=str(STOP_TIMEOUT))
    program = Program(HELPERS / "late_look.py", Mode.PID_1)
    running = machine.start(program, environment=environment)
    running.wait_for_output("MongooseIM started")
    status, took = stop(running)
    assert (status, took >= STOP_TIMEOUT) == (0, True)
    assert "was killed" not in running.output()
    assert "how='exit status 0'" in running.output().splitlines()[-1]


def test_server_what_the_vm_leaves_behind_is_ended_too(
    machine: Machine, member: Program, release: FakeRelease, mark: str
) -> None:
    """Programs in sessions of their own: told, waited for until the deadline, then killed."""
    deaf = f"trap '' TERM; sleep {mark} & echo deaf is up; while :; do sleep 0.1; done"
    told = "trap 'echo told; exit' TERM; echo told is up; while :; do sleep 0.1; done"
    vm = f'leaves=setsid sh -c "{told}" & {deaf}'
    for timeout in (STOP_TIMEOUT, 5 * STOP_TIMEOUT, 25 * STOP_TIMEOUT):
        running = machine.start(
            member, environment=release.environment(vm, STOP_TIMEOUT=f"{timeout}")
        )
        for text in ("MongooseIM started", "deaf is up", "told is up"):
            running.wait_for_output(text)
        family = psutil.Process(running.pid).children(recursive=True)
        status, took = stop(running)
        if status == 0 and "\ntold\n" in running.output():
            break  # else the machine was too busy for them: they get more time
    assert status == 0
    assert took >= timeout
    assert "\ntold\n" in running.output()
    assert not [process for process in family if alive(process.pid)]
    assert named(mark) == []


def test_a_stopped_leftover_is_told_to_end_all_the_same(
    machine: Machine, member: Program, mark: str
) -> None:
    """One that SIGSTOP holds cannot act on SIGTERM until it is let go."""
    script = f"setsid sleep {mark} & kill -STOP $!; echo ready; exit 2"
    running = machine.start(member, ["sh", "-c", script], environment={"STOP_TIMEOUT": FAR})
    assert running.wait() == 2
    assert named(mark) == []


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name.lower())
def test_leftovers_that_fork_while_being_killed_do_not_escape(
    machine: Machine, mode: Mode, mark: str
) -> None:
    """Each that is killed has others already; none is left in the end.

    They end by themselves some time: if ours fails, they must not fill the machine.
    """
    forks = f"trap '' TERM; for n in \\$(seq 3000); do (sleep {mark} &); done"
    script = f'setsid sh -c "{forks}" & sleep 0.3; exit 2'
    program = Program(HELPERS / "patient.py", mode)
    running = machine.start(program, ["sh", "-c", script], environment={"STOP_TIMEOUT": "0"})
    assert running.wait() == 2
    assert named(mark) == []


def test_a_leftover_that_cannot_be_killed_does_not_hang_us(machine: Machine, mark: str) -> None:
    """It is given up after the deadline.

    Here it is another user's, and we have no right to kill it; the loop sees no difference to one
    in an uninterruptible sleep, which a test cannot make on every machine.
    """
    if os.geteuid() != 0:
        pytest.fail("only root can run a program as another user", pytrace=False)
    other = f"setpriv --reuid=65534 --regid=65534 --clear-groups sleep {mark}"
    for script, status in (
        (f"setsid {other} & while ! grep -q sleep /proc/$!/comm; do :; done; exit 2", 2),
        (f"echo ready; exec {other}", 137),
    ):
        running = machine.start(
            Program(MEMBER, Mode.SUBREAPER),
            ["sh", "-c", script],
            before=[tool("setpriv"), "--bounding-set=-kill"],
            environment={"STOP_TIMEOUT": str(STOP_TIMEOUT)},
        )
        eventually(lambda: named(mark), "the program of the other user runs")
        if status == 137:
            eventually(lambda: named(mark)[0].name() == "sleep", "it sleeps")
            running.send(signal.SIGTERM)
        assert running.wait() == status
        survivors = named(mark)
        assert survivors, "the test means nothing if it could be killed"
        for process in survivors:
            process.kill()
        eventually(lambda: not named(mark), "all are gone")


def test_server_stop_while_starting_is_prompt(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """The VM boots and may never be up: it is told to end, and that is all."""
    environment = release.environment("booting", STOP_TIMEOUT=FAR)
    running = machine.start(member, environment=environment)
    running.wait_for_output("vm is up")
    assert stop(running)[0] == 0
    assert "MongooseIM started" not in running.output()
    assert "vm ends, told 1 times" in running.output()


def test_server_a_vm_that_cannot_hear_yet_is_told_again(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """A VM drops a SIGTERM early in its boot; the stop must not wait for a deadline."""
    environment = release.environment("late-ears", STOP_TIMEOUT=FAR)
    running = machine.start(member, environment=environment)
    running.wait_for_output("vm is up")
    assert stop(running)[0] == 0
    assert "vm ends, told 3 times" in running.output()


@pytest.fixture
def silent_dns() -> Iterator[str]:
    """Provide the address of a name server that takes questions and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOOPBACK, 53))
        yield LOOPBACK


def test_server_stop_while_waiting_for_dns_is_prompt(
    machine: Machine, member: Program, release: FakeRelease, silent_dns: str
) -> None:
    """No time-out of a resolver is waited for, no VM is started, and the status is 0."""
    (release.root / "etc/resolv.conf").write_text(f"nameserver {silent_dns}\n")
    environment = release.environment(
        JOIN_CLUSTER="true", CLUSTER_WITH="mongooseim@nowhere", STOP_TIMEOUT=FAR
    )
    running = machine.start(member, environment=environment)
    running.wait_for_output("joining mongooseim@nowhere")
    assert stop(running)[0] == 0
    assert "stopped before MongooseIM was started" in running.output()
    assert "vm is up" not in running.output()


def test_server_stop_while_waiting_to_retry_is_prompt(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """The node to join is not there: in the pause before the next look, a stop is taken at once."""
    (release.root / "etc/hosts").write_text(f"127.0.0.1 chat-2\n{LOOPBACK} chat-1\n")
    environment = release.environment(JOIN_CLUSTER="true", STOP_TIMEOUT=FAR)
    running = machine.start(member, environment=environment)
    running.wait_for_output(f"waiting for {PRIMARY}")
    assert stop(running)[0] == 0
    assert "vm is up" not in running.output()


@pytest.fixture
def silent_node(release: FakeRelease) -> Iterator[FakeRelease]:
    """Provide a release whose primary is known to an epmd, takes connections, and never speaks."""
    (release.root / "etc/hosts").write_text(f"127.0.0.1 chat-2\n{LOOPBACK} chat-1\n")
    with socket.create_server((LOOPBACK, 0)) as node:
        epmd = epmd_that_knows(node.getsockname()[1])
        with answering(epmd, LOOPBACK, EPMD_PORT):
            yield release


def test_server_stop_while_asking_the_node_to_join_is_prompt(
    machine: Machine, member: Program, silent_node: FakeRelease
) -> None:
    """The other node takes the connection and says nothing: no time-out is waited for.

    A stop in the middle of a join needs real nodes: see tests/docker.
    """
    environment = silent_node.environment(JOIN_CLUSTER="true", STOP_TIMEOUT=FAR)
    running = machine.start(member, environment=environment)
    running.wait_for_output(f"joining {PRIMARY}")
    helper = running.helper("look")
    eventually(
        lambda: any(
            connection.raddr and connection.raddr.port != EPMD_PORT
            for connection in psutil.Process(helper).net_connections("tcp")
        ),
        "the node is asked",
    )
    assert stop(running)[0] == 0
    assert "vm is up" not in running.output()


def test_server_stop_while_bootstrapping_lets_the_script_end(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """It is an operator's script in the middle of something: it gets SIGTERM and its time."""
    environment = release.environment(
        BOOTSTRAP_ENABLED="true",
        FAKE_CTL="trap 'sleep 0.1; echo script ends; exit' TERM; echo runs; sleep 1000 & wait",
        STOP_TIMEOUT=FAR,
    )
    running = machine.start(member, environment=environment)
    running.wait_for_output("runs")
    assert stop(running)[0] == 0
    assert "script ends" in running.output()
    assert "vm is up" not in running.output()


def test_deadlines_do_not_depend_on_the_wall_clock(machine: Machine, release: FakeRelease) -> None:
    """The deadline is met although the wall clock hops by hours whenever it is read.

    It hops inside the program only: setting the clock of a machine is no test's business. That
    the kernel's own waits are lengths of time, which no clock setting changes, is sigtimedwait(2).
    """
    environment = release.environment("deaf", STOP_TIMEOUT=str(STOP_TIMEOUT))
    program = Program(HELPERS / "hopping_clock.py", Mode.PID_1)
    running = machine.start(program, environment=environment)
    running.wait_for_output("MongooseIM started")
    status, took = stop(running)
    assert status == 137
    assert took >= STOP_TIMEOUT


def test_the_deadline_is_met_while_orphans_end(machine: Machine, release: FakeRelease) -> None:
    """As fast as one process can make them: a deaf VM is killed in time all the same."""
    storm = f"exec {machine.python} -I {HELPERS / 'storm.py'}"
    environment = release.environment(f"deaf;;leaves={storm}", STOP_TIMEOUT=str(STOP_TIMEOUT))
    running = machine.start(PID_1, environment=environment)
    running.wait_for_output("MongooseIM started")
    status, took = stop(running)
    assert status == 137
    assert took >= STOP_TIMEOUT


def test_server_a_reader_that_reads_no_more_does_not_hold_up_a_stop(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """With the pipe of our output full, the VM is still told, and we still end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    running = machine.start(
        member, environment=release.environment(STOP_TIMEOUT=str(STOP_TIMEOUT)), stdout=writing
    )
    seen = b""
    while b"MongooseIM started" not in seen:
        seen += os.read(reading, 4096)
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.set_blocking(writing, True)
    os.close(writing)
    running.send(signal.SIGTERM)
    assert running.wait() in {0, 137}
    os.close(reading)
