"""Every sequence of events for two and three nodes, to a depth: what must hold is never broken."""

from __future__ import annotations

import pytest
from brain import Real
from scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_sequence_breaks_what_must_hold(name: str) -> None:
    """One cluster, nothing lost, nobody waits for ever, no flapping; see docs/cluster.md."""
    found = SCENARIOS[name].search(Real())
    assert not found.wrong, str(found)
    assert found.states > 50
