"""Running a program to its end, or until the time is over."""

import os
import time
from functools import partial
from pathlib import Path

import pytest
from processes import alive, eventually

from member_entrypoint import programs


def script(folder: Path, text: str) -> str:
    """Return the path of a shell script."""
    path = folder / "tell"
    path.write_text(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o700)
    return str(path)


def test_the_output_of_both_streams_comes_back(tmp_path: Path) -> None:
    """As it was printed."""
    command = [script(tmp_path, 'echo "to $1"\necho bad >&2'), "join_cluster"]
    assert programs.run(command, 60.0) == "to join_cluster\nbad\n"


def test_an_error_has_command_status_and_output(tmp_path: Path) -> None:
    """In one line; flags are left out of it."""
    program = script(tmp_path, "echo one\necho two >&2\nexit 3")
    with pytest.raises(programs.ProgramError) as failure:
        programs.run([program, "join_cluster", "-f"], 60.0)
    assert str(failure.value) == "tell join_cluster ended with status 3: one two"
    assert failure.value.status == 3
    assert failure.value.output == "one\ntwo\n"
    with pytest.raises(programs.ProgramError, match=r"^tell ended with status 3: one two$"):
        programs.run([program, "-noinput"], 60.0)


def test_a_program_that_a_signal_ends_is_told_from_one_that_fails(tmp_path: Path) -> None:
    """By a negative status, as Python has it."""
    with pytest.raises(programs.ProgramError) as failure:
        programs.run([script(tmp_path, "kill -9 $$")], 60.0)
    assert failure.value.status == -9


def test_a_program_that_cannot_be_run_is_an_error_without_a_status(tmp_path: Path) -> None:
    """It names the reason."""
    with pytest.raises(programs.ProgramError) as failure:
        programs.run([str(tmp_path / "missing")], 60.0)
    assert str(failure.value) == "missing cannot be run (No such file or directory)"
    assert failure.value.status is None


def test_long_output_is_cut_in_the_error(tmp_path: Path) -> None:
    """It goes into one line of the log."""
    program = script(tmp_path, "head -c 1000 /dev/zero | tr '\\0' x\nexit 1")
    with pytest.raises(programs.ProgramError) as failure:
        programs.run([program], 60.0)
    assert str(failure.value) == f"tell ended with status 1: {'x' * 400}"


def test_all_its_processes_end_when_the_time_is_over(tmp_path: Path) -> None:
    """Also the VM that it has started, which would hold its output open."""
    pids = tmp_path / "pids"
    text = f"sleep 1000 &\necho $$ $! > {pids}.new\nmv {pids}.new {pids}\nwait"
    command = [script(tmp_path, text)]
    timeout = 1.0
    while not pids.exists():
        # The machine may be slower than that: then it is given more time.
        before = time.monotonic()
        with pytest.raises(programs.ProgramError, match="did not end within"):
            programs.run(command, timeout)
        assert time.monotonic() - before >= timeout
        timeout *= 2
    for pid in pids.read_text().split():
        eventually(partial(_ended, int(pid)), "it has ended")


def _ended(pid: int) -> bool:
    return not alive(pid)
