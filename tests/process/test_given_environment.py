"""The environment and the surroundings that a command is started in."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from processes import Machine, Program

NOTHING_ADDED = {"LANG": "C", "GIVEN": "a=b", "EMPTY": ""}


def test_the_child_has_exactly_the_environment_that_was_given(
    machine: Machine, init: Program
) -> None:
    """With LANG=C the interpreter adds LC_CTYPE for itself."""
    status, said = machine.run(init, ["/usr/bin/env", "-0"], environment=NOTHING_ADDED)
    assert status == 0
    given = {f"{name}={value}" for name, value in NOTHING_ADDED.items()}
    found = {entry for entry in said.strip("\0").split("\0") if not entry.startswith("PATH=")}
    assert found == given


def test_an_entry_without_a_name_is_refused_in_one_line(machine: Machine) -> None:
    """No program could be given it; execve takes it all the same."""
    code = "from member_entrypoint.__main__ import main; raise SystemExit(main())"
    launcher = f"""if True:
        import ctypes, sys
        arguments = [word.encode() for word in {[str(machine.python), "-c", code, "true"]!r}]
        argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
        environment = (ctypes.c_char_p * 3)(b"=x", b"A=b", None)
        ctypes.CDLL(None).execve(arguments[0], argv, environment)
    """
    command = [str(machine.python), "-c", launcher]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "the environment has the entry '=x', which is no NAME=VALUE; remove it" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide /proc")
def test_without_proc_there_is_one_line(machine: Machine) -> None:
    """The Erlang VM could not run there either."""
    code = "from member_entrypoint.__main__ import main; raise SystemExit(main())"
    hidden = f"mount -t tmpfs none /proc && exec {machine.python} -c '{code}' true"
    command = ["unshare", "--mount", "sh", "-c", hidden]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "/proc cannot be read (No such file or directory)" in done.stderr
