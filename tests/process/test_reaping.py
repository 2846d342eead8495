"""Reaping: every process that ends is collected, and no exit status is lost."""

from __future__ import annotations

import subprocess

import pytest
from processes import (
    HELPERS,
    MEMBER,
    Machine,
    Mode,
    Program,
    children_of,
    eventually,
    state_of,
    status_of,
)

ORPHANS = 1000
ROUNDS = 200


def zombies_of(pid: int) -> list[int]:
    """Return the children of a process that ended and were not collected."""
    return [child for child in children_of(pid) if state_of(child) == "Z"]


def orphans(machine: Machine, number: int, lives: float, then: str) -> list[str]:
    """Return a command that makes orphans, and then runs something else."""
    make = f"{machine.python} -I {HELPERS / 'orphans.py'} {number} {lives}"
    return ["sh", "-c", f"{make}; {then}"]


def test_orphans_are_reaped_while_the_child_runs(machine: Machine, init: Program) -> None:
    """They become PID 1's children, and are gone when they have ended."""
    running = machine.start(init, orphans(machine, 20, 0.5, "exec sleep 1000"))
    running.wait_for_output("all orphans are made")
    eventually(lambda: len(children_of(running.pid)) == 1, "only the child is left")
    assert status_of(running.child())["Name"] == "sleep"


def test_a_thousand_orphans_leave_no_zombie(machine: Machine, member: Program) -> None:
    """However many end, and whenever they do."""
    running = machine.start(member, orphans(machine, ORPHANS, 0.0, "exec sleep 1000"))
    running.wait_for_output("all orphans are made")
    eventually(lambda: len(children_of(running.pid)) == 1, "only the child is left")
    assert zombies_of(running.pid) == []


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name.lower())
def test_a_child_and_an_orphan_that_end_at_once_never_hang_the_loop(
    machine: Machine, mode: Mode
) -> None:
    """One SIGCHLD stands for many: 200 times both end in the same instant, the child with 3."""
    running = machine.start(Program(HELPERS / "pairs.py", mode), [str(ROUNDS)])
    assert running.wait(timeout=60) == 0
    assert running.output().splitlines() == ["child exit status 3"] * ROUNDS


def test_a_command_and_its_orphan_that_end_at_once_give_the_status(
    machine: Machine, member: Program
) -> None:
    """The same with whole programs, from the start to the end of each."""
    for _ in range(10):
        status, output = machine.run(member, ["sh", "-c", "(sleep 0.01 &); sleep 0.01; exit 3"])
        assert (status, output) == (3, "")


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name.lower())
def test_the_status_of_a_helper_is_right_however_busy_the_reaper(
    machine: Machine, mode: Mode
) -> None:
    """While orphans storm, each of 100 helpers that end with 7 is seen ending with 7."""
    program = Program(HELPERS / "many_helpers.py", mode)
    running = machine.start(program, [str(machine.python), str(HELPERS), "100"])
    assert running.wait() == 0
    expected = ["helper exit status 7"] * 100 + ["storm signal SIGKILL"]
    assert running.output().splitlines() == expected


def test_the_end_of_a_child_is_kept_while_another_is_waited_for(machine: Machine) -> None:
    """Who asks later still hears of it, and does not wait until a deadline."""
    program = Program(HELPERS / "two_children.py", Mode.PID_1)
    assert machine.run(program, []) == (0, "exit status 2\nexit status 1\n")


def test_a_signal_to_the_group_of_pid_1_ends_no_copy_of_it(machine: Machine) -> None:
    """One that comes before the copy has a group of its own: PID 1 has got it, and acts on it."""
    program = Program(HELPERS / "early_signals.py", Mode.PID_1)
    assert machine.run(program, []) == (0, "exit status 7\n")


def test_a_signal_reaches_the_child_while_orphans_end(machine: Machine, member: Program) -> None:
    """As fast as one process can make them; that does not keep PID 1 busy all of the time."""
    script = (
        f'trap "exit 5" USR2; trap "echo resized" WINCH; {machine.python} -I '
        f"{HELPERS / 'storm.py'} & while :; do wait; done"
    )
    running = machine.start(member, ["bash", "-c", f"{script}"])
    eventually(lambda: status_of(running.child()).get("Name") == "bash", "the child runs")
    eventually(lambda: children_of(running.child()), "the storm has begun")
    running.send(28)
    running.wait_for_output("resized")


def test_without_being_a_subreaper_orphans_go_elsewhere(machine: Machine) -> None:
    """The tests above would notice: not PID 1 and no subreaper, we never see an orphan."""
    seen = {}
    for script in (MEMBER, HELPERS / "no_subreaper.py"):
        program = Program(script, Mode.SUBREAPER)
        running = machine.start(program, orphans(machine, 3, 1000.0, "exec sleep 1000"))
        running.wait_for_output("all orphans are made")
        seen[script.name] = len(children_of(running.pid)) - 1
        adopted = children_of(running.pid)
        assert len(adopted) in {1, 4}
    assert seen == {MEMBER.name: 3, "no_subreaper.py": 0}


def test_memory_does_not_grow_with_the_number_of_orphans(machine: Machine) -> None:
    """No table of foreign processes is kept: after 3000 more, nothing has grown."""
    running = machine.start(Program(MEMBER, Mode.PID_1), ["sh"], stdin=subprocess.PIPE)
    stdin = running.launcher.stdin
    assert stdin is not None

    def resident_after(number: int, line: int) -> int:
        make = f"{machine.python} -I {HELPERS / 'orphans.py'} {number} 0\n"
        stdin.write(make.encode())
        stdin.flush()
        eventually(lambda: running.output().count("all orphans") == line, "all orphans are made")
        eventually(lambda: len(children_of(running.pid)) == 1, "only the child is left")
        return int(status_of(running.pid)["VmRSS"].split()[0])

    before = resident_after(500, 1)
    after = resident_after(3000, 2)
    # A set of 3000 numbers takes 200 KiB.
    assert after - before < 100
    stdin.close()
    assert running.wait() == 0
