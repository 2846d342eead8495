"""How many questions a cluster costs that is formed member by member: of names, epmds and nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from counted_network import form

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATES = 9
"""Of the ten ordinals that a primary tries, those that are not its own."""


@pytest.mark.parametrize("size", [2, 10, 30, 100])
def test_a_member_asks_each_other_one_once_at_most(size: int, tmp_path: Path) -> None:
    """Whether it is reached, that is; it talks to the node that it joins, and to no other."""
    first, *others = form(tmp_path, size)
    assert first == {"DNS": CANDIDATES + 1}
    for running, cost in enumerate(others, 1):
        assert cost["RPC"] == 2
        assert cost["epmd"] == cost["DNS"] == running + 1
