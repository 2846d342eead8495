"""What a build finds of earlier ones: the mirrors of repositories and the packages."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from builder_tools import GitServer, Repository, Workshop, serving
from tarballs import content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANEW = "is damaged, making it anew"


@pytest.mark.parametrize("length", [40, 7])
def test_hash_that_is_in_the_cache_needs_no_network(
    workshop: Workshop, repository: Repository, server: GitServer, length: int
) -> None:
    """The second build of a commit that is named by its hash asks nobody."""
    address = f"http://{server.address}/sample"
    commit = repository.first[:length]
    first = workshop.build("p", address, commit).tarball
    server.requests.clear()
    second = workshop.build("p", address, commit).tarball
    assert server.requests == []
    assert first.read_bytes() == second.read_bytes()


def test_cache_fetches_only_what_is_new(
    workshop: Workshop, repository: Repository, server: GitServer
) -> None:
    """A branch is looked up each time, and what is in the cache is not sent again."""
    repository.write("hello", "".join(f"{number:x}" for number in range(30000)))
    repository.commit()
    address = f"http://{server.address}/sample"
    assert workshop.build("p", address, "master").status == 0
    first = server.sent
    repository.write("new", "new\n")
    commit = repository.commit()
    server.sent = 0
    result = workshop.build("p", address, "master")
    assert f"HEAD is now at {commit[:7]} one more" in result.output
    assert 0 < server.sent < first / 4


def test_branch_that_moved_back_or_was_replaced_is_followed(
    workshop: Workshop, repository: Repository
) -> None:
    """The cache follows a branch that was forced, and one that makes room for `x/y`."""
    repository.git("checkout", "--quiet", "-b", "x")
    repository.write("hello", "later\n")
    repository.commit()
    assert workshop.build("p", repository.url, "x").status == 0
    repository.git("reset", "--quiet", "--hard", "v1")
    result = workshop.build("p", repository.url, "x")
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"hello\n"
    repository.git("branch", "--quiet", "-m", "x/y")
    assert workshop.build("p", repository.url, "x/y").status == 0
    assert workshop.build("p", repository.url, "x").status == 1


def damage_objects(mirror: Path) -> None:
    """Write nonsense over every object."""
    for path in (mirror / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"nonsense")


def remove_objects(mirror: Path) -> None:
    """Remove the objects, and leave the references to them."""
    shutil.rmtree(mirror / "objects")


def damage_head(mirror: Path) -> None:
    """Empty HEAD."""
    (mirror / "HEAD").write_text("")


def damage_configuration(mirror: Path) -> None:
    """Write nonsense over the mirror's configuration."""
    (mirror / "config").write_text("[nonsense")


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (damage_objects, "master"),
        (damage_objects, "hash"),
        (remove_objects, "hash"),
        (damage_head, "master"),
        (damage_configuration, "master"),
    ],
)
def test_damaged_cache_is_made_anew(
    workshop: Workshop, repository: Repository, damage: Callable[[Path], None], name: str
) -> None:
    """Whatever is broken in the cache, the build succeeds, and says that it had to."""
    commit = repository.first if name == "hash" else name
    assert workshop.build("p", repository.url, commit).status == 0
    damage(next((workshop.builds / ".cache" / "git").glob("*.git")))
    result = workshop.build("p", repository.url, commit)
    assert result.status == 0, result.output
    if damage is not remove_objects:  # which the next fetch just brings back
        assert any(line.endswith(ANEW) for line in result.said), result.output
    again = workshop.build("p", repository.url, commit)
    assert ANEW not in again.output


def test_locks_of_a_git_that_was_killed_are_removed(
    workshop: Workshop, repository: Repository
) -> None:
    """Lock files that nobody has any more stop no fetch."""
    assert workshop.build("p", repository.url, "master").status == 0
    mirror = next((workshop.builds / ".cache" / "git").glob("*.git"))
    for name in ("packed-refs.lock", "refs/heads/master.lock", "HEAD.lock", "config.lock"):
        (mirror / name).touch()
    (mirror / "objects" / "pack" / "tmp_pack_x").touch()
    repository.commit()
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0, result.output
    assert ANEW not in result.output
    assert not (mirror / "objects" / "pack" / "tmp_pack_x").exists()


def test_cache_survives_a_network_that_is_away(workshop: Workshop, repository: Repository) -> None:
    """A fetch that fails does not cost a sound cache."""
    with serving(GitServer(repository.folder.parent)) as server:
        address = f"http://{server.address}/sample"
        assert workshop.build("p", address, "master").status == 0
    failed = workshop.build("p", address, "master")
    assert failed.status == 1
    assert ANEW not in failed.output
    assert workshop.build("p", address, repository.first).status == 0


def test_no_cache_keeps_nothing(workshop: Workshop, repository: Repository) -> None:
    """With `--no-cache` all is fetched, and nothing stays."""
    assert workshop.build("--no-cache", "p", repository.url, "master").status == 0
    assert not (workshop.builds / ".cache").exists()


def test_cache_is_not_shared_between_repositories(
    workshop: Workshop, repository: Repository
) -> None:
    """Two repositories of the same name have a mirror each."""
    other = Repository(workshop.folder / "other" / "sample")
    other.write("hello", "other\n")
    other.commit()
    assert workshop.build("p", repository.url, "master").status == 0
    result = workshop.build("p", other.url, "master")
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"other\n"


FETCH_PACKAGE = (
    '@test -e "$$REBAR_CACHE_DIR/hex/pkg" && echo package: cached || echo package: fetched',
    '@mkdir -p "$$REBAR_CACHE_DIR/hex" && echo content > "$$REBAR_CACHE_DIR/hex/pkg"',
)


def test_packages_are_fetched_once(workshop: Workshop, repository: Repository) -> None:
    """What rebar3 fetched for one build is there for the next, unless it is damaged."""
    repository.make(*FETCH_PACKAGE)
    assert "package: fetched" in workshop.build("p", repository.url, "master").lines
    assert "package: cached" in workshop.build("p", repository.url, "master").lines
    package = workshop.builds / ".cache" / "rebar3" / "hex" / "pkg"
    package.write_text("nonsense")
    damaged = workshop.build("p", repository.url, "master")
    assert "package: fetched" in damaged.lines
    assert any("hex/pkg is damaged" in line for line in damaged.said)
    assert package.read_text() == "content\n"
    assert "package: fetched" in workshop.build("p", repository.url, "master", "--no-cache").lines


def test_packages_of_a_failed_build_are_not_kept(
    workshop: Workshop, repository: Repository
) -> None:
    """A build that fails may have left half a package: the next one does without."""
    repository.make(*FETCH_PACKAGE, "@exit 1")
    assert workshop.build("p", repository.url, "master").status == 1
    assert "package: fetched" in workshop.build("p", repository.url, "master").lines


def test_own_package_cache_is_left_alone(workshop: Workshop, repository: Repository) -> None:
    """Whoever sets REBAR_CACHE_DIR has it used as it is."""
    repository.make(*FETCH_PACKAGE)
    own = workshop.folder / "own"
    for expected in ("package: fetched", "package: cached"):
        result = workshop.build("p", repository.url, "master", REBAR_CACHE_DIR=str(own))
        assert expected in result.lines
    assert (own / "hex" / "pkg").exists()
