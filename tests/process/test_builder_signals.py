"""Signals, kills, and what builds do with the processes that they start."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import signal
import socket
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from builder_tools import DEADLINE, RELEASE, ROOT, Repository, Workshop
from processes import eventually, tool

if TYPE_CHECKING:
    from pathlib import Path

# A compiler in a session of its own that ignores SIGTERM, and one that does not.
IGNORE_SIGNALS = (
    "trap '' TERM INT HUP QUIT; echo \\$$$$ > $(HOME)/stubborn; while :; do sleep 1; done"
)
STUBBORN = (
    f'@setsid sh -c "{IGNORE_SIGNALS}" & :',
    "@echo $$$$ > $(HOME)/ready; exec sleep 1000",
)
ROUNDS = int(os.environ.get("BUILDER_KILLS", "9"))


def pid_in(path: Path) -> int:
    """Wait for a file with a pid in it; return the pid."""
    eventually(lambda: path.exists() and path.read_text().endswith("\n"), f"{path} is written")
    return int(path.read_text())


def read_until(started: subprocess.Popen[bytes], text: bytes) -> bytes:
    """Read what a build prints until `text` was in it."""
    assert started.stdout is not None
    data = b""
    while text not in data:
        more = os.read(started.stdout.fileno(), 65536)
        assert more, f"it ended without {text!r}: {data!r}"
        data += more
    return data


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
def test_stop_ends_everything_and_leaves_no_tarball(
    workshop: Workshop, repository: Repository, name: str
) -> None:
    """Compilers in sessions of their own that ignore signals are killed."""
    repository.make(*STUBBORN)
    started = workshop.start("p", repository.url, "master")
    pids = [pid_in(workshop.home / "stubborn"), pid_in(workshop.home / "ready")]
    started.send_signal(signal.Signals[name])
    result = workshop.finish(started)
    assert result.status == 1
    assert result.said[-2:] == [f"stopped by {name}", "build failed"]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert workshop.tarballs() == []
    assert [path for path in workshop.temporary.rglob("*") if not path.is_dir()] == []


def test_second_signal_changes_nothing(workshop: Workshop, repository: Repository) -> None:
    """Whoever sends SIGTERM ten times gets the same end as whoever sends it once."""
    repository.make(*STUBBORN)
    started = workshop.start("p", repository.url, "master")
    pid_in(workshop.home / "ready")
    for _ in range(10):
        started.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    result = workshop.finish(started)
    assert result.status == 1
    assert result.said[-2:] == ["stopped by SIGTERM", "build failed"]


def test_stop_at_the_very_beginning_is_not_lost(workshop: Workshop, repository: Repository) -> None:
    """A signal sent before our first instruction waits, if signals are blocked, until we listen."""
    signals = signal.valid_signals()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        started = workshop.start("p", repository.url, "master")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    started.send_signal(signal.SIGTERM)
    result = workshop.finish(started)
    assert result.status == 1
    assert result.said[-2:] == ["stopped by SIGTERM", "build failed"]
    assert workshop.tarballs() == []


@pytest.mark.parametrize(("arguments", "status"), [(["--version"], 0), (["p", "/nowhere"], 1)])
def test_a_signal_while_the_interpreter_ends_changes_no_status(
    tmp_path: Path, arguments: list[str], status: int
) -> None:
    """When it has put back the default handlers; `docker stop` sends a second signal so late.

    A thread that is left, as of a server of packages that waits for its answer, takes it too.
    """
    script = (
        "import os, sys, threading, time\n"
        "from builder_entrypoint.__main__ import main\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid(), signals=(1, 2, 3, 15)):\n"
        "        for number in signals: kill(pid, number)\n"
        "        os.write(1, b'sent')\n"
        "late = Late()\n"
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "raise SystemExit(main())\n"
    )
    command = [sys.executable, "-c", script, *arguments]
    environment = {"HOME": str(tmp_path), "BUILDS": str(tmp_path), "PATH": os.defpath}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=False)
    assert done.stdout.endswith(b"sent")
    assert done.returncode == status, done.stderr


def test_programs_start_with_a_clean_slate(workshop: Workshop, repository: Repository) -> None:
    """However we are started, what we start has no signal blocked or ignored, and no input."""
    repository.make(
        "@grep -E 'Sig(Blk|Ign)' /proc/self/status", "@readlink /proc/self/fd/0", "@cat"
    )
    prefix = (tool("env"), "--block-signal", "--ignore-signal=SIGHUP")
    result = workshop.build("p", repository.url, "master", prefix=prefix)
    assert result.status == 0
    masks = dict(line.split() for line in result.lines if line.startswith("Sig"))
    # The C library keeps two signals to itself: nobody can change what was inherited of them.
    assert {name: int(mask, 16) & ~(3 << 31) for name, mask in masks.items()} == {
        "SigBlk:": 0,
        "SigIgn:": 0,
    }
    assert "/dev/null" in result.lines


def test_stop_while_the_network_is_silent(workshop: Workshop) -> None:
    """A server that never answers does not keep a stop waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        started = workshop.start("p", address, "master")
        with server.accept()[0]:
            started.send_signal(signal.SIGTERM)
            assert workshop.finish(started).said[-2:] == ["stopped by SIGTERM", "build failed"]


