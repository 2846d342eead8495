"""Any repository can be built from: shallow, partial, with submodules, with another branch."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from builder_tools import FIXED, RELEASE, GitServer, Repository, Workshop, serving
from processes import tool
from tarballs import content

if TYPE_CHECKING:
    from pathlib import Path

HELLO = "mongooseim/bin/mongooseim"


def clone(workshop: Workshop, repository: Repository, name: str, *options: str) -> Path:
    """Clone the repository over its file:// address, with options of git clone."""
    folder = workshop.folder / "clones" / name
    command = [tool("git"), "clone", "--quiet", *options, repository.url, str(folder)]
    subprocess.run(command, env={**workshop.environment(), **FIXED}, check=True, timeout=60)
    return folder


@pytest.fixture
def history(repository: Repository) -> Repository:
    """Provide a repository of three commits, `v1` on the first."""
    for number in (2, 3):
        repository.write("hello", f"hello {number}\n")
        repository.commit()
    repository.git("config", "uploadpack.allowFilter", "true")
    return repository


@pytest.mark.parametrize("commit", ["master", "HEAD", "hash"])
def test_a_shallow_repository_is_built(
    workshop: Workshop, history: Repository, commit: str
) -> None:
    """A default checkout of CI has one commit; `git describe` cannot see the tags before it."""
    shallow = clone(workshop, history, "shallow", "--depth=1")
    commit_hash = history.git("rev-parse", "HEAD")
    result = workshop.build("p", str(shallow), commit_hash if commit == "hash" else commit)
    packed = content(result.tarball)
    assert packed[HELLO] == b"hello 3\n"
    assert packed["mongooseim/version"].decode().splitlines()[1] == commit_hash[:7]


def test_a_detached_shallow_repository_is_built_as_it_is(
    workshop: Workshop, history: Repository
) -> None:
    """A checkout of CI may have no branch at all: its HEAD does instead."""
    shallow = clone(workshop, history, "shallow", "--depth=1")
    for command in (["checkout", "--quiet", "--detach"], ["branch", "--quiet", "-D", "master"]):
        subprocess.run([tool("git"), "-C", str(shallow), *command], check=True, timeout=60)
    result = workshop.build("p", str(shallow))
    assert content(result.tarball)[HELLO] == b"hello 3\n"


def test_a_shallow_repository_that_was_completed_is_complete_in_the_cache(
    workshop: Workshop, history: Repository
) -> None:
    """The mirror gets the rest of the history, so that tags and older commits are found."""
    shallow = clone(workshop, history, "shallow", "--depth=1")
    assert workshop.build("p", str(shallow), "master").status == 0
    missing = workshop.build("p", str(shallow), history.first)
    assert missing.status == 1
    assert "it is a shallow clone: complete it with git fetch --unshallow" in missing.said[-2]
    fetch = [tool("git"), "-C", str(shallow), "fetch", "--quiet", "--unshallow", "--tags"]
    subprocess.run(fetch, check=True, timeout=60)
    result = workshop.build("p", str(shallow), "master")
    version = content(result.tarball)["mongooseim/version"].decode().splitlines()
    assert version[1].startswith("v1-2-g")
    assert workshop.build("p", str(shallow), history.first).status == 0


def test_a_partial_repository_is_completed_from_where_it_came(
    workshop: Workshop, history: Repository
) -> None:
    """A clone without old files serves them by fetching them; if it cannot, that is said."""
    partial = clone(workshop, history, "partial", "--filter=blob:none")
    assert workshop.build("p", str(partial), "master").status == 0
    shutil.rmtree(workshop.builds / ".cache")
    alone = clone(workshop, history, "alone", "--filter=blob:none")
    history.folder.rename(history.folder.with_name("away"))
    result = workshop.build("p", str(alone), "master")
    assert result.status == 1
    assert "it is a partial clone, and the files that it lacks" in result.said[-2]


def test_relative_paths_in_two_folders_are_two_repositories(workshop: Workshop) -> None:
    """The same words mean different repositories in different working directories."""
    for name in ("one", "two"):
        made = Repository(workshop.folder / name / "sample")
        made.write("hello", f"{name}\n")
        made.commit()
    for name in ("one", "two"):
        script = f'cd {name} && exec "$@"'
        result = workshop.build("p", "sample", "master", prefix=("sh", "-c", script, "sh"))
        assert result.said[0] == f"do_build: p master {workshop.folder / name / 'sample'}"
        assert content(result.tarball)[HELLO] == f"{name}\n".encode()


def test_a_reference_that_became_a_folder_is_no_obstacle(
    workshop: Workshop, repository: Repository
) -> None:
    """`refs/heads/feature` was built and is gone; `refs/heads/feature/x` is built then."""
    repository.git("branch", "feature")
    assert workshop.build("p", repository.url, "refs/heads/feature").status == 0
    repository.git("branch", "-m", "feature", "feature/x")
    assert workshop.build("p", repository.url, "refs/heads/feature/x").status == 0
    gone = workshop.build("p", repository.url, "refs/heads/feature")
    assert gone.status == 1
    assert "has no refs/heads/feature" in gone.said[-2]


def test_the_default_branch_is_built_if_nothing_was_asked_for(
    workshop: Workshop, repository: Repository
) -> None:
    """Without COMMIT and without `master`, the branch that the repository has checked out."""
    repository.git("branch", "-m", "master", "main")
    result = workshop.build("p", repository.url)
    assert f"{repository.url} has no branch master: building main, its default" in result.said
    assert result.tarball.name.startswith("mongooseim-p-main-")
    version = content(result.tarball)["mongooseim/version"].decode()
    assert version.startswith(f"p-main-{repository.url}\n")
    (path,) = (path for path in workshop.builds.glob("*.json") if path.name.count(".") == 1)
    described = json.loads(path.read_text())
    assert (described["asked_for"], described["commit"]) == ("main", repository.first)
    asked = workshop.build("p", repository.url, "master")
    assert asked.status == 1
    assert "has no branch, tag or commit master" in asked.said[-2]


