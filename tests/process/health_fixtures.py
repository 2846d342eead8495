"""Fixtures of the tests of a member's health."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from health_tools import Host, Http, Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processes import Machine
    from releases import FakeRelease


@pytest.fixture
def host(release: FakeRelease) -> Iterator[Host]:
    """Provide the surroundings of a node that is well."""
    made = Host(release)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def probe(machine: Machine, release: FakeRelease) -> Probe:
    """Provide a way to ask."""
    return Probe(machine, release)


@pytest.fixture
def web() -> Http:
    """Provide a port, and a way to ask it."""
    return Http()
