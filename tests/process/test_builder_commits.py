"""Names of commits that mean another name in the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tarballs import content

if TYPE_CHECKING:
    from builder_tools import Repository, Workshop


@pytest.fixture
def repository(repository: Repository) -> Repository:
    """Provide a repository whose HEAD is the branch `develop`, one commit after `master`."""
    repository.git("checkout", "--quiet", "-b", "develop")
    repository.write("hello", "develop\n")
    repository.commit()
    return repository


def test_head_is_the_branch_that_the_repository_has_checked_out(
    workshop: Workshop, repository: Repository
) -> None:
    """HEAD means the repository's default branch, whatever its name, and follows its changes."""
    first = workshop.build("p", repository.url, "HEAD").tarball
    assert content(first)["mongooseim/bin/mongooseim"] == b"develop\n"
    repository.git("checkout", "--quiet", "master")
    second = workshop.build("p", repository.url, "HEAD").tarball
    assert content(second)["mongooseim/bin/mongooseim"] == b"hello\n"


def test_origin_before_a_branch_is_ignored(workshop: Workshop, repository: Repository) -> None:
    """`origin/master`, as a clone calls it, is the branch `master`."""
    result = workshop.build("p", repository.url, "origin/master")
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"hello\n"


def test_branch_whose_name_begins_with_origin_goes_first(
    workshop: Workshop, repository: Repository
) -> None:
    """A branch that is really called `origin/master` is built instead of `master`."""
    repository.git("branch", "origin/master", "develop")
    result = workshop.build("p", repository.url, "origin/master")
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"develop\n"
