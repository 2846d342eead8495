"""Signals: which ones reach whom, and that none is lost."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from processes import (
    BUILDER,
    HELPERS,
    MEMBER,
    Machine,
    Mode,
    Program,
    alive,
    children_of,
    eventually,
    state_of,
    status_of,
)

if TYPE_CHECKING:
    from releases import FakeRelease

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
TERMINAL_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
NOT_PASSED_AS_THEY_ARE = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, *TERMINAL_STOPS}
GLIBC_OWN = 0b11 << 31
PASSED = [number for number in range(1, 32) if number not in NOT_PASSED_AS_THEY_ARE]


def test_a_child_gets_every_signal_that_is_sent(machine: Machine, init: Program) -> None:
    """All of 1 to 31 but KILL, STOP, CHLD and those that are translated; real-time ones too."""
    command = [str(machine.python), "-I", str(HELPERS / "print_signals.py"), "64"]
    running = machine.start(init, command)
    running.wait_for_output("ready")
    for number in PASSED:
        running.send(number)
        running.wait_for_output(f"got {number}.")
    running.send(signal.SIGCHLD)
    running.send(64)
    assert running.wait() == 0
    got = [line for line in running.output().splitlines() if line.startswith("got")]
    assert got == [f"got {number}." for number in (*PASSED, 64)]


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_server_every_stop_signal_is_one_graceful_stop(
    machine: Machine, member: Program, release: FakeRelease, number: signal.Signals
) -> None:
    """TERM, INT, QUIT and HUP become a single SIGTERM to the VM, and the status is 0."""
    running = machine.start(member, environment=release.environment("print"))
    running.wait_for_output("MongooseIM started")
    running.send(number)
    assert running.wait() == 0
    got = [line for line in running.output().splitlines() if line.startswith("vm got")]
    assert got == ["vm got 15"]
    assert f"asked_by={number.name}" in running.output()


def test_server_usr1_is_passed_on_and_nothing_else(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """SIGUSR1 has the VM write a crash dump; what else is not a stop is nobody's business."""
    running = machine.start(member, environment=release.environment("print"))
    running.wait_for_output("MongooseIM started")
    running.send(signal.SIGUSR1)
    running.wait_for_output("vm got 10\n")
    for number in sorted(set(range(1, 65)) - {9, 10, 19, 32, 33, *STOPS}):
        running.send(number)
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    got = [line for line in running.output().splitlines() if line.startswith("vm got")]
    assert got == ["vm got 10", "vm got 15"]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGUSR2, 140)]
)
def test_a_child_that_a_signal_ends_gives_128_and_its_number(
    machine: Machine, init: Program, number: signal.Signals, status: int
) -> None:
    """The child has default dispositions, and its end by a signal is told as a shell tells it."""
    running = machine.start(init, ["sleep", "1000"])
    child = running.child()
    eventually(lambda: status_of(child).get("Name") == "sleep", "the child runs its program")
    running.send(number)
    assert running.wait() == status


def test_the_whole_group_gets_the_signal(machine: Machine, init: Program) -> None:
    """A pipeline of six processes, none of which knows of the signal, dies together.

    The shell that waits for them does know of it, and goes on only when all are gone.
    """
    pipeline = "sleep 1000 | sleep 1001 | sleep 1002 | sleep 1003 | sleep 1004 | sleep 1005"
    running = machine.start(init, ["sh", "-c", f"trap 'echo shell too' USR1; {pipeline}; exit 8"])
    shell = running.child()
    pids = eventually(
        lambda: (
            found
            if len(found := children_of(shell)) == 6
            and all(status_of(pid).get("Name") == "sleep" for pid in found)
            else []
        ),
        "six processes run",
    )
    running.send(signal.SIGUSR1)
    assert running.wait() == 8
    assert not any(alive(pid) for pid in (shell, *pids))
    assert "shell too" in running.output()


@pytest.mark.parametrize("number", TERMINAL_STOPS, ids=lambda number: number.name)
def test_terminal_stops_stop_the_child_and_cont_resumes_it(
    machine: Machine, member: Program, number: signal.Signals
) -> None:
    """TSTP, TTIN and TTOU stop the child, PID 1 goes on waiting, and CONT lets the child go on."""
    running = machine.start(member, ["sh", "-c", "echo ready; read line; exit 5"], stdin=-1)
    running.wait_for_output("ready")
    child = running.child()
    running.send(number)
    eventually(lambda: state_of(child) == "T", "the child is stopped")
    eventually(lambda: state_of(running.pid) == "S", "PID 1 waits, and is not stopped")
    running.send(signal.SIGCONT)
    eventually(lambda: state_of(child) == "S", "the child goes on")
    assert running.launcher.stdin is not None
    running.launcher.stdin.close()
    assert running.wait() == 5


