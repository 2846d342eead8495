"""Spawning: what a child gets from us, and what is said when there can be none."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import MEMBER, Machine, Mode, Program, children_of, eventually, status_of, tool
from terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releases import FakeRelease

PID_1 = Program(MEMBER, Mode.PID_1)


def has_only_standard_streams(pid: int) -> bool:
    """Tell whether descriptors 0, 1 and 2 of a process are open, and no other."""
    return set(os.listdir(f"/proc/{pid}/fd")) == {"0", "1", "2"}


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def foreground(pid: int) -> int:
    """Return the process group that the controlling terminal of a process is lent to."""
    return int(stat_of(pid)[5])


@pytest.fixture
def inherited() -> Iterator[tuple[int, ...]]:
    """Provide descriptors that somebody left open for us, a high one too."""
    with open("/dev/null", "rb") as file:
        numbers = tuple(fcntl.fcntl(file, fcntl.F_DUPFD, at) for at in (20, 200, 900))
        yield numbers
        for number in numbers:
            os.close(number)


def test_no_descriptor_but_the_standard_streams_is_held_or_passed_on(
    machine: Machine, init: Program, inherited: tuple[int, ...]
) -> None:
    """Neither PID 1 nor the child has one above 2, whatever was open before."""
    running = machine.start(init, ["sleep", "1000"], pass_fds=inherited)
    child = running.child()
    eventually(lambda: status_of(child).get("Name") == "sleep", "the child runs its program")
    # Who loads a library has one more for a moment, as Python does for its first `wait4`.
    for pid in (child, running.pid):
        eventually(partial(has_only_standard_streams, pid), "it has only these")


def test_server_no_descriptor_but_the_standard_streams_is_held_or_passed_on(
    machine: Machine, member: Program, release: FakeRelease, inherited: tuple[int, ...]
) -> None:
    """Nor has the VM one, after helpers whose output was read."""
    environment = release.environment(NODE_TYPE="name", HOSTNAME="chat-2", FAKE_CTL="true")
    (release.root / "etc/hosts").write_text("127.0.0.1 chat-2.example.com chat-2\n")
    environment["BOOTSTRAP_ENABLED"] = "true"
    running = machine.start(member, environment=environment, pass_fds=inherited)
    running.wait_for_output("MongooseIM started")
    vm = eventually(
        lambda: children[0] if len(children := children_of(running.pid)) == 1 else 0,
        "only the VM is left",
    )
    for pid in (vm, running.pid):
        eventually(partial(has_only_standard_streams, pid), "it has only these")


def test_server_a_copy_of_pid_1_is_like_a_program_of_its_own(
    machine: Machine, member: Program, release: FakeRelease, inherited: tuple[int, ...]
) -> None:
    """The helper `settle`: a session, signals and descriptors as another helper has them."""
    running = machine.start(
        member,
        environment=release.environment("booting"),
        pass_fds=inherited,
        before=("env", "--ignore-signal=HUP,USR2"),
    )
    running.wait_for_output("vm is up")
    helper = running.helper("settle")
    eventually(partial(has_only_standard_streams, helper), "it has only these")
    signals = status_of(helper)
    assert int(signals["SigBlk"], 16) == 0
    # Those that Python itself ignores.
    ignored = int(signals["SigIgn"], 16)
    left = {number for number in signal.valid_signals() if ignored & 1 << number - 1}
    assert left == {signal.SIGPIPE, signal.SIGXFSZ}
    assert os.getsid(helper) == os.getpgid(helper) == helper


def test_standard_streams_that_are_closed_are_open_for_the_child(
    machine: Machine, member: Program
) -> None:
    """What a child opens first must not become its standard output."""
    running = machine.start(
        member,
        ["sh", "-c", "echo ready >&2; exec sleep 1000"],
        before=["sh", "-c", 'exec "$@" <&- >&-', "sh"],
    )
    running.wait_for_output("ready")
    child = running.child()
    eventually(partial(has_only_standard_streams, child), "it has these")


def test_standard_input_reaches_the_child(machine: Machine, init: Program) -> None:
    """`echo exit 0 | init sh` ends."""
    running = machine.start(init, ["sh"], stdin=subprocess.PIPE)
    running.launcher.communicate(b"echo read this\nexit 9\n", timeout=30)
    assert running.wait() == 9
    assert "read this" in running.output()


def test_a_missing_command_gives_127_and_one_line(machine: Machine, init: Program) -> None:
    """The line on standard error names the command."""
    for command in ("no-such-command", "/no/such/command", "./none"):
        status, output = machine.run(init, [command])
        assert status == 127
        assert len(output.splitlines()) == 1
        assert f"{command}: command not found" in output


def test_a_command_that_cannot_be_run_gives_126_and_one_line(
    machine: Machine, member: Program, tmp_path: Path
) -> None:
    """One without permission, a folder, and a file that the kernel cannot run."""
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    broken = tmp_path / "broken"
    broken.write_text("not a program")
    broken.chmod(0o755)
    for path, reason in (
        (plain, "no permission to run it"),
        (tmp_path, "is a directory"),
        (broken, "cannot be run (Exec format error)"),
    ):
        status, output = machine.run(member, [str(path)])
        assert status == 126
        assert len(output.splitlines()) == 1
        assert f"{path}: {reason}" in output


def test_a_command_without_its_interpreter_gives_127(
    machine: Machine, member: Program, tmp_path: Path
) -> None:
    """A script whose `#!` leads nowhere is named, not the file that the kernel missed."""
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    status, output = machine.run(member, [str(script)])
    assert (status, len(output.splitlines())) == (127, 1)
    assert f"{script}: its interpreter does not exist" in output


def test_a_working_directory_that_is_gone_gives_126_and_one_line(
    machine: Machine, member: Program, tmp_path: Path
) -> None:
    """Nothing can be run where there is no longer a folder."""
    gone = tmp_path / "gone"
    gone.mkdir()
    before = ["sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh"]
    status, output = machine.run(member, ["true"], before=before)
    assert status == 126
    assert [line for line in output.splitlines() if "working directory" in line]
    assert "Traceback" not in output


@pytest.mark.parametrize("value", ["-1", "abc"])
def test_a_wrong_stop_timeout_gives_78_and_one_line(
    machine: Machine, release: FakeRelease, value: str
) -> None:
    """The line names variable, value and what is allowed; nothing is started."""
    environment = release.environment(STOP_TIMEOUT=value)
    for command in (["echo", "started"], []):
        status, output = machine.run(PID_1, command, environment=environment)
        assert (status, len(output.splitlines())) == (78, 1)
        assert f"STOP_TIMEOUT is '{value}'; allowed: a number of seconds" in output


def test_an_error_is_said_in_the_format_that_was_asked_for(machine: Machine) -> None:
    """Who reads JSON gets JSON, for the last line too."""
    environment = {"LOG_FORMAT": "json", "STOP_TIMEOUT": "abc"}
    status, output = machine.run(PID_1, ["true"], environment=environment)
    assert status == 78
    assert output.startswith('{"timestamp":')


def test_environment_and_working_directory_are_as_given(
    machine: Machine, member: Program, tmp_path: Path
) -> None:
    """Also names and values that are no text, and those that Python looks at itself."""
    environment = {
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": "/nowhere",
        "PYTHONDONTWRITEBYTECODE": "x",
        "EMPTY": "",
        "BYTES": os.fsdecode(b"\xff\xfe=\n"),
        "LC_ALL": "C",
    }
    status, output = machine.run(
        member, ["sh", "-c", "pwd; exec env -0"], environment=environment, directory=tmp_path
    )
    assert status == 0
    assert output.partition("\n")[0] == str(tmp_path)
    for name, value in environment.items():
        readable = os.fsencode(f"{name}={value}").decode(errors="replace")
        assert f"{readable}\0" in output


def test_arguments_are_as_given(machine: Machine, member: Program) -> None:
    """Also what looks like an option of ours or of Python, is empty or is no text."""
    arguments = ["-c", "--help", "", "a b", "$HOME", os.fsdecode(b"\xff")]
    status, output = machine.run(member, ["printf", "[%s]", *arguments])
    assert status == 0
    assert output == "[-c][--help][][a b][$HOME][\ufffd]"


def test_terminal_job_control_works(machine: Machine, init: Program) -> None:
    """A shell on a terminal stops a job with ^Z, takes it up again, and ends it with ^C."""
    terminal = Terminal(machine, init, ["bash", "--norc", "-i"], {"PS1": "$ ", "TERM": "dumb"})
    terminal.wait_for("$ ")
    terminal.type("tty; ps -o tty= -p $$\n")
    shown = terminal.wait_for("$ ")
    assert "no job control" not in shown
    assert re.search(r"/dev/pts/\d+", shown)
    terminal.type("sleep 1000\n")
    shell = terminal.running.child()
    # A job that is not yet its program ignores ^Z, as the shell does that it was forked from.
    eventually(
        lambda: status_of(foreground(shell)).get("Name") == "sleep", "the job has the terminal"
    )
    terminal.type("\x1a")
    assert "Stopped" in terminal.wait_for("$ ")
    terminal.type("fg\n")
    eventually(lambda: foreground(shell) in children_of(shell), "the job has the terminal again")
    terminal.type("\x03")
    terminal.wait_for("$ ")
    terminal.type("echo status $?\n")
    terminal.wait_for("status 130")
    terminal.type("exit 4\n")
    assert terminal.running.wait() == 4
    terminal.close()


def test_terminal_interrupt_gives_130(machine: Machine, member: Program) -> None:
    """^C reaches the child through its terminal, and its death is told as a shell tells it."""
    terminal = Terminal(machine, member, ["sleep", "1000"])
    child = terminal.running.child()
    eventually(lambda: status_of(child).get("Name") == "sleep", "the child runs its program")
    terminal.type("\x03")
    assert terminal.running.wait() == 130
    terminal.close()


def test_terminal_is_the_controlling_terminal_of_the_child(
    machine: Machine, member: Program
) -> None:
    """It has let go of ours and is the child's: /dev/tty opens, and the child leads its session."""
    script = "echo through > /dev/tty; read -r _ _ _ _ _ session _ < /proc/self/stat; echo $session"
    terminal = Terminal(machine, member, ["sh", "-c", f"{script}; read line"])
    terminal.wait_for("through")
    child = terminal.running.child()
    group, session, device = (int(field) for field in stat_of(child)[2:5])
    assert session == group == child
    assert device != 0
    assert foreground(child) == child
    assert int(stat_of(terminal.running.pid)[4]) == 0
    terminal.type("\n")
    assert terminal.running.wait() == 0
    terminal.close()


