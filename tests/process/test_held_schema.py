"""What has its schema held waits with its Mnesia until the first look around is over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hosts import SLOW
from processes import DEADLINE, alive, eventually

from member_entrypoint.files import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts import Host
    from processes import Machine, Running

NOBODY = 65534
OPENS = "import sys; open(sys.argv[1], sys.argv[2]).close(); print('opened', flush=True)"


def lease_of(path: Path) -> str:
    """Return what the kernel says of the lease of a file: empty, `ACTIVE` or `BREAKING`."""
    inode = str(path.stat().st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        _, kind, how, _, _, where, *_ = line.split()
        if kind == "LEASE" and where.rpartition(":")[2] == inode:
            return how
    return ""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Provide a file that is held, and the descriptor for it."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # it would end this process
    path = tmp_path / "file"
    path.write_text("content")
    descriptor = hold.hold(str(path))
    assert descriptor != hold.NOT_HELD
    yield path, descriptor
    hold.close(descriptor)
    signal.signal(signal.SIGIO, before)


def opens(path: Path, mode: str) -> subprocess.Popen[str]:
    """Have a process open a file."""
    words = [sys.executable, "-c", OPENS, str(path), mode]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_who_writes_waits_until_it_is_let_go(held: tuple[Path, int]) -> None:
    """Also where a copy of the process lets it go, and no longer."""
    path, descriptor = held
    with opens(path, "r+") as writer:
        eventually(lambda: lease_of(path) == "BREAKING", "it waits")
        assert writer.poll() is None
        pid = os.fork()
        if pid == 0:
            hold.let_go(descriptor)
            os._exit(0)
        os.waitpid(pid, 0)
        assert writer.communicate(timeout=DEADLINE)[0] == "opened\n"
    assert lease_of(path) == ""


def test_what_is_held_no_more_is_let_go_again(held: tuple[Path, int]) -> None:
    """As when the kernel has taken the lease away meanwhile, after 45 s."""
    path, descriptor = held
    for _ in range(2):
        hold.let_go(descriptor)
        assert lease_of(path) == ""


def test_who_reads_does_not_wait(held: tuple[Path, int]) -> None:
    """A backup, a probe, `check`."""
    path, _ = held
    with opens(path, "r") as reader:
        assert reader.communicate(timeout=DEADLINE)[0] == "opened\n"
    assert lease_of(path) == "ACTIVE"


def test_nothing_is_held_by_one_that_was_killed(tmp_path: Path) -> None:
    """The kernel sees to it."""
    path = tmp_path / "file"
    path.write_text("content")
    pid = os.fork()
    if pid == 0:
        hold.hold(str(path))
        signal.pause()
    eventually(lambda: lease_of(path) == "ACTIVE", "it is held")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert lease_of(path) == ""


def test_what_cannot_be_held_is_not(tmp_path: Path) -> None:
    """A file that is missing, or open for writing; it is no error, and nothing is left open."""
    before = os.listdir("/proc/self/fd")
    path = tmp_path / "file"
    assert hold.hold(str(path)) == hold.NOT_HELD
    with path.open("w"):
        assert hold.hold(str(path)) == hold.NOT_HELD
    hold.let_go(hold.NOT_HELD)
    hold.close(hold.NOT_HELD)
    assert os.listdir("/proc/self/fd") == before


def test_a_file_of_another_user_is_not_held() -> None:
    """Without the capability CAP_LEASE, as in a container."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).chmod(0o666)
        pid = os.fork()
        if pid == 0:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os._exit(hold.hold(file.name) == hold.NOT_HELD)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def schema(host: Host) -> Path:
    """Return the schema of the host's node."""
    return host.root / f"var/lib/mongooseim/Mnesia.{host.node}" / "schema.DAT"


def caught_looking(host: Host, machine: Machine, **variables: str) -> tuple[Running, int]:
    """Start a member, and stop its first look in the middle; its Mnesia waits for its schema then.

    Returns the member and the pid of the look.
    """
    for _ in range(10):
        started = host.start(machine, **variables)
        look = started.helper("settle")
        os.kill(look, signal.SIGSTOP)
        if lease_of(schema(host)):
            waits = lambda: lease_of(schema(host)) == "BREAKING"  # noqa: E731
            eventually(waits, "its Mnesia waits for its schema", timeout=SLOW)
            return started, look
        os.kill(look, signal.SIGCONT)
        started.send(signal.SIGTERM)
        started.wait()
    pytest.fail("the look was over each time before it could be stopped")


def test_no_mnesia_meets_another_cluster(two: list[Host], machine: Machine) -> None:
    """However slow the look is: the primary lost its disk, and runs in a new cluster."""
    first, second = two
    running = [host.start(machine) for host in two]
    for host in two:
        host.becomes_ready(machine)
    for one in reversed(running):
        one.send(signal.SIGTERM)
        assert one.wait() == 0
    shutil.rmtree(schema(first).parent)
    first.start(machine, JOIN_CLUSTER="false")
    first.becomes_ready(machine)
    started, look = caught_looking(second, machine)
    os.kill(look, signal.SIGCONT)
    assert started.wait(timeout=SLOW) == 2
    assert f"{first.node} runs in another one" in started.output()
    assert "Bad cookie" not in started.output()


def test_a_stop_ends_a_vm_that_waits_for_its_schema(one: Host, machine: Machine) -> None:
    """With status 0, as at any other moment, and without a kill."""
    started = one.start(machine)
    one.becomes_ready(machine)
    started.send(signal.SIGTERM)
    assert started.wait() == 0
    started, _ = caught_looking(one, machine)
    started.send(signal.SIGTERM)
    assert started.wait() == 0
    assert "mongooseim_started" not in started.output()
    assert "SIGKILL" not in started.output()


def test_a_farewell_does_not_wait_for_the_look(two: list[Host], machine: Machine) -> None:
    """It ends the look, and its Mnesia must start before it can leave."""
    running = [host.start(machine) for host in two]
    for host in two:
        host.becomes_ready(machine)
    running[1].send(signal.SIGTERM)
    assert running[1].wait() == 0
    started, _ = caught_looking(two[1], machine, LEAVE_CLUSTER_ON_STOP="true")
    started.send(signal.SIGTERM)
    assert started.wait() == 0
    assert f"{two[1].node} left its cluster" in started.output()


def test_a_mnesia_of_the_same_cluster_starts_after_the_first_look(
    two: list[Host], machine: Machine
) -> None:
    """It does not wait until the kernel takes the lease away, which would be 45 s."""
    first, second = two
    first.start(machine)
    started = second.start(machine)
    second.becomes_ready(machine)
    started.send(signal.SIGTERM)
    assert started.wait() == 0
    started = second.start(machine)
    look = started.helper("settle")
    eventually(lambda: lease_of(schema(second)) == "", "it is let go")
    started.wait_for_output('event="MongooseIM started"')
    second.becomes_ready(machine)
    eventually(lambda: not alive(look), "the look is over")
    watch = started.helper("watch")
    for pid in (started.pid, watch):
        opened = [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
        assert schema(second) not in opened