def test_no_signal_of_the_first_milliseconds_is_lost(machine: Machine, init: Program) -> None:
    """Whenever SIGTERM is sent after the program's first step, the child ends by it."""
    for round_ in range(8):
        running = machine.start(init, ["sleep", "1000"])
        running.wait_until_signals_count()
        # The moments themselves are what is tested: none after the first may be too early.
        time.sleep(round_ * 0.004)
        running.send(signal.SIGTERM)
        assert running.wait() == 143


def test_server_a_stop_of_the_first_milliseconds_is_not_lost(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """A stop that comes before there is a VM ends all with 0, with or without having one."""
    for round_ in range(6):
        running = machine.start(member, environment=release.environment())
        running.wait_until_signals_count()
        time.sleep(round_ * 0.015)  # as above
        running.send(signal.SIGTERM)
        assert running.wait() == 0


def test_without_blocked_signals_an_early_signal_is_lost(machine: Machine) -> None:
    """PID 1 started like any Python program loses what comes early: why images block signals."""
    program = Program(MEMBER, Mode.PID_1)
    running = machine.start(program, ["sleep", "1000"], block=False)
    eventually(
        lambda: status_of(running.pid).get("Name", "").startswith("python"), "the interpreter runs"
    )
    assert status_of(running.pid)["SigBlk"] != "f" * 16
    running.send(signal.SIGTERM)
    child = running.child()
    eventually(lambda: status_of(child).get("Name") == "sleep", "the child runs its program")
    assert alive(child)


def test_sending_to_a_child_that_has_just_died_is_harmless(
    machine: Machine, member: Program
) -> None:
    """Signals that come while the child ends change neither its status nor anything else."""
    for _ in range(5):
        running = machine.start(member, ["sh", "-c", "read line; exit 3"], stdin=-1)
        running.child()
        assert running.launcher.stdin is not None
        running.launcher.stdin.close()
        for _ in range(200):
            if not alive(running.pid):
                break
            try:
                running.send(signal.SIGWINCH)
            except ProcessLookupError:
                break
        assert running.wait() == 3


def test_the_child_starts_with_an_empty_mask_and_default_dispositions(
    machine: Machine, init: Program
) -> None:
    """Nothing is blocked or ignored: not by us, not by Python (PIPE, XFSZ), not before us.

    But for the two that the C library keeps to itself (signal(7)): `posix_spawn` ignores them.
    """
    before = [*("env", "--ignore-signal=TERM,CHLD,HUP,PIPE", "--block-signal")]
    status, output = machine.run(init, ["cat", "/proc/self/status"], before=before)
    assert status == 0
    fields = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
    for name in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"):
        assert int(fields[name], 16) & ~GLIBC_OWN == 0, name


def test_server_a_second_stop_changes_nothing(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """More stop signals while stopping neither hurry nor delay nor kill; the VM sees one."""
    environment = release.environment(
        "print;;leaves=trap 'sleep 0.3; exit' TERM; sleep 1000 & wait"
    )
    running = machine.start(member, environment=environment)
    running.wait_for_output("MongooseIM started")
    running.send(signal.SIGTERM)
    running.wait_for_output("vm ends")
    while alive(running.pid):
        try:
            running.send(random.choice(STOPS))  # noqa: S311 - which one is of no account
        except ProcessLookupError:
            break
        time.sleep(0.01)
    assert running.wait() == 0
    got = [line for line in running.output().splitlines() if line.startswith("vm got")]
    assert got == ["vm got 15"]


def test_a_second_term_does_not_move_the_deadline(machine: Machine) -> None:
    """SIGTERM sent again and again neither puts off nor brings forward the killing of a child."""
    program = Program(MEMBER, Mode.PID_1)
    command = ["sh", "-c", "trap '' TERM; echo ready; sleep 1000"]
    running = machine.start(program, command, environment={"STOP_TIMEOUT": "1"})
    running.wait_for_output("ready")
    began = time.monotonic()
    while alive(running.pid):
        try:
            running.send(signal.SIGTERM)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    assert running.wait() == 137
    assert time.monotonic() - began >= 1


def test_builder_idle_ends_at_once(machine: Machine) -> None:
    """The builder image without a command idles, and ends with 0 when told to."""
    for number in STOPS:
        running = machine.start(Program(BUILDER, Mode.PID_1))
        running.wait_until_signals_count()
        running.send(number)
        assert running.wait() == 0
