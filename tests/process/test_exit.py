"""The exit: with which status, and when."""

from __future__ import annotations

import os
import shutil
import signal
import venv
from typing import TYPE_CHECKING

import pytest
from processes import MEMBER, Machine, Mode, Program

if TYPE_CHECKING:
    from pathlib import Path

    from releases import FakeRelease

PID_1 = Program(MEMBER, Mode.PID_1)
FAR = 600
"""A STOP_TIMEOUT (seconds) that no test lasts: who ends before it did not wait for it."""


@pytest.mark.parametrize("status", [0, 1, 2, 32, 64, 127, 254, 255])
def test_the_exit_status_of_the_child_is_ours(machine: Machine, init: Program, status: int) -> None:
    """Whatever number it is."""
    assert machine.run(init, ["sh", "-c", f"exit {status}"]) == (status, "")


@pytest.mark.parametrize("name", ["HUP", "QUIT", "KILL", "TERM"])
def test_the_death_of_the_child_by_a_signal_is_told(
    machine: Machine, member: Program, name: str
) -> None:
    """By 128 and the signal's number."""
    expected = 128 + signal.Signals[f"SIG{name}"]
    assert machine.run(member, ["sh", "-c", f"kill -{name} $$"]) == (expected, "")


@pytest.mark.parametrize(
    ("does", "status", "how"),
    [
        ("dies=0", 0, "exit status 0"),
        ("dies=1", 1, "exit status 1"),
        ("dies=255", 255, "exit status 255"),
        ("killed=9", 137, "signal SIGKILL"),
        ("killed=11", 139, "signal SIGSEGV"),
    ],
)
def test_server_the_end_of_a_vm_that_nobody_asked_for_is_told(
    machine: Machine, release: FakeRelease, does: str, status: int, how: str
) -> None:
    """The VM's own status, or 128 and the number, at once; the last line says how it ended."""
    environment = release.environment(does, STOP_TIMEOUT=str(FAR))
    got, output = machine.run(PID_1, [], environment=environment)
    assert got == status
    last = output.splitlines()[-1]
    assert "MongooseIM ended" in last
    assert how in last
    assert "asked_by=nobody" in last
    assert "after_seconds=" in last
    assert "peak_memory_mib=" in last


@pytest.mark.parametrize("status", [0, 1])
def test_server_a_requested_stop_in_time_gives_0(
    machine: Machine, member: Program, release: FakeRelease, status: int
) -> None:
    """Whatever the VM says: it was told to end, and did."""
    running = machine.start(member, environment=release.environment(f"stops-with={status}"))
    running.wait_for_output("MongooseIM started")
    running.send(signal.SIGTERM)
    assert running.wait() == 0


def test_a_requested_stop_gives_the_status_of_the_child(machine: Machine, init: Program) -> None:
    """A command that handles SIGTERM says itself how that went."""
    running = machine.start(
        init, ["sh", "-c", "trap 'exit 42' TERM; echo ready; sleep 1000 & wait"]
    )
    running.wait_for_output("ready")
    running.send(signal.SIGTERM)
    assert running.wait() == 42


def test_the_end_comes_when_all_are_gone_and_not_at_a_deadline(
    machine: Machine, member: Program
) -> None:
    """What the child leaves behind is told to end; as soon as it has, so do we."""
    trap = 'trap "sleep 0.2; echo left >&2; exit" TERM'
    left = f"setsid sh -c '{trap}; echo up; while :; do sleep 0.1; done'"
    environment = {"STOP_TIMEOUT": str(FAR)}
    running = machine.start(
        member, ["sh", "-c", f"{left} & read x; exit 6"], environment=environment, stdin=-1
    )
    running.wait_for_output("up")
    stdin = running.launcher.stdin
    assert stdin is not None
    stdin.close()
    assert running.wait() == 6
    assert running.output().endswith("left\n")


def test_server_the_end_comes_when_all_are_gone_and_not_at_a_deadline(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """Port programs in sessions of their own that obey do not make us wait for the deadline."""
    vm = "leaves=sleep 1000 & sleep 1001"
    environment = release.environment(vm, STOP_TIMEOUT=str(FAR))
    running = machine.start(member, environment=environment)
    running.wait_for_output("MongooseIM started")
    running.send(signal.SIGTERM)
    assert running.wait() == 0


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("exit 7", 7, "mongooseimctl bootstrap failed: exit status 7"),
        ("kill -KILL $$", 70, "mongooseimctl bootstrap failed: signal SIGKILL"),
    ],
)
def test_server_the_status_of_a_helper_that_failed_is_ours(  # noqa: PLR0913, PLR0917 - a row
    machine: Machine, member: Program, release: FakeRelease, script: str, status: int, said: str
) -> None:
    """There is no VM then; one line says what failed and how."""
    environment = release.environment(BOOTSTRAP_ENABLED="true", FAKE_CTL=script)
    got, output = machine.run(member, [], environment=environment)
    assert got == status
    assert said in output.splitlines()[-1]
    assert "vm is up" not in output


def test_server_an_error_of_our_own_does_not_leave_the_vm_behind(
    machine: Machine, release: FakeRelease, tmp_path: Path
) -> None:
    """Our interpreter disappears, so that no helper can be run for the stop: the VM is stopped."""
    folder = tmp_path / "python"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    site = next(folder.glob("lib/python3*/site-packages"))
    shutil.copy(next(machine.python.parents[1].glob("lib/python3*/site-packages/ours.pth")), site)
    python = folder / "bin" / "python3"
    environment = release.environment(
        "print;;leaves=exec sleep 1000",
        BOOTSTRAP_ENABLED="true",
        FAKE_CTL=f"rm {python}",
        LEAVE_CLUSTER_ON_STOP="true",
    )
    running = Machine(python, tmp_path / "root").start(
        Program(MEMBER, Mode.SUBREAPER), environment=environment
    )
    try:
        running.wait_for_output("MongooseIM started")
        running.send(signal.SIGTERM)
        assert running.wait() == 70
        assert "the entrypoint failed, stopping MongooseIM" in running.output()
        assert "MongooseIM ended" in running.output().splitlines()[-1]
    finally:
        running.kill()


def test_server_a_helper_that_dies_stops_the_vm(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """The one that sees to it that the node becomes what it should be is missed, not ignored."""
    running = machine.start(member, environment=release.environment("booting"))
    running.wait_for_output("vm is up")
    helper = running.helper("settle")
    os.kill(helper, signal.SIGKILL)
    assert running.wait() == 70
    assert "settle" in running.output()
    assert "failed: signal SIGKILL" in running.output()
    assert "vm ends, told" in running.output()
