"""Fixtures of the tests with hosts: network namespaces with real nodes of the sample server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hosts import Carrier, Host, build_sample, hosts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a release of the sample server."""
    return build_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def two(tmp_path: Path, sample: Path) -> Iterator[list[Host]]:
    """Provide two hosts with plain nodes."""
    with hosts(tmp_path, sample, Carrier()) as made:
        yield made


@pytest.fixture
def one(tmp_path: Path, sample: Path) -> Iterator[Host]:
    """Provide one host with a plain node."""
    with hosts(tmp_path, sample, Carrier(), 1) as [made]:
        yield made