def test_stop_while_another_build_has_the_repository(
    workshop: Workshop, repository: Repository
) -> None:
    """Who waits for another build says so, and still can be stopped."""
    assert workshop.build("p", repository.url, "master").status == 0
    lock = next((workshop.builds / ".cache" / "git").glob("*.lock"))
    with subprocess.Popen([tool("flock"), str(lock), "cat"], stdin=subprocess.PIPE) as holder:
        eventually(
            lambda: (
                subprocess.run([tool("flock"), "-n", str(lock), "true"], check=False).returncode
            ),
            "the lock is held",
        )
        started = workshop.start("p", repository.url, "master")
        read_until(started, b"waiting for another build")
        started.send_signal(signal.SIGTERM)
        assert workshop.finish(started).status == 1
        assert holder.poll() is None
        holder.communicate()


def test_stop_while_nobody_reads_our_output(workshop: Workshop, repository: Repository) -> None:
    """A terminal that is halted, or a pager that waits, does not keep a stop waiting."""
    repository.make("@touch $(HOME)/noisy; yes", "@:")
    started = workshop.start("p", repository.url, "master")
    eventually((workshop.home / "noisy").exists, "make prints without end")
    log = workshop.builds / "build.log"
    size = -1

    def stuck() -> bool:
        nonlocal size
        before, size = size, log.stat().st_size
        time.sleep(0.1)
        return before == log.stat().st_size

    eventually(stuck, "the output is stuck")
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=DEADLINE) == 1
    assert workshop.log().endswith("build failed\n")


def test_build_goes_on_when_the_reader_is_gone(workshop: Workshop, repository: Repository) -> None:
    """The end of `docker exec` at the other end is not the end of the build."""
    repository.make("@until [ -e $(HOME)/go ]; do sleep 0.02; done; seq 10000")
    started = workshop.start("p", repository.url, "master")
    read_until(started, b"compiling")
    assert started.stdout is not None
    started.stdout.close()
    (workshop.home / "go").touch()
    assert started.wait(timeout=DEADLINE) == 0
    assert workshop.log().rstrip().endswith("is ready")


def test_daemon_that_the_build_leaves_behind_is_ended(
    workshop: Workshop, repository: Repository
) -> None:
    """A daemon with our output open keeps no build waiting, and does not outlive it."""
    repository.make("@setsid sh -c 'echo $$$$ > $(HOME)/daemon; exec sleep 1000' &")
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0
    assert not psutil.pid_exists(pid_in(workshop.home / "daemon"))


def test_orphans_are_reaped_while_the_build_runs(
    workshop: Workshop, repository: Repository
) -> None:
    """Orphans come to us, and none stays a zombie."""
    repository.make(
        "@for i in 1 2 3 4 5 6 7 8 9; do sh -c 'setsid true & setsid true &'; done",
        "@echo orphaned; until [ -e $(HOME)/go ]; do sleep 0.02; done",
    )
    started = workshop.start("p", repository.url, "master")
    read_until(started, b"orphaned")

    def only_make() -> bool:
        return len(psutil.Process(started.pid).children()) == 1

    eventually(only_make, "make is the only child")
    (workshop.home / "go").touch()
    assert workshop.finish(started).status == 0


