"""Which side of a partition loses: the rule."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.cluster.knowledge import Peer, State
from member_entrypoint.cluster.partition_rule import (
    Hesitation,
    Missing,
    Reunion,
    Tie,
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
        (Peer(State.UP, "ours", frozenset("ab"), frozenset("b")), APART),
        (Peer(State.UP, "ours", frozenset("ab"), frozenset("b"), serves=False), DOWN),
        (
            Peer(State.UP, "ours", frozenset("ab"), frozenset("b"), frozenset("a"), serves=False),
            APART,
        ),
        (Peer(State.UP, "another", running=frozenset("b"), downs=frozenset("a")), ELSEWHERE),
        (Peer(State.UP, "", running=frozenset("b"), downs=frozenset("a")), APART),
    ],
)
def test_why_a_member_is_missing(peer: Peer, why: Missing) -> None:
    """Seen from the node `a`, whose cluster is `ours`."""
    assert why_missing("a", "ours", peer) is why


def runs_with(side: frozenset[str], members: Iterable[str] = NODES) -> Peer:
    """Return what a member says that runs together with those of its side."""
    return Peer(State.UP, "ours", frozenset(members), side)


def test_who_was_removed_while_it_was_cut_off_loses() -> None:
    """Though its side is as large, or larger: those that went on know nothing of it."""
    for here in ("a", "ab"):
        seen = {"c": runs_with(frozenset("c"), "c")}
        assert loses("a", frozenset(here), {"c": APART}, seen)
    assert not loses("a", frozenset("a"), {"c": APART}, {"c": runs_with(frozenset("c"), "ac")})


def test_who_joined_while_another_one_was_cut_off_is_on_the_side_that_it_joined() -> None:
    """The other one does not list it, but those whom it joined."""
    assert not loses("c", frozenset("bc"), {"a": APART}, {"a": runs_with(frozenset("a"), "ab")})


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


@given(st.lists(st.integers(0, 3), min_size=len(NODES), max_size=len(NODES)), st.integers(0, 3))
def test_of_many_sides_one_wins(parts: list[int], cut_off: int) -> None:
    """Just one if all answer each other; none or one if the part `cut_off` answers nobody."""
    sides = [frozenset(n for n, p in zip(NODES, parts, strict=True) if p == k) for k in range(4)]
    for silent in (frozenset[str](), sides[cut_off]):
        winners = set()
        for here in filter(None, sides):
            answer = frozenset() if here == silent else frozenset(NODES) - here - silent
            missing = {n: APART if n in answer else SILENT for n in set(NODES) - here}
            seen = {n: runs_with(side) for side in sides for n in side & answer}
            said = {loses(node, here, missing, seen) for node in here}
            assert len(said) == 1
            if said == {False}:
                winners.add(here)
        assert len(winners) <= 1
        assert silent or winners == {
            max(filter(None, sides), key=lambda s: (len(s), [-ord(c) for c in min(s)]))
        }


@given(
    st.lists(st.integers(0, 2), min_size=len(NODES), max_size=len(NODES)),
    st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES))),
)
def test_no_two_sides_win_where_some_are_silent_to_some(
    parts: list[int], cut: set[tuple[str, str]]
) -> None:
    """Who answers tells of those that it runs with, whether these answer or not."""
    sides = [frozenset(n for n, p in zip(NODES, parts, strict=True) if p == k) for k in range(3)]
    winners = set()
    for here in filter(None, sides):
        for node in here:
            missing = {n: SILENT if (node, n) in cut else APART for n in set(NODES) - here}
            seen = {n: runs_with(s) for s in sides for n in s if missing.get(n) is APART}
            if not loses(node, here, missing, seen):
                winners.add(here)
    assert len(winners) <= 1


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


def ties(nodes: str, life: int = 1, link: int = 1) -> dict[str, Tie]:
    """Return the ties of some members, all alike."""
    return {node: Tie(life, link) for node in nodes}


def whole_cluster() -> Reunion:
    """Return what a node `a` knows that has seen the others run, each in its first life."""
    made = Reunion()
    made.update(frozenset("abcd"), ties("bcd"), whole=True)
    return made


def test_a_member_that_comes_back_without_a_start_is_not_merged() -> None:
    """`b` was lost, and is back in the same life: until it starts, or `a` does."""
    reunion = whole_cluster()
    reunion.update(frozenset("acd"), ties("cd"), whole=False)
    assert reunion.unmerged == frozenset()
    for seen in ({**ties("cd"), **ties("b", link=2)}, {}):  # at last nobody could be asked
        reunion.update(frozenset("abcd"), seen, whole=True)
        assert reunion.unmerged == {"b"}
    reunion.update(frozenset("acd"), ties("cd"), whole=False)
    assert reunion.unmerged == frozenset()
    reunion.update(frozenset("abcd"), {**ties("cd"), **ties("b", link=2)}, whole=True)
    assert reunion.unmerged == {"b"}
    reunion.update(frozenset("abcd"), {**ties("cd"), **ties("b", life=2, link=3)}, whole=True)
    assert reunion.unmerged == frozenset()


def test_a_member_that_has_started_anew_is_merged() -> None:
    """It has another life then, and another connection."""
    reunion = whole_cluster()
    reunion.update(frozenset("acd"), ties("cd"), whole=False)
    for _ in range(2):
        reunion.update(frozenset("abcd"), {**ties("cd"), **ties("b", life=2, link=2)}, whole=True)
        assert reunion.unmerged == frozenset()
        assert reunion.together(frozenset("abcd")) == frozenset("abcd")


def test_a_member_that_was_removed_is_known_no_more() -> None:
    """It takes the data of the others when it joins again, in the same life."""
    reunion = whole_cluster()
    reunion.forget("cd")
    reunion.update(frozenset("abcd"), {**ties("cd"), **ties("b", link=2)}, whole=True)
    assert reunion.unmerged == frozenset()


def test_of_the_others_it_is_known_still() -> None:
    """Who is no member yet is nobody to forget."""
    reunion = whole_cluster()
    reunion.forget("cde")
    reunion.update(frozenset("abcd"), {**ties("d"), **ties("c", link=2)}, whole=True)
    assert reunion.unmerged == {"c"}


def test_who_starts_in_a_cluster_that_did_not_part_is_on_its_side() -> None:
    """While another member is missing for any other reason."""
    reunion = whole_cluster()
    reunion.update(frozenset("abc"), {**ties("c"), **ties("b", life=2, link=2)}, whole=False)
    assert reunion.together(frozenset("abc")) == frozenset("abc")


@pytest.mark.parametrize("node", ["a", "b", "c", "d"])
def test_who_has_started_between_two_sides_counts_for_neither(node: str) -> None:
    """`e` starts, and brings `a`, `b` together with `c`, `d`: the side without `a` loses."""
    here, there = ("ab", "cd") if node in "ab" else ("cd", "ab")
    mine = here.replace(node, "")
    reunion = Reunion()
    reunion.update(frozenset("abcde"), ties(f"{mine}{there}e"), whole=True)
    reunion.update(frozenset(here), ties(mine), whole=False)
    seen = {**ties(mine), **ties(there, link=2), **ties("e", life=2, link=2)}
    for _ in range(2):
        reunion.update(frozenset("abcde"), seen, whole=True)
        assert reunion.unmerged == frozenset(there)
        missing = dict.fromkeys(reunion.unmerged, Missing.UNMERGED)
        loses_now = loses(node, reunion.together(frozenset("abcde")), missing)
        assert loses_now == (node in "cd")


def test_a_loser_that_is_not_merged_starts_anew() -> None:
    """As one that runs apart does."""
    hesitation = Hesitation(0)
    assert not hesitation.is_over([Missing.UNMERGED], 100.0, losing=True)
    assert hesitation.is_over([APART, Missing.UNMERGED], 104.0, losing=True)
