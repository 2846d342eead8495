"""`docker stop` at awkward moments, and the image used as an init for any command."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from docker_cli import docker_result

if TYPE_CHECKING:
    from containers import Cluster, Container

GRACE = 60
"""What `docker stop` allows (seconds): killed after that."""
PROMPT = 15
"""What a stop may take on a busy machine (seconds); it takes less than 2 and the VM's own stop."""
NEVER_UP = {"ERL_FLAGS": "-mongooseim boot_delay_ms 600000"}
TRIES = 5


def stop(container: Container) -> None:
    """Stop a container; it must end by itself, soon, with 0."""
    took = container.stop(grace=GRACE)
    assert took < PROMPT, f"{took:.1f} s\n{container.logs()}"
    assert container.exit_status() == 0


def test_stop_while_joining(cluster: Cluster) -> None:
    """In the middle of `join_cluster`, both VMs being up."""
    cluster.run("mongooseim-1").wait_for_log("MongooseIM started")
    for _ in range(TRIES):
        member = cluster.run("mongooseim-2")
        member.wait_for(partial(joins, member), what="join_cluster that runs")
        stop(member)
        if "Clustered mongooseim@mongooseim-2" not in member.logs():
            return
        member.remove()
    raise AssertionError(f"the join was over before each of {TRIES} stops")


def joins(member: Container) -> bool:
    """Tell whether a member joins right now."""
    return "join_cluster" in docker_result("top", member.name, "-o", "pid,args").stdout


def test_stop_while_waiting_for_a_primary_that_does_not_exist(cluster: Cluster) -> None:
    """No VM runs yet, and none is started."""
    member = cluster.run("mongooseim-2")
    member.wait_for_log("waiting for mongooseim@mongooseim-1")
    stop(member)
    assert "stopped before MongooseIM was started" in member.logs()
    assert "Exec: " not in member.logs()


def takes_signals(member: Container) -> bool:
    """Tell whether the program of a container runs, and loses no SIGTERM.

    It blocks the signal; or it has a child already, and may sleep in sigwaitinfo, for which the
    kernel takes the signal from the mask.
    """
    process = Path("/proc", member.inspect("{{.State.Pid}}"))
    status = (process / "status").read_text(encoding="ascii")
    blocked = int(re.findall(r"^SigBlk:\s*(\w+)$", status, re.MULTILINE)[0], 16)
    ours = b"member-entrypoint" in (process / "cmdline").read_bytes()
    has_child = bool(psutil.Process(int(process.name)).children())
    return ours and (has_child or bool(blocked & 1 << (signal.SIGTERM - 1)))


def test_stop_while_the_vm_boots(cluster: Cluster) -> None:
    """From its first moment, when it drops signals, to the start of its applications."""
    member = cluster.run("mongooseim-1", env=NEVER_UP)
    member.wait_for_log("Exec: ")
    stop(member)
    for moment in (0.0, 0.2, 0.8):
        member.start()
        # Before that, the kernel drops a signal to any PID 1.
        member.wait_for(partial(takes_signals, member), what="signals that are not lost")
        # Where the boot is then is another matter on each machine: all of them must do.
        time.sleep(moment)
        stop(member)
    assert "MongooseIM started" not in member.logs()


def test_a_command_gives_its_exit_status(member_image: str) -> None:
    """`docker run --rm IMAGE sh -c 'exit 7'` gives 7."""
    assert docker_result("run", "--rm", member_image, "sh", "-c", "exit 7").returncode == 7


def test_a_command_reads_standard_input(member_image: str) -> None:
    """`echo exit 5 | docker run -i --rm IMAGE sh` ends."""
    done = docker_result("run", "-i", "--rm", member_image, "sh", stdin="exit 5\n")
    assert done.returncode == 5


def test_a_command_that_does_not_exist_is_named(member_image: str) -> None:
    """One line on standard error, and the status of a shell."""
    done = docker_result("run", "--rm", member_image, "no-such-command")
    assert done.returncode == 127
    assert done.stderr.count("\n") == 1
    assert "no-such-command: command not found" in done.stderr


def test_a_shell_on_a_terminal_has_job_control(cluster: Cluster) -> None:
    """`docker run -it IMAGE bash`: ^Z stops a job, ^C ends it, with 130."""
    name = f"{cluster.prefix}-shell"
    command = ["docker", "run", "-it", "--rm", "--env=PS1=% ", f"--name={name}", cluster.image]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "bash", "--norc"], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            assert "no job control" not in show(ours, r"% ")
            os.write(ours, b"sleep 1000\n")
            in_the_foreground(name)
            os.write(ours, b"\x1a")
            show(ours, r"Stopped")
            os.write(ours, b"fg\n")
            in_the_foreground(name)
            os.write(ours, b"\x03")
            show(ours, r"\^C[^%]*% ")
            os.write(ours, b"exit $?\n")
            status = process.wait(GRACE)
        finally:
            docker_result("rm", "--force", name)
    os.close(ours)
    assert status == 130


def in_the_foreground(name: str) -> None:
    """Wait until the job has the terminal, as the sign + in its state tells."""
    deadline = time.monotonic() + GRACE
    while not re.search(
        r"S\+ +sleep 1000", docker_result("top", name, "-o", "pid,stat,args").stdout
    ):
        assert time.monotonic() < deadline, "the job does not get the terminal"


def show(terminal: int, pattern: str) -> str:
    """Return what a terminal shows until `pattern` has come."""
    deadline = time.monotonic() + GRACE
    shown = ""
    while not re.search(pattern, shown):
        left = deadline - time.monotonic()
        assert left > 0, f"no {pattern!r} in {shown!r}"
        if select.select([terminal], [], [], left)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown
