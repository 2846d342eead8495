"""What the tests with real containers share: the images, a release, and a network per test."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import base_images  # noqa: E402 - tools are scripts, found through the path
import engine  # noqa: E402
from console import one_at_a_time, run  # noqa: E402
from containers import Cluster, docker, remove_leftovers  # noqa: E402
from sources import BRANCH, SAMPLE_SERVER, make_repository  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

BUILDER_IMAGE = "mimtest-builder"
MEMBER_IMAGE = "mimtest-member"
CACHE = ROOT / ".cache"
TARBALL = ROOT / "member" / "mimtest.tar.gz"
TEST_TIMEOUT = 180
BUILD_TIMEOUT = 900
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
        return _build_image(
            BUILDER_IMAGE,
            "Dockerfile.builder",
            f"ERLANG_IMAGE={base_images.ensure(base_images.BUILDER)}",
        )


@pytest.fixture(scope="session")
def sample_tarball(builder_image: str) -> Path:
    """Build a release of the sample server, unless neither it nor the builder has changed."""
    tarballs = CACHE / "tarballs"
    image = docker("image", "inspect", "--format={{.Id}}", builder_image)
    key = hashlib.sha256(f"{image} {_digest(SAMPLE_SERVER)}".encode()).hexdigest()[:16]
    tarball = tarballs / f"{key}.tar.gz"
    with one_at_a_time():
        if not tarball.exists():
            shutil.rmtree(tarballs, ignore_errors=True)
            tarballs.mkdir(parents=True)
            source = CACHE / "source"
            make_repository(source)
            docker(
                *("run", "--rm", f"--volume={source}:/source:ro", f"--volume={tarballs}:/builds"),
                *(f"--env=TARBALL_NAME={key}", builder_image),
                *("/build.sh", "sample", "file:///source", BRANCH),
                timeout=BUILD_TIMEOUT,
            )
    return tarball


@pytest.fixture(scope="session")
def member_image(sample_tarball: Path) -> str:
    """Build the member image with the sample server in it; return its name."""
    with one_at_a_time():
        TARBALL.parent.mkdir(exist_ok=True)
        shutil.copyfile(sample_tarball, TARBALL)
        try:
            return _build_image(
                MEMBER_IMAGE,
                "Dockerfile.member",
                f"BASE_IMAGE={base_images.ensure(base_images.MEMBER)}",
                f"TARBALL={TARBALL.relative_to(ROOT)}",
            )
        finally:
            TARBALL.unlink()


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


def _build_image(tag: str, dockerfile: str, *build_args: str) -> str:
    run(
        [
            *("docker", "build", "-f", str(ROOT / dockerfile), "-t", tag),
            *(f"--build-arg={build_arg}" for build_arg in build_args),
            str(ROOT),
        ],
        what=f"the image {tag}",
        timeout=BUILD_TIMEOUT,
    )
    return tag


def _digest(folder: Path) -> str:
    """Return a hash of all files in `folder` that the builder gets."""
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"_build", ".git"})
        for name in sorted(files):
            path = Path(parent, name)
            digest.update(f"{path.relative_to(folder)} {path.stat().st_mode:o}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
