"""What the tests with real containers share: the images, a release, and a network per test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import base_images
import engine
import images
import pytest
from builder_site import builder, git_server_image, repository, site
from console import ROOT, one_at_a_time
from containers import Cluster, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["builder", "git_server_image", "repository", "site"]

BUILDER_IMAGE = "mimtest-builder"
MEMBER_IMAGE = "mimtest-member"
CACHE = ROOT / ".cache"
TEST_TIMEOUT = 180
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of a test, and not that of the images which the first one waits for."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker(
            "timeout"
        ):
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for the fixture that prints the logs then."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Provide an engine that answers, without leftovers of killed runs."""
    if engine.version() is None:
        pytest.fail("no Docker engine answers: python3 tools/setup.py engine", pytrace=False)
    remove_leftovers()


@pytest.fixture(scope="session")
def builder_image(docker_engine: None) -> str:  # noqa: ARG001 - for its effect
    """Build the builder image from the sources as they are; return its name."""
    with one_at_a_time():
        return images.builder_image(BUILDER_IMAGE)


@pytest.fixture(scope="session")
def sample_tarball(builder_image: str) -> Path:
    """Build a release of the sample server, unless neither it nor the builder has changed."""
    with one_at_a_time():
        return images.sample_release(builder_image, CACHE)


@pytest.fixture(scope="session")
def member_image(sample_tarball: Path) -> str:
    """Build the member image with the sample server in it; return its name."""
    with one_at_a_time():
        base = base_images.ensure(base_images.MEMBER)
        return images.member_image(MEMBER_IMAGE, base, sample_tarball)


@pytest.fixture
def cluster(member_image: str, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Make a network of its own to run members in; all is removed at the end.

    When the test fails, the logs of its containers are printed.
    """
    made = Cluster(member_image)
    try:
        yield made
    finally:
        if request.node.stash.get(FAILED, False):
            for container in made.containers:
                print(f"---- log of {container.name} ({container.host})\n{container.logs()}")  # noqa: T201
        made.remove()
