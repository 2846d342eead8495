"""The cost: what an idle init wakes, takes and keeps its child waiting for.

Memory is compared with that of a bare interpreter in the same run, since machines differ; times are
measured in `bench`.
"""

from __future__ import annotations

import signal
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

from processes import (
    BUILDER,
    HELPERS,
    MEMBER,
    Machine,
    Mode,
    Program,
    children_of,
    eventually,
    status_of,
    tool,
)

if TYPE_CHECKING:
    from processes import Running
    from releases import FakeRelease

PID_1 = Program(MEMBER, Mode.PID_1)
IDLE = 10.0
"""How long (seconds) nothing may happen."""
LIBRARIES = "import psutil, structlog, dns.resolver"
MORE_THAN_BARE = 1.5


def wake_ups(pid: int) -> int:
    """Return how often a process has gone to sleep by itself, and so was woken up."""
    return int(status_of(pid)["voluntary_ctxt_switches"])


def resident(pid: int) -> int:
    """Return the memory that a process has in use, in KiB."""
    return int(status_of(pid)["VmRSS"].split()[0])


def idle_server(machine: Machine, release: FakeRelease, mode: Mode) -> Running:
    """Return a server that has nothing to do any more."""
    running = machine.start(Program(MEMBER, mode), environment=release.environment())
    running.wait_for_output("MongooseIM started")
    eventually(lambda: len(children_of(running.pid)) == 1, "only the VM is left")
    return running


def test_idle_for_ten_seconds_without_a_single_wake_up(
    machine: Machine, release: FakeRelease
) -> None:
    """Server, command and idle builder sleep until something happens; tini does not.

    That tini is seen waking up shows that this test can see it.
    """
    watched = {
        "server": idle_server(machine, release, Mode.PID_1),
        "command": machine.start(PID_1, ["sleep", "1000"]),
        "plain": machine.start(Program(MEMBER, Mode.SUBREAPER), ["sleep", "1000"]),
        "builder": machine.start(Program(BUILDER, Mode.PID_1)),
    }
    for running in watched.values():
        running.wait_until_signals_count()
        eventually(partial(at_rest, running.pid), "it sleeps")
    with subprocess.Popen([tool("tini"), "-s", "--", "sleep", "1000"]) as tini:
        before = {name: wake_ups(running.pid) for name, running in watched.items()}
        tini_before = wake_ups(tini.pid)
        time.sleep(IDLE)
        woken = {name: wake_ups(running.pid) - before[name] for name, running in watched.items()}
        tini_woken = wake_ups(tini.pid) - tini_before
        tini.terminate()
    assert woken == dict.fromkeys(watched, 0)
    assert tini_woken > 0


def at_rest(pid: int) -> bool:
    """Tell whether a process has not been woken up for a while."""
    before = wake_ups(pid)
    time.sleep(0.3)
    return status_of(pid)["State"].startswith("S") and wake_ups(pid) == before


def test_memory_while_idle_is_near_that_of_a_bare_interpreter(
    machine: Machine, release: FakeRelease
) -> None:
    """A server that has come up without joining, a command, and an idle builder."""
    bare_command = [str(machine.python), "-I", "-c", "print('up', flush=True); input()"]
    full_command = [*bare_command[:-1], f"{LIBRARIES}; {bare_command[-1]}"]
    measured = {}
    for name, command in (("bare", bare_command), ("full", full_command)):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            measured[name] = resident(process.pid)
            process.communicate(b"\n")
    server = idle_server(machine, release, Mode.PID_1)
    command_init = machine.start(PID_1, ["sleep", "1000"])
    builder = machine.start(Program(BUILDER, Mode.PID_1))
    for running in (server, command_init, builder):
        running.wait_until_signals_count()
        eventually(partial(at_rest, running.pid), "it sleeps")
        assert resident(running.pid) < MORE_THAN_BARE * measured["bare"], measured
        assert resident(running.pid) < measured["full"], measured


def test_the_child_does_not_wait_for_what_it_does_not_need(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """PID 1 starts a command or the VM before it imports `typing`, or one of the three libraries.

    That it imports one of them for a stop shows that this test can see it.
    """
    program = Program(HELPERS / "say_imports.py", member.mode)
    assert machine.run(program, ["echo", "up"]) == (0, "up\n")
    running = machine.start(program, environment=release.environment())
    assert "imports " not in running.wait_for_output("MongooseIM started")
    running.send(signal.SIGTERM)
    running.wait_for_output("imports structlog")