def test_terminal_hand_over_sends_the_child_nothing(machine: Machine, member: Program) -> None:
    """The SIGHUP and SIGCONT that letting go of a terminal causes do not reach the child."""
    helper = Path(__file__).parent / "helpers" / "print_signals.py"
    command = [str(machine.python), "-I", str(helper), str(int(signal.SIGTERM))]
    terminal = Terminal(machine, member, command)
    terminal.wait_for("ready")
    terminal.running.send(signal.SIGTERM)
    assert "got 1." not in (shown := terminal.wait_for("got 15."))
    assert "got 18." not in shown
    assert terminal.running.wait() == 0
    terminal.close()


def test_terminal_hang_up_is_passed_on(machine: Machine, member: Program) -> None:
    """Closing the terminal ends the child with SIGHUP."""
    terminal = Terminal(machine, member, ["sleep", "1000"])
    child = terminal.running.child()
    eventually(lambda: status_of(child).get("Name") == "sleep", "the child runs its program")
    terminal.close()
    assert terminal.running.wait() == 129


def test_server_on_a_terminal_interrupt_is_a_graceful_stop(
    machine: Machine, member: Program, release: FakeRelease
) -> None:
    """`docker run -it IMAGE`, then ^C."""
    terminal = Terminal(machine, member, [], release.environment("print"))
    terminal.wait_for("MongooseIM started")
    terminal.type("\x03")
    terminal.wait_for("vm ends, told 1 times")
    assert terminal.running.wait() == 0
    terminal.close()


def test_a_terminal_that_cannot_be_opened_again_is_still_inherited(machine: Machine) -> None:
    """Another user's terminal cannot become the controlling one; the child runs all the same."""
    helpless = [tool("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]
    terminal = Terminal(
        machine, PID_1, ["sh", "-c", "test -t 0 && exit 3"], before=helpless, mode=0
    )
    assert terminal.running.wait() == 3
    terminal.close()
