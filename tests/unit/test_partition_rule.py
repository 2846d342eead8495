"""Which side of a partition loses: the rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.cluster.partition_rule import Missing, loses, no_longer_missing

DOWN, SILENT, APART = Missing.DOWN, Missing.SILENT, Missing.APART
NODES = [f"mongooseim@m-{number}" for number in range(1, 8)]


@pytest.mark.parametrize(
    ("node", "running", "missing", "expected"),
    [
        ("b", "b", {}, False),
        ("b", "b", {"a": DOWN}, False),
        ("c", "c", {"a": DOWN, "b": DOWN}, False),
        # of two that are equal, the one with the first name wins
        ("a", "a", {"b": SILENT}, False),
        ("b", "b", {"a": SILENT}, True),
        ("b", "b", {"a": APART}, True),
        ("b", "bc", {"a": APART, "d": SILENT}, True),
        ("a", "ad", {"b": APART, "c": APART}, False),
        # the smaller one loses
        ("a", "a", {"b": SILENT, "c": SILENT}, True),
        ("b", "bc", {"a": SILENT}, False),
        # who is down counts for neither
        ("b", "b", {"a": DOWN, "c": SILENT}, False),
        ("c", "c", {"a": DOWN, "b": SILENT}, True),
        ("a", "a", {"b": APART, "c": DOWN, "d": DOWN}, False),
    ],
)
def test_the_rule(node: str, running: str, missing: dict[str, Missing], expected: bool) -> None:  # noqa: FBT001
    """The table of `docs/cluster.md`, letters for nodes."""
    assert loses(node, frozenset(running), missing) is expected


@given(st.sets(st.sampled_from(NODES), min_size=1, max_size=len(NODES) - 1))
def test_of_two_sides_just_one_loses(side: set[str]) -> None:
    """All nodes of a side agree, and the sides agree on who has lost."""
    sides = frozenset(side), frozenset(NODES) - side
    verdicts = []
    for here, there in (sides, sides[::-1]):
        missing = dict.fromkeys(there, SILENT)
        said = {loses(node, here, missing) for node in here}
        assert len(said) == 1
        verdicts.append(said.pop())
    assert sorted(verdicts) == [False, True]


def test_a_member_that_was_removed_is_not_said_to_be_back() -> None:
    """It is missing no longer in both cases."""
    assert no_longer_missing("a", "b", frozenset("ab")) == "a and b run together again"
    assert no_longer_missing("a", "b", frozenset("a")) == "b is no member of the cluster any more"
