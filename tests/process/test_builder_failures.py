"""Builds that fail: each kind with its own message and status, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builder_tools import Repository, Result, Workshop, programs_without
from processes import eventually, tool

if TYPE_CHECKING:
    from collections.abc import Iterator


def on_a_file_system(options: str, variable: str = "BUILDS") -> tuple[str, ...]:
    """Return what a command is to be run with so that a folder is a file system of its own.

    The environment variable `variable` has the folder. What is in it in the end is listed.
    """
    folder = f'"${variable}"'
    script = (
        f'mount -t tmpfs -o {options} none {folder} && {{ "$@"; s=$?; ls -A {folder}; exit $s; }}'
    )
    user = ("--map-root-user",) if os.getuid() else ()
    return (tool("unshare"), "--mount", *user, "sh", "-c", script, "sh")


def assert_failed(result: Result, status: int, *words: str) -> None:
    """See that a build failed with a status and an explanation before the last line."""
    assert result.status == status, result.output
    assert result.said[0].startswith("do_build: "), result.output
    assert result.said[-1] == "build failed", result.output
    for word in words:
        assert word in result.said[-2], result.said


def test_unknown_commit(workshop: Workshop, repository: Repository) -> None:
    """A commit that does not exist ends with 1, and the message names it."""
    result = workshop.build("p", repository.url, "nowhere")
    assert_failed(result, 1, "checkout failed", "no branch, tag or commit nowhere", repository.url)
    assert workshop.tarballs() == []


def test_unknown_reference(workshop: Workshop, repository: Repository) -> None:
    """A pull request that does not exist ends with 1, and the message names it."""
    result = workshop.build("p", repository.url, "refs/pull/99/head")
    assert_failed(result, 1, "checkout failed", "refs/pull/99/head")


def test_unknown_repository(workshop: Workshop) -> None:
    """A repository that cannot be read ends with 1, with git's own words."""
    missing = f"file://{workshop.folder}/missing"
    result = workshop.build("p", missing, "master")
    assert_failed(result, 1, "clone failed", missing, "status 128", "check the address")
    assert "does not appear to be a git repository" in result.said[-2]


def test_no_configure(workshop: Workshop, repository: Repository) -> None:
    """A commit without tools/configure ends with 1, and the message says so."""
    repository.git("rm", "--quiet", "tools/configure")
    repository.commit()
    assert_failed(workshop.build("p", repository.url, "master"), 1, "no tools/configure")


def test_configure_cannot_be_run(workshop: Workshop, repository: Repository) -> None:
    """A tools/configure that is not executable ends with 1, and the message says why."""
    repository.write("tools/configure", "#!/bin/sh\n", 0o644)
    repository.commit()
    result = workshop.build("p", repository.url, "master")
    assert_failed(result, 1, "tools/configure could not be started: Permission denied")


def test_configure_fails(workshop: Workshop, repository: Repository) -> None:
    """A tools/configure that fails ends with 1; make is not run."""
    repository.write("tools/configure", "#!/bin/sh\necho no driver; exit 3\n")
    repository.commit()
    result = workshop.build("p", repository.url, "master")
    assert_failed(result, 1, "compilation failed: tools/configure ended with status 3 (no driver)")
    assert "compiling" not in result.lines


def test_make_fails(workshop: Workshop, repository: Repository) -> None:
    """The last 40 lines are repeated with log, phase and status; no tarball is left."""
    repository.make("@seq 100 160", "@exit 7")
    result = workshop.build("p", repository.url, "master")
    assert_failed(result, 1, "compilation failed: make rel ended with status 2")
    heading = next(line for line in result.said if "the last lines of make rel" in line)
    assert str(workshop.builds / "build.log") in heading
    repeated = result.output.split(heading)[1].splitlines()[1:41]
    assert repeated[:39] == [str(number) for number in range(122, 161)]
    assert "Error 7" in repeated[39]
    assert workshop.log().count("\n160\n") == 1
    assert workshop.tarballs() == []