def test_output_is_shown_as_it_comes(workshop: Workshop, repository: Repository) -> None:
    """A line is shown at once, and the words of an unfinished one while the rest is awaited."""
    wait = "until [ -e $(HOME)/{0} ]; do sleep 0.02; done"
    repository.make(
        f"@echo whole; {wait.format('one')}; printf 'half of it '; {wait.format('two')}; echo rest"
    )
    started = workshop.start("p", repository.url, "master")
    read_until(started, b"whole\n")
    (workshop.home / "one").touch()
    read_until(started, b"half of it ")
    (workshop.home / "two").touch()
    assert workshop.finish(started).status == 0
    assert "half of it rest\n" in workshop.log()


def test_huge_line_is_not_kept_in_memory(workshop: Workshop, repository: Repository) -> None:
    """An endless line without a blank is shown and logged, in pieces, unchanged."""
    repository.make("@head -c 3000000 /dev/zero | tr '\\0' x; echo")
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0
    assert max(map(len, result.lines)) == 3000000
    assert "x" * 3000000 in workshop.log().splitlines()


def test_status_line_is_on_terminals_only(workshop: Workshop, repository: Repository) -> None:
    """On a terminal phase and elapsed time are shown, never in the log."""
    repository.make("@until [ -e $(HOME)/go ]; do sleep 0.02; done")
    ours, theirs = pty.openpty()
    started = workshop.start("p", repository.url, "master", stdout=theirs)
    os.close(theirs)
    shown = b""
    while b"make rel  0:0" not in shown:
        shown += os.read(ours, 65536)
    (workshop.home / "go").touch()
    while b"is ready" not in shown:
        shown += os.read(ours, 65536)
    assert started.wait(timeout=DEADLINE) == 0
    os.close(ours)
    assert b"\r\x1b[K" in shown
    assert "\x1b" not in workshop.log()
    assert "make rel  0:0" not in workshop.log()


def test_builds_killed_at_random_moments_do_no_harm(
    workshop: Workshop, repository: Repository
) -> None:
    """No part of a tarball is to be seen, none of a stopped build, and the next build succeeds."""
    repository.make(f"@head -c 300000 /dev/urandom > {RELEASE}/noise")
    began = time.monotonic()
    assert workshop.build("p", repository.url, "master").status == 0
    length = time.monotonic() - began
    seed = random.randrange(2**32)  # noqa: S311 - printed when the test fails
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)  # noqa: S311
    for number in range(ROUNDS):
        repository.commit()
        started = workshop.start("p", repository.url, "master", stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, length * 1.2))
        before = set(workshop.builds.glob("*.tar.gz"))
        if number % 3 == 0:
            os.killpg(started.pid, signal.SIGKILL)
        else:
            started.send_signal((signal.SIGKILL, signal.SIGTERM)[number % 3 - 1])
        if started.wait(timeout=DEADLINE) == 1:
            assert set(workshop.builds.glob("*.tar.gz")) == before
        for tarball in workshop.builds.glob("*.tar.gz"):
            assert_whole(tarball)
        result = workshop.build("p", repository.url, "master")
        assert result.status == 0, f"seed {seed}, round {number}: {result.output}"
        assert "is damaged" not in result.output
    assert [path.name for path in workshop.tarballs() if path.name.startswith(".")] == []


def assert_whole(tarball: Path) -> None:
    """See that a tarball is complete, and what is beside it, if it is there, true."""
    with tarfile.open(tarball) as archive:
        assert "mongooseim/version" in archive.getnames()
    description = tarball.with_name(tarball.name.replace(".tar.gz", ".json"))
    if description.exists():
        expected = json.loads(description.read_text())["sha256"]
        assert hashlib.sha256(tarball.read_bytes()).hexdigest() == expected
