"""Which side of a partition loses: the rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.cluster.knowledge import Peer, State
from member_entrypoint.cluster.partition_rule import (
    Hesitation,
    Missing,
    loses,
    no_longer_missing,
    why_missing,
)

DOWN, SILENT, APART = Missing.DOWN, Missing.SILENT, Missing.APART
BUSY, ELSEWHERE = Missing.BUSY, Missing.ELSEWHERE
where_no_restart_helps = pytest.mark.parametrize(
    ("missing", "losing"), [([], False), ([APART], False), ([DOWN, SILENT], True), ([], True)]
)
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
        # nor who starts, stops, is busy, or runs in another cluster
        ("b", "b", {"a": BUSY}, False),
        ("b", "b", {"a": ELSEWHERE, "c": BUSY, "d": Missing.REFUSES}, False),
    ],
)
def test_the_rule(node: str, running: str, missing: dict[str, Missing], expected: bool) -> None:  # noqa: FBT001
    """The table of `docs/cluster.md`, letters for nodes."""
    assert loses(node, frozenset(running), missing) is expected


@pytest.mark.parametrize(
    ("peer", "why"),
    [
        (Peer(State.ABSENT), DOWN),
        (Peer(State.STOPPED), DOWN),
        (Peer(State.EMPTY), DOWN),
        (Peer(State.STARTING), DOWN),
        (Peer(State.GOING), DOWN),
        (Peer(State.BUSY), BUSY),
        (Peer(State.REFUSES), Missing.REFUSES),
        (Peer(State.UNKNOWN), SILENT),
        (Peer(State.SILENT), SILENT),
        (Peer(State.UP, "ours", running=frozenset("ab")), SILENT),
        (Peer(State.UP, "ours", running=frozenset("b"), downs=frozenset("a")), APART),
        (Peer(State.UP, "ours", running=frozenset("b")), DOWN),
        (Peer(State.UP, "another", running=frozenset("b"), downs=frozenset("a")), ELSEWHERE),
        (Peer(State.UP, "", running=frozenset("b"), downs=frozenset("a")), APART),
    ],
)
def test_why_a_member_is_missing(peer: Peer, why: Missing) -> None:
    """Seen from the node `a`, whose cluster is `ours`."""
    assert why_missing("a", "ours", peer) is why


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


@pytest.mark.parametrize(
    ("restarts", "seconds"), [(0, 3.0), (1, 6.0), (2, 12.0), (6, 192.0), (7, 300.0), (9999, 300.0)]
)
def test_a_loser_hesitates_longer_after_each_restart(restarts: int, seconds: float) -> None:
    """Twice as long each time, up to five minutes: a restart that does not help costs the users."""
    hesitation = Hesitation(restarts)
    assert not hesitation.is_over([APART], 100.0, losing=True)
    assert not hesitation.is_over([APART], 100.0 + seconds - 0.1, losing=True)
    assert hesitation.is_over([APART], 100.0 + seconds, losing=True)


@where_no_restart_helps
def test_a_node_that_is_not_apart_for_a_moment_hesitates_anew(
    missing: list[Missing], *, losing: bool
) -> None:
    """A partition that healed does not count for the next one."""
    hesitation = Hesitation(0)
    assert not hesitation.is_over([APART], 100.0, losing=True)
    assert not hesitation.is_over(missing, 102.0, losing=losing)
    assert not hesitation.is_over([SILENT, APART], 104.0, losing=True)
    assert not hesitation.is_over([APART], 106.9, losing=True)
    assert hesitation.is_over([APART], 107.0, losing=True)


@where_no_restart_helps
def test_a_node_that_wins_or_sees_nobody_never_restarts(
    missing: list[Missing], *, losing: bool
) -> None:
    """A restart helps only a loser, and only when the other side answers."""
    hesitation = Hesitation(0)
    for now in (0.0, 1000.0, 2000.0):
        assert not hesitation.is_over(missing, now, losing=losing)
