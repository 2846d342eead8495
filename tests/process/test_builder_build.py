"""Builds that succeed: names, contents, and what is beside the tarball."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile

import pytest
from builder_tools import LINE, Repository, Workshop
from tarballs import content

from builder_entrypoint import VERSION


def description(workshop: Workshop) -> dict[str, object]:
    """Return our description of the only tarball."""
    (path,) = (path for path in workshop.builds.glob("*.json") if path.name.count(".") == 1)
    read: dict[str, object] = json.loads(path.read_text())
    return read


def test_a_build_prints_the_contract_lines_and_makes_a_tarball(
    workshop: Workshop, repository: Repository
) -> None:
    """First `do_build`, last the path, and there the release with its version file."""
    result = workshop.build("myproject", repository.url, "master")
    assert result.status == 0, result.output
    assert LINE.match(result.lines[0])
    assert result.said[0] == f"do_build: myproject master {repository.url}"
    assert result.said[-1] == f"{result.tarball} is ready"
    assert LINE.match(result.lines[-1])
    assert result.tarball.parent == workshop.builds
    pattern = r"mongooseim-myproject-master-\d{4}-\d\d-\d\d_\d{6}\.tar\.gz"
    assert re.fullmatch(pattern, result.tarball.name)
    assert content(result.tarball) == {
        "mongooseim/bin/mongooseim": b"hello\n",
        "mongooseim/releases/start_erl.data": b"14.2.5 6.2.1\n",
        "mongooseim/version": f"myproject-master-{repository.url}\nv1\n".encode(),
    }


def test_output_goes_to_standard_output_and_is_appended_to_the_log(
    workshop: Workshop, repository: Repository
) -> None:
    """What configure and make print is shown, and the log keeps it, build after build."""
    first = workshop.build("a", repository.url, "master")
    second = workshop.build("b", repository.url, "master")
    assert {"configured: with-all", "compiling"} <= set(first.lines)
    assert workshop.log() == first.output + second.output


def test_log_file_can_be_elsewhere(workshop: Workshop, repository: Repository) -> None:
    """LOGFILE names the log."""
    log = workshop.folder / "my.log"
    result = workshop.build("a", repository.url, "master", LOGFILE=str(log))
    assert result.status == 0
    assert log.read_text() == result.output
    assert not (workshop.builds / "build.log").exists()


@pytest.mark.parametrize("commit", ["feature/x", "v1", "full", "short", "refs/pull/7/head", "HEAD"])
def test_every_kind_of_commit_can_be_built(
    workshop: Workshop, repository: Repository, commit: str
) -> None:
    """Branch with a slash, tag, full and short hash, and a pull request lead to their commits."""
    repository.git("checkout", "--quiet", "-b", "feature/x")
    repository.write("hello", "feature\n")
    feature = repository.commit()
    repository.git("checkout", "--quiet", "--detach", "v1")
    repository.write("hello", "pull\n")
    pull = repository.commit()
    repository.git("update-ref", "refs/pull/7/head", pull)
    repository.git("checkout", "--quiet", "master")
    repository.write("hello", "master\n")
    master = repository.commit()
    names = {"full": repository.first, "short": repository.first[:7]}
    expected = {"feature/x": feature, "refs/pull/7/head": pull, "HEAD": master}
    result = workshop.build("p", repository.url, names.get(commit, commit))
    described = description(workshop)
    assert result.tarball.parent == workshop.builds
    assert described["commit"] == expected.get(commit, repository.first)


def test_commit_of_a_pull_request_can_be_named_by_its_full_hash(
    workshop: Workshop, repository: Repository
) -> None:
    """A hash that is on no branch is fetched for itself."""
    repository.git("checkout", "--quiet", "--detach", "v1")
    repository.write("hello", "pull\n")
    pull = repository.commit()
    repository.git("update-ref", "refs/pull/7/head", pull)
    repository.git("checkout", "--quiet", "master")
    result = workshop.build("p", repository.url, pull)
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"pull\n"


def test_a_branch_goes_before_a_tag_and_a_short_hash_of_the_same_name(
    workshop: Workshop, repository: Repository
) -> None:
    """A branch that is called like a tag, and like the short hash of another commit, is built."""
    name = repository.first[:8]
    repository.git("tag", name, repository.first)
    repository.git("checkout", "--quiet", "-b", name)
    repository.write("hello", "branch\n")
    repository.commit()
    workshop.build("p", repository.url, "master")  # fills the cache
    result = workshop.build("p", repository.url, name)
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"branch\n"


def test_repository_can_be_a_folder(workshop: Workshop, repository: Repository) -> None:
    """REPO may be a path, also a relative one."""
    path = str(repository.folder.relative_to(workshop.folder))
    assert workshop.build("p", path, "master").status == 0


def test_describe_and_tag_names_are_in_the_version_file(
    workshop: Workshop, repository: Repository
) -> None:
    """The second line is what `git describe` says, counted from the last annotated tag."""
    commit = repository.commit()
    result = workshop.build("p", repository.url, "master")
    version = content(result.tarball)["mongooseim/version"].decode().splitlines()
    assert version == [f"p-master-{repository.url}", f"v1-1-g{commit[:7]}"]


def test_tarball_name_and_architecture_are_as_asked(
    workshop: Workshop, repository: Repository
) -> None:
    """TARBALL_NAME replaces the name with the time in it, ARCH is added to it."""
    result = workshop.build("p", repository.url, "master", TARBALL_NAME="mim", ARCH="arm64")
    assert result.tarball == workshop.builds / "mim-arm64.tar.gz"
    assert {path.name for path in workshop.tarballs()} == {
        f"mim-arm64{ending}"
        for ending in (".cdx.json", ".json", ".provenance.json", ".tar.gz", ".tar.gz.sha256")
    }


def test_configure_arguments_can_be_chosen(workshop: Workshop, repository: Repository) -> None:
    """CONFIGURE_ARGS is split as a shell would, and may be empty."""
    result = workshop.build(
        "p", repository.url, "master", CONFIGURE_ARGS="with-redis 'two words' ;touch"
    )
    assert "configured: with-redis two words ;touch" in result.lines
    result = workshop.build("p", repository.url, "master", CONFIGURE_ARGS="")
    assert "configured:" in [line.strip() for line in result.lines]


def test_checksum_and_description_belong_to_the_tarball(
    workshop: Workshop, repository: Repository
) -> None:
    """`.sha256` can be checked with sha256sum, `.json` says what the tarball is."""
    tarball = workshop.build("p", repository.url, "v1", ARCH="amd64").tarball
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    checksum = tarball.with_name(f"{tarball.name}.sha256").read_text()
    assert checksum == f"{digest}  {tarball.name}\n"
    described = json.loads(tarball.with_name(tarball.name.replace(".tar.gz", ".json")).read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", described.pop("time"))
    assert described.pop("otp_version", "missing") != "missing"
    assert described == {
        "project": "p",
        "repository": repository.url,
        "asked_for": "v1",
        "commit": repository.first,
        "description": "v1",
        "mongooseim_version": "6.2.1",
        "architecture": "amd64",
        "shared_libraries": [],
        "tarball": tarball.name,
        "size": tarball.stat().st_size,
        "sha256": digest,
        "builder_version": VERSION,
    }


def test_times_are_those_of_the_commit_or_as_asked(
    workshop: Workshop, repository: Repository
) -> None:
    """All entries have the time of the commit, or SOURCE_DATE_EPOCH; owner is root."""
    asked = workshop.build("p", repository.url, "v1", SOURCE_DATE_EPOCH="86400").tarball
    own = workshop.build("p", repository.url, "v1").tarball
    for tarball, expected in ((asked, 86400), (own, 1735689600)):
        with tarfile.open(tarball) as archive:
            members = archive.getmembers()
        assert {member.mtime for member in members} == {expected}
        assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
        assert [member.name for member in members] == sorted(member.name for member in members)


def test_two_builds_at_once_both_succeed(workshop: Workshop, repository: Repository) -> None:
    """Builds of the same commit in the same moment get a work folder and a name each."""
    started = [workshop.start("p", repository.url, "master") for _ in range(3)]
    results = [workshop.finish(one) for one in started]
    assert [result.status for result in results] == [0, 0, 0], results
    assert len({result.tarball for result in results}) == 3
    packed = {result.tarball.read_bytes() for result in results}
    assert len(packed) == 1


def test_work_folder_and_temporary_files_are_gone_afterwards(
    workshop: Workshop, repository: Repository
) -> None:
    """A build leaves its tarball with companions, log and cache, and nothing else."""
    workshop.build("p", repository.url, "master", TARBALL_NAME="mim")
    names = {path.name for path in workshop.tarballs()}
    assert len(names) == 5
    assert all(name.startswith("mim.") for name in names)
    assert [path for path in workshop.temporary.rglob("*") if not path.is_dir()] == []


def test_hostile_names_stay_in_the_folder(workshop: Workshop, repository: Repository) -> None:
    """A project named like a path out of the folder gives a file in it."""
    result = workshop.build("../../etc/x", repository.url, "master")
    assert result.tarball.parent == workshop.builds
    assert re.match(r"mongooseim-etc-x-[0-9a-f]{10}-master-", result.tarball.name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("p", "REPO", "--upload-pack=touch PWNED"),
        ("p", "--upload-pack=touch PWNED", "master"),
        ("p", "REPO", "-b"),
        ("p", "REPO", "master\nx"),
        ("p\x1b[2J", "REPO", "master"),
        ("p", "REPO", "master", "more"),
        ("--unknown",),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_done(
    workshop: Workshop, repository: Repository, arguments: tuple[str, ...]
) -> None:
    """What begins with a hyphen, has control characters or is too much ends with 78."""
    given = [word.replace("REPO", repository.url) for word in arguments]
    given = [word.replace("PWNED", str(workshop.folder / "pwned")) for word in given]
    result = workshop.build(*given)
    assert result.status == 78
    assert len(result.lines) == 1
    assert list(workshop.builds.iterdir()) == []
    assert not (workshop.folder / "pwned").exists()


def test_dry_run_says_what_would_be_done_and_does_nothing(workshop: Workshop) -> None:
    """`--dry-run` names sources, commands and files, without credentials, and writes nothing."""
    result = workshop.build("p", "https://u:secret@host/x", "feature/x", "--dry-run", ARCH="a")
    assert result.status == 0
    assert "would fetch https://***@host/x" in result.lines
    assert "would run tools/configure with-all" in result.lines
    expected = f"{workshop.builds}/mongooseim-p-feature-x-217d2bf51f-TIMESTAMP-a.tar.gz"
    assert f"would pack _build/prod/rel/mongooseim as {expected}" in result.lines
    assert list(workshop.builds.iterdir()) == []
    assert "secret" not in result.output


@pytest.mark.parametrize(("option", "text"), [("--help", "BUILDS"), ("--version", "build.sh 0.")])
def test_help_and_version_are_printed(workshop: Workshop, option: str, text: str) -> None:
    """`--help` and `--version` print and end with 0."""
    result = workshop.build(option)
    assert result.status == 0
    assert text in result.output
    assert list(workshop.builds.iterdir()) == []
