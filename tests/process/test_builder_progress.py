"""What a build tells of itself while it runs, and how others see and stop it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios

import pytest
from builder_tools import DEADLINE, GitServer, Repository, Workshop, serving
from processes import eventually

WAIT = "@touch $(HOME)/ready; until [ -e $(HOME)/go ]; do sleep 0.02; done"
SECONDS = r"\d+\.\d s"


def wait_until_ready(workshop: Workshop) -> None:
    """Wait until `make` of a repository with WAIT runs."""
    eventually((workshop.home / "ready").exists, "make runs")


def go_on(workshop: Workshop) -> None:
    """Let `make` of a repository with WAIT go on."""
    (workshop.home / "go").touch()


def test_each_phase_has_a_line_with_its_time_and_the_summary_has_all(
    workshop: Workshop, repository: Repository
) -> None:
    """Where the time goes is seen while it goes, and once more at the end."""
    result = workshop.build("p", repository.url, "master")
    phases = [
        "clone",
        "checkout",
        "configure",
        "fetch dependencies",
        "compile",
        "save the cache",
        "pack",
    ]
    begun = [line.removesuffix(" ...") for line in result.said if line.endswith(" ...")]
    assert begun == phases
    for phase in phases:
        assert sum(bool(re.fullmatch(f"{phase}: {SECONDS}", line)) for line in result.said) == 1
    times = ", ".join(f"{phase} {SECONDS}" for phase in phases)
    assert re.fullmatch(f"time: {times}, in all {SECONDS}", result.said[-4])
    assert result.said[-3] == "from the cache: git repositories 0 of 1"
    tarball = result.tarball
    digest = tarball.with_name(f"{tarball.name}.sha256").read_text().split()[0]
    assert result.said[-2] == f"tarball: {tarball.stat().st_size:,} bytes, SHA-256 {digest}"


def test_the_summary_says_what_the_cache_had(workshop: Workshop, repository: Repository) -> None:
    """Repositories that were not asked again, and packages that were not fetched again."""
    repository.make('@for i in 1 2 3; do echo x > "$$REBAR_CACHE_DIR/$$i.tar"; done')
    commit = repository.git("rev-parse", "HEAD")
    first = workshop.build("p", repository.url, commit)
    second = workshop.build("p", repository.url, commit)
    assert "from the cache: git repositories 0 of 1, Hex packages 0 of 3" in first.said
    assert "from the cache: git repositories 1 of 1, Hex packages 3 of 3" in second.said


def test_builds_are_listed_and_stopped_by_their_project(
    workshop: Workshop, repository: Repository
) -> None:
    """`--list` names those that run, without credentials; `--stop` ends those that are meant."""
    repository.make(WAIT)
    assert workshop.build("--list").lines == ["no build is running"]
    with serving(GitServer(repository.folder.parent, "me:pw4711")) as server:
        address = f"http://me:pw4711@{server.address}/sample"
        one = workshop.start("one", address, "master")
        wait_until_ready(workshop)
        (workshop.home / "ready").unlink()
        other = workshop.start("other", repository.url, "v1")
        other.wait(timeout=DEADLINE)  # nothing to wait for in v1
        other = workshop.start("other", repository.url, "master")
        wait_until_ready(workshop)
    listed = workshop.build("--list")
    assert listed.status == 0
    assert [line.split(",")[0] for line in listed.lines] == [
        f"one master http://***@{server.address}/sample",
        f"other master {repository.url}",
    ]
    assert f"process {one.pid}" in listed.lines[0]
    assert workshop.build("--stop", "nobody").lines == ["no build of nobody is running"]
    stopped = workshop.build("--stop", "one")
    assert (stopped.status, len(stopped.lines)) == (0, 1)
    assert workshop.finish(one).said[-2:] == ["stopped by SIGTERM", "build failed"]
    assert len(workshop.build("--list").lines) == 1
    assert workshop.build("--stop").status == 0
    assert workshop.finish(other).status == 1
    assert workshop.build("--list").lines == ["no build is running"]


def test_a_process_that_has_the_id_of_a_dead_build_is_not_stopped(
    workshop: Workshop, repository: Repository
) -> None:
    """A build that was killed leaves its note; ids of processes are used again."""
    repository.make(WAIT)
    started = workshop.start("p", repository.url, "master")
    wait_until_ready(workshop)
    lock = next((workshop.temporary / f"mongooseim-builder-{os.getuid()}").glob("*.lock"))
    note = lock.read_text()
    assert str(started.pid) in note
    with subprocess.Popen(["sleep", "1000"]) as innocent:
        lock.write_text(note.replace(str(started.pid), str(innocent.pid)))
        assert workshop.build("--stop").lines == ["no build is running"]
        assert innocent.poll() is None
        innocent.kill()
    lock.write_text("")
    assert workshop.build("--list").lines == ["no build is running"]
    go_on(workshop)
    assert workshop.finish(started).status == 0


@pytest.mark.parametrize("arguments", [("--stop", "p", "REPO"), ("--stop", "-x")])
def test_wrong_words_stop_nothing(workshop: Workshop, arguments: tuple[str, ...]) -> None:
    """Status 78."""
    assert workshop.build(*arguments).status == 78


def test_a_build_whose_client_has_gone_says_how_to_stop_it(
    workshop: Workshop, repository: Repository
) -> None:
    """Ctrl-C on `docker exec -i` closes standard input and nothing else."""
    repository.make(WAIT)
    reading, writing = os.pipe()
    started = workshop.start("my project", repository.url, "master", stdin=reading)
    os.close(reading)
    wait_until_ready(workshop)
    assert "the client" not in workshop.log()
    os.close(writing)
    said = "if the client has gone, the build goes on; /build.sh --stop 'my project' ends it"
    eventually(lambda: said in workshop.log(), "the log says how to stop it")
    go_on(workshop)
    result = workshop.finish(started)
    assert result.status == 0
    assert result.output.count(said) == 1


def test_input_that_is_closed_from_the_start_means_nothing(
    workshop: Workshop, repository: Repository
) -> None:
    """As in a job of CI."""
    reading, writing = os.pipe()
    os.close(writing)
    started = workshop.start("p", repository.url, "master", stdin=reading)
    os.close(reading)
    result = workshop.finish(started)
    assert result.status == 0
    assert "the client" not in result.output


def test_output_that_nobody_reads_is_said_in_the_log(
    workshop: Workshop, repository: Repository
) -> None:
    """And how to stop the build."""
    repository.make(WAIT, "@seq 10000")
    started = workshop.start("p", repository.url, "master")
    wait_until_ready(workshop)
    assert started.stdout is not None
    started.stdout.close()
    go_on(workshop)
    assert started.wait(timeout=DEADLINE) == 0
    said = "nobody reads the output any more; the build goes on; /build.sh --stop p ends it"
    assert workshop.log().count(said) == 1


def test_the_log_has_two_files_at_most(workshop: Workshop, repository: Repository) -> None:
    """A log of 10 MB is renamed by the next build, and replaces the older one."""
    log, older = workshop.builds / "build.log", workshop.builds / "build.log.1"
    old = "x" * (10 * 2**20)
    older.write_text("oldest\n")
    log.write_text(old)
    first = workshop.build("p", repository.url, "master")
    assert older.read_text() == old
    assert log.read_text() == first.output
    second = workshop.build("p", repository.url, "master")
    assert log.read_text() == first.output + second.output
    assert older.read_text() == old


def test_a_log_that_cannot_be_renamed_goes_on(workshop: Workshop, repository: Repository) -> None:
    """A log that grows is no reason not to build."""
    (workshop.builds / "build.log.1").mkdir()
    old = "x" * (10 * 2**20)
    (workshop.builds / "build.log").write_text(old)
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0, result.output
    assert workshop.log() == old + result.output


def test_a_build_that_still_writes_loses_nothing_of_its_log(
    workshop: Workshop, repository: Repository
) -> None:
    """It goes on in the file that another build has renamed."""
    repository.make(WAIT)
    log, older = workshop.builds / "build.log", workshop.builds / "build.log.1"
    started = workshop.start("p", repository.url, "master")
    wait_until_ready(workshop)
    with log.open("a") as file:
        file.write("x" * (10 * 2**20) + "\n")
    other = workshop.build("p", repository.url, "v1")
    assert log.read_text() == other.output
    go_on(workshop)
    result = workshop.finish(started)
    assert older.read_text().endswith(result.output[-200:])


def test_the_status_line_is_never_wider_than_the_terminal(
    workshop: Workshop, repository: Repository
) -> None:
    """Also after it was made narrower: a line that wraps cannot be taken back."""
    repository.make(WAIT)
    ours, theirs = pty.openpty()
    resize(ours, 100)
    started = workshop.start("p", repository.url, "master", stdout=theirs)
    os.close(theirs)
    read_until(ours, b"make rel  0:0")
    resize(ours, 9)
    shown = read_until(ours, b"\r\x1b[Kmake rel\r")
    assert started.poll() is None
    go_on(workshop)
    shown += read_until(ours, b"is ready")
    assert started.wait(timeout=DEADLINE) == 0
    os.close(ours)
    assert b"make rel  0" not in shown.partition(b"\r\x1b[Kmake rel\r")[2]


def resize(terminal: int, columns: int) -> None:
    """Give a terminal another width."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def read_until(terminal: int, text: bytes) -> bytes:
    """Read what is shown until `text` was in it."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], DEADLINE)[0], f"{text!r} is not in {shown!r}"
        shown += os.read(terminal, 65536)
    return shown