def test_make_is_killed(workshop: Workshop, repository: Repository) -> None:
    """A compiler that the kernel killed is told from one that failed."""
    repository.make("@kill -9 $$PPID")
    result = workshop.build("p", repository.url, "master")
    assert_failed(result, 1, "make rel was ended by SIGKILL, possibly because memory ran out")


@contextlib.contextmanager
def little_memory() -> Iterator[Path]:
    """Give the file of a control group with 64 MB to which ids of processes are written."""
    groups = Path("/sys/fs/cgroup")
    one = (groups / "memory").is_dir()
    group = (groups / "memory" if one else groups) / f"builder-test-{os.getpid()}"
    try:
        group.mkdir()
        limit = "memory.limit_in_bytes" if one else "memory.max"
        (group / limit).write_text(str(64 * 2**20))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group with a limit can be made here: {error}")
    try:
        yield group / "cgroup.procs"
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
        group.rmdir()


def test_compiler_is_killed_for_lack_of_memory(workshop: Workshop, repository: Repository) -> None:
    """For make, it is one that failed; the message has the cause, and what to do."""
    repository.make("@head -c 300000000 /dev/zero | tail -c 250000000 > /dev/null")
    with little_memory() as processes:
        prefix = ("sh", "-c", f'echo $$ > {processes} && exec "$@"', "sh")
        result = workshop.build("p", repository.url, "master", prefix=prefix)
    assert_failed(result, 1, "make rel ended with status 2", "because memory ran out: give")


@pytest.mark.parametrize(
    ("missing", "status", "message"),
    [
        ("git", 1, "clone failed: git init could not be started: git is not installed"),
        ("make", 1, "compilation failed: make rel could not be started: make is not installed"),
        ("tar", 2, "packing failed: tar is not installed"),
    ],
)
def test_missing_program(
    workshop: Workshop, repository: Repository, missing: str, status: int, message: str
) -> None:
    """A program that is not installed is named, with the status of what needed it."""
    path = programs_without(workshop.folder / "bin", missing)
    assert_failed(workshop.build("p", repository.url, "master", PATH=path), status, message)


def test_no_release(workshop: Workshop, repository: Repository) -> None:
    """A `make rel` that succeeds without making a release ends with 1."""
    repository.write("Makefile", "rel:\n\t@echo done\n")
    repository.commit()
    result = workshop.build("p", repository.url, "master")
    assert_failed(result, 1, "make rel ended with status 0, but made no release")


def test_no_folder_for_tarballs(workshop: Workshop, repository: Repository) -> None:
    """A missing folder ends with 2 before anything is compiled."""
    result = workshop.build("p", repository.url, "master", BUILDS=f"{workshop.folder}/missing")
    assert_failed(result, 2, "there is no folder", f"{workshop.folder}/missing")
    assert "compiling" not in result.output


def test_read_only_folder_for_tarballs(workshop: Workshop, repository: Repository) -> None:
    """A folder that cannot be written ends with 2 before anything is compiled."""
    prefix = on_a_file_system("ro")
    result = workshop.build("p", repository.url, "master", prefix=prefix)
    assert_failed(result, 2, "cannot write into", "Read-only file system")
    assert "compiling" not in result.output


def test_disk_full(workshop: Workshop, repository: Repository) -> None:
    """A disk that is too small ends with 2, and no part of a tarball is left on it."""
    repository.make("@head -c 3000000 /dev/urandom > _build/prod/rel/mongooseim/noise")
    prefix = on_a_file_system("size=1m")
    result = workshop.build("p", repository.url, "master", "--no-cache", prefix=prefix)
    assert_failed(result, 2, "cannot write the tarball", "No space left on device")
    assert result.lines[-1] == "build.log"


@pytest.mark.parametrize("earlier", [True, False])
def test_disk_of_the_cache_is_full(
    workshop: Workshop, repository: Repository, *, earlier: bool
) -> None:
    """A build goes on without a cache, says so, and leaves the room for its tarball."""
    repository.write("noise", "".join(f"{number:x}" for number in range(600_000)))
    repository.make("@true")
    prefix = on_a_file_system("size=1m")
    if earlier:  # in the same file system: the cache has this repository already
        first = f'"{sys.executable}" -m builder_entrypoint p {repository.url} v1 && exec "$@"'
        prefix = (*prefix, "sh", "-c", first, "sh")
    result = workshop.build("p", repository.url, "master", prefix=prefix)
    assert result.status == 0, result.output
    cache = workshop.builds / ".cache" / "git"
    assert f"building without a cache: {cache}: the disk is full" in result.said
    assert len([line for line in result.lines if line.endswith(".tar.gz")]) == 1 + earlier


