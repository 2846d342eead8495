"""Fixtures of the builder's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import rebar_tools
from builder_tools import GitServer, Repository, Workshop, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    """Provide a place to build in."""
    made = Workshop(tmp_path)
    yield made
    made.close()


@pytest.fixture
def repository(workshop: Workshop) -> Repository:
    """Provide a repository that builds."""
    return workshop.repository()


@pytest.fixture
def server(repository: Repository) -> Iterator[GitServer]:
    """Serve the repository over http, to everybody."""
    with serving(GitServer(repository.folder.parent)) as made:
        yield made


@pytest.fixture
def site(workshop: Workshop) -> Iterator[rebar_tools.Site]:
    """Provide a project for a real rebar3, with servers of its dependencies."""
    with rebar_tools.site(workshop) as made:
        yield made