def commits_that_begin_alike(repository: Repository) -> tuple[str, str]:
    """Make two commits whose hashes have the same first 7 digits; return both hashes."""
    tree = repository.git("rev-parse", "HEAD^{tree}")
    who = "Test <test@example.org> 1735689600 +0000"
    seen: dict[str, str] = {}
    for number in itertools.count():
        text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\n{number}\n"
        digest = hashlib.sha1(f"commit {len(text)}\0{text}".encode()).hexdigest()  # noqa: S324
        if digest[:7] in seen:
            break
        seen[digest[:7]] = text
    hashes = []
    for each in (seen[digest[:7]], text):
        path = repository.folder.parent / "commit"
        path.write_text(each)
        hashes.append(repository.git("hash-object", "-t", "commit", "-w", str(path)))
        repository.git("branch", f"b{len(hashes)}", hashes[-1])
    return hashes[0], hashes[1]


def test_commits_that_an_ambiguous_hash_may_mean_are_named(
    workshop: Workshop, repository: Repository
) -> None:
    """Seven digits that two commits have in common are refused, with both commits."""
    one, other = commits_that_begin_alike(repository)
    result = workshop.build("p", repository.url, one[:7])
    assert result.status == 1
    assert f"{one[:7]} is the beginning of 2 commits" in result.said[-2]
    assert one in result.said[-2]
    assert other in result.said[-2]
    assert workshop.build("p", repository.url, other).status == 0


def test_the_list_of_branches_is_not_printed(workshop: Workshop, repository: Repository) -> None:
    """A first clone of MongooseIM would print more than a thousand lines."""
    for number in range(5):
        repository.git("branch", f"branch-{number}")
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0
    assert "branch-3" not in result.output


class Family(Repository):
    """A repository with a submodule that has a submodule of its own, by relative addresses."""

    def __init__(self, folder: Path) -> None:
        """Make all three beside each other; the release has the files of the submodules."""
        super().__init__(folder)
        allow = ("-c", "protocol.file.allow=always")
        self.inner = Repository(folder.parent / "inner")
        self.middle = Repository(folder.parent / "middle")
        self.middle.git(*allow, "submodule", "--quiet", "add", "../inner", "lib/inner")
        self.middle.commit()
        # This commit is on no branch, as it happens when a branch is rebased.
        self.middle.git("checkout", "--quiet", "--detach")
        self.middle.write("hello", "middle\n")
        self.pinned = self.middle.commit()
        self.git(*allow, "submodule", "--quiet", "add", "../middle", "deps/middle")
        middle = self.folder / "deps" / "middle"
        fetch = ("fetch", "--quiet", "origin", self.pinned)
        self.middle.git("config", "uploadpack.allowAnySHA1InWant", "true")
        for command in (fetch, ("checkout", "--quiet", self.pinned)):
            self.git("-C", str(middle), *allow, *command)
        self.middle.git("checkout", "--quiet", "master")
        self.make(f"@find deps -name hello | sort | xargs cat > {RELEASE}/submodules")


@pytest.fixture
def family(workshop: Workshop) -> Family:
    """Provide a repository with submodules."""
    return Family(workshop.folder / "repositories" / "family")


@pytest.mark.parametrize("transport", ["file", "http"])
def test_submodules_are_there_as_people_expect(
    workshop: Workshop, family: Family, transport: str
) -> None:
    """Theirs too; the second build of the same commit needs no network."""
    with serving(GitServer(family.folder.parent, "me:pw4711")) as server:
        address = family.url
        if transport == "http":
            address = f"http://me:pw4711@{server.address}/family"
        first = workshop.build("p", address, "master")
        assert content(first.tarball)["mongooseim/submodules"] == b"middle\nhello\n"
        server.requests.clear()
        second = workshop.build("p", address, family.git("rev-parse", "HEAD"))
        assert content(second.tarball)["mongooseim/submodules"] == b"middle\nhello\n"
        assert server.requests == []
    assert "pw4711" not in workshop.log()


def test_submodules_can_be_left_out(workshop: Workshop, family: Family) -> None:
    """`--no-submodules` leaves empty folders."""
    result = workshop.build("--no-submodules", "p", family.url, "master")
    assert content(result.tarball)["mongooseim/submodules"] == b""


def test_a_submodule_that_cannot_be_fetched_is_named(workshop: Workshop, family: Family) -> None:
    """With its path, its address and the option that leaves it out."""
    family.inner.folder.rename(family.inner.folder.with_name("away"))
    result = workshop.build("p", family.url, "master")
    assert result.status == 1
    assert str(family.inner.folder) in result.said[-2]
    assert "it is the submodule lib/inner: --no-submodules builds without" in result.said[-2]


def test_pointers_of_git_lfs_are_said(workshop: Workshop, repository: Repository) -> None:
    """The content of such files is on another server: the build goes on with the pointers."""
    repository.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for name in ("a.bin", "b.bin", "c.bin", "d.bin"):
        repository.write(name, pointer)
    repository.write("real.bin", "whole\n")
    repository.commit()
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0
    said = next(line for line in result.said if "Git LFS" in line)
    assert said.startswith("the content of a.bin, b.bin, c.bin and 1 more is in Git LFS")
