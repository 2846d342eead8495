"""Builds that fail: each kind with its own message and status, and nothing left behind."""

from __future__ import annotations

import os

import pytest
from builder_tools import Repository, Result, Workshop, programs_without
from processes import tool


def on_a_file_system(workshop: Workshop, options: str) -> tuple[str, ...]:
    """Return what a command is to be run with so that BUILDS is a file system of its own.

    What is in it in the end is listed.
    """
    script = (
        f'mount -t tmpfs -o {options} none "$BUILDS" && {{ "$@"; s=$?; ls -A "$BUILDS"; exit $s; }}'
    )
    user = ("--map-root-user",) if os.getuid() else ()
    return (tool("unshare"), "--mount", *user, "sh", "-c", script, str(workshop.builds))


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
    heading = result.said[1]
    assert "make rel" in heading
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
    prefix = on_a_file_system(workshop, "ro")
    result = workshop.build("p", repository.url, "master", prefix=prefix)
    assert_failed(result, 2, "cannot write into", "Read-only file system")
    assert "compiling" not in result.output


def test_disk_full(workshop: Workshop, repository: Repository) -> None:
    """A disk that is too small ends with 2, and no part of a tarball is left on it."""
    repository.make("@head -c 3000000 /dev/urandom > _build/prod/rel/mongooseim/noise")
    prefix = on_a_file_system(workshop, "size=1m")
    result = workshop.build("p", repository.url, "master", "--no-cache", prefix=prefix)
    assert_failed(result, 2, "cannot write the tarball", "No space left on device")
    assert result.lines[-1] == "build.log"


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