def test_disk_that_is_full_of_packages(workshop: Workshop, repository: Repository) -> None:
    """The packages of a build are not saved then; the tarball is there."""
    repository.make('@head -c 3000000 /dev/urandom > "$$REBAR_CACHE_DIR/package"')
    prefix = on_a_file_system("size=1m")
    result = workshop.build("p", repository.url, "master", prefix=prefix)
    assert result.status == 0, result.output
    assert any("building without cached packages: [Errno 28]" in line for line in result.said)


def test_a_folder_whose_programs_cannot_be_run_is_named(
    workshop: Workshop, repository: Repository
) -> None:
    """A /tmp that is mounted noexec ends with 1 before anything is fetched, and says what to do."""
    prefix = on_a_file_system("noexec", "TMPDIR")
    result = workshop.build("p", repository.url, "master", prefix=prefix)
    assert_failed(result, 1, str(workshop.temporary), "mounted noexec", "set TMPDIR")
    assert not (workshop.builds / ".cache").exists()


def test_failed_build_leaves_an_existing_tarball_alone(
    workshop: Workshop, repository: Repository
) -> None:
    """With TARBALL_NAME, the tarball of an earlier build lasts until a later one has succeeded."""
    tarball = workshop.build("p", repository.url, "master", TARBALL_NAME="mim").tarball
    before = {path: path.read_bytes() for path in workshop.tarballs()}
    repository.make("@exit 1")
    assert workshop.build("p", repository.url, "master", TARBALL_NAME="mim").status == 1
    assert {path: path.read_bytes() for path in workshop.tarballs()} == before
    opened = workshop.folder / "opened"
    os.link(tarball, opened)
    repository.make("@echo new > _build/prod/rel/mongooseim/new")
    assert workshop.build("p", repository.url, "master", TARBALL_NAME="mim").tarball == tarball
    after = {path: path.read_bytes() for path in workshop.tarballs()}
    assert after.keys() == before.keys()
    assert all(after[path] != before[path] for path in before)
    assert opened.read_bytes() == before[tarball], "whoever reads the old one has it whole"


def test_tarball_name_is_taken_by_a_folder(workshop: Workshop, repository: Repository) -> None:
    """A folder where the tarball would go is left alone, with status 2."""
    folder = workshop.builds / "mim.tar.gz"
    folder.mkdir()
    result = workshop.build("p", repository.url, "master", TARBALL_NAME="mim")
    assert_failed(result, 2, "cannot name the tarball")
    assert workshop.tarballs() == [folder]


def test_log_that_cannot_be_opened_is_a_wrong_setting(
    workshop: Workshop, repository: Repository
) -> None:
    """LOGFILE in a missing folder ends with 78 and names the variable."""
    log = f"{workshop.folder}/missing/build.log"
    result = workshop.build("p", repository.url, "master", LOGFILE=log)
    assert_failed(result, 78, f"LOGFILE={log}", "No such file or directory")


def test_full_disk_of_the_log_does_not_end_a_build(
    workshop: Workshop, repository: Repository
) -> None:
    """A log that cannot be written any more is said once, and the build goes on."""
    result = workshop.build("p", repository.url, "master", LOGFILE="/dev/full")
    assert result.status == 0
    said = [line for line in result.said if "log file cannot be written" in line]
    assert len(said) == 1


def test_no_work_folder(workshop: Workshop, repository: Repository) -> None:
    """A folder for temporary files that belongs to somebody else, or is none, ends with 1."""
    (workshop.temporary / f"mongooseim-builder-{os.getuid()}").write_text("not a folder")
    result = workshop.build("p", repository.url, "master")
    assert_failed(result, 1, "cannot make a work folder", "mongooseim-builder-")
