"""What follows from what a node knows: the edges of each inference, one by one."""

from __future__ import annotations

import pytest
from knowledge_tools import FIRST, ME, OF_ME, OLD, ONE, THIRD, TWO, known

from member_entrypoint.cluster.inference import (
    announced,
    apart,
    can_be_joined,
    clears,
    cluster_of,
    has_data,
    in_between,
    is_cluster,
    is_own_data,
    outside,
    to_connect,
)
from member_entrypoint.cluster.knowledge import (
    NOBODY,
    Known,
    Marker,
    Peer,
    Record,
    State,
    founded,
    founder,
    is_younger,
    short_identity,
)


def on_disk(record: Record, identity: str = OF_ME, members: frozenset[str] | None = ONE) -> Known:
    """Return what a node knows that has a schema and a marker."""
    return Known(ME, FIRST, has_schema=True, identity=identity, members=members, record=record)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (on_disk(Record()), True),
        (on_disk(Record())._replace(has_schema=False), False),
        (on_disk(Record(Marker.STARTED, ME, OF_ME)), True),
        (on_disk(Record(Marker.STARTING, ME)), False),
        (on_disk(Record(Marker.STARTING, ME), members=None), False),
        (on_disk(Record(Marker.STARTING, ME), members=TWO), True),
        (on_disk(Record(Marker.LEFT, FIRST, OLD)), False),
        (on_disk(Record(Marker.JOINING, FIRST, OLD)), False),
        (on_disk(Record(Marker.JOINING, FIRST, OLD), OLD, TWO), True),
        (on_disk(Record(Marker.JOINING, FIRST, OLD), OLD, TWO)._replace(partial=True), False),
        (on_disk(Record(Marker.JOINING, FIRST), "", None), False),
        (on_disk(Record(Marker.LEAVING, FIRST, OLD), OLD, TWO), True),
        (on_disk(Record(Marker.LEAVING, FIRST, OLD)), False),
        (on_disk(Record(Marker.LEAVING, FIRST, OLD), ""), True),
        (on_disk(Record(Marker.LEAVING, FIRST)), True),
    ],
)
def test_a_schema_has_data_unless_it_is_known_that_nobody_has_used_it(
    what: Known, *, expected: bool
) -> None:
    """A join that was cut before the end leaves one, as does a start or a farewell."""
    assert has_data(what) is expected


@pytest.mark.parametrize(
    ("what", "target", "expected"),
    [
        (on_disk(Record(Marker.JOINING, FIRST, OLD)), None, True),
        (on_disk(Record(Marker.JOINING, FIRST, OLD)), Peer(State.UP, OLD), True),
        (on_disk(Record(Marker.JOINING, FIRST, OLD)), Peer(State.UP, OF_ME), False),
        (on_disk(Record(Marker.JOINING, FIRST)), None, False),
        (on_disk(Record(Marker.JOINING, FIRST, OLD), ""), None, False),
        (on_disk(Record(Marker.JOINING, FIRST, OLD))._replace(has_schema=False), None, False),
        (on_disk(Record(Marker.JOINED, FIRST, OLD)), None, False),
        (on_disk(Record(Marker.JOINING, FIRST, OLD), OLD), Peer(State.UP, OLD), False),
        (
            on_disk(Record(Marker.JOINING, FIRST, OLD), OLD)._replace(partial=True),
            Peer(State.UP, OLD),
            True,
        ),
        (on_disk(Record(Marker.LEFT, FIRST, OF_ME), OLD), Peer(State.UP, OLD), False),
    ],
)
def test_a_schema_is_deleted_only_if_it_is_known_whose_it_is(
    what: Known, target: Peer | None, *, expected: bool
) -> None:
    """And not the one of the cluster to join, unless tables are missing."""
    assert clears(what, target) is expected


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (on_disk(Record()), True),
        (on_disk(Record(), identity=""), True),
        (on_disk(Record(), identity=OLD), False),
        (on_disk(Record(), members=TWO), False),
        (on_disk(Record(), members=None), False),
        (on_disk(Record(Marker.STARTED, ME, OF_ME, TWO)), True),
        (on_disk(Record(Marker.JOINED, FIRST, OF_ME)), False),
        (on_disk(Record(Marker.JOINED, FIRST)), False),
        (on_disk(Record(Marker.JOINED, FIRST, OLD)), True),
        (on_disk(Record(Marker.LEAVING, FIRST, OF_ME, TWO)), False),
        (on_disk(Record(Marker.LEAVING, FIRST, OF_ME, ONE)), True),
        (on_disk(Record(Marker.LEAVING, FIRST, OLD, TWO)), True),
    ],
)
def test_data_are_its_own_if_nobody_else_was_ever_in_that_cluster(
    what: Known, *, expected: bool
) -> None:
    """As far as schema and marker know."""
    assert is_own_data(what) is expected


def up(record: Record, *members: str, identity: str = OF_ME) -> Peer:
    """Return a node that runs."""
    return Peer(State.UP, identity, frozenset(members), frozenset(members), record=record)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (up(Record(), FIRST), False),
        (up(Record(Marker.STARTED, FIRST), FIRST), False),
        (up(Record(Marker.STARTING, FIRST), FIRST), True),
        (up(Record(Marker.STARTING, FIRST), FIRST, THIRD), False),
        (up(Record(Marker.LEFT, ME), FIRST), True),
        (up(Record(Marker.LEFT, ME), FIRST, THIRD), True),
        (up(Record(Marker.JOINING, ME, OLD), FIRST), True),
        (up(Record(Marker.JOINING, ME, OLD), FIRST, ME, identity=OLD), False),
        (up(Record(Marker.LEAVING, ME, OLD), FIRST, ME, identity=OLD), False),
        (up(Record(Marker.LEAVING, ME, OLD), FIRST), True),
        (up(Record(Marker.LEAVING, ME), FIRST, identity=""), True),
    ],
)
def test_a_node_is_between_two_clusters_from_its_marker_to_its_new_identity(
    peer: Peer, *, expected: bool
) -> None:
    """A new cluster is no such place once somebody has joined it."""
    assert in_between(peer) is expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (up(Record(), FIRST, THIRD), True),
        (up(Record(Marker.STARTED, FIRST), FIRST, identity=OLD), True),
        (up(Record(), FIRST, identity=OLD), False),
        (up(Record(), FIRST, identity=""), False),
        (up(Record(), FIRST), True),
        (up(Record(Marker.JOINING, ME, OLD), FIRST, THIRD), False),
        (Peer(State.STOPPED, OLD, TWO), False),
        (Peer(State.STARTING, record=Record(Marker.JOINED, ME, OLD)), True),
    ],
)
def test_a_node_is_one_of_a_cluster_if_others_were_in_it(peer: Peer, *, expected: bool) -> None:
    """Seen of `FIRST`, which runs alone where it was told to."""
    assert is_cluster(FIRST, peer) is expected


@pytest.mark.parametrize(
    ("peer", "identity"),
    [
        (Peer(State.UP, OLD), OLD),
        (Peer(State.STOPPED, OLD), ""),
        (Peer(State.STARTING, OF_ME, record=Record(Marker.JOINED, ME, OLD)), OLD),
        (Peer(State.STARTING, record=Record(Marker.JOINING, ME, OLD)), ""),
    ],
)
def test_what_a_node_that_starts_says_is_its_marker(peer: Peer, identity: str) -> None:
    """Unless it is on its way into another cluster."""
    assert cluster_of(peer) == identity


def test_a_node_that_serves_waits_for_nobody() -> None:
    """One that starts waits for those whose end it has not noted."""
    peer = Peer(
        State.UP,
        members=frozenset({ME, FIRST, THIRD}),
        running=frozenset({FIRST}),
        downs=frozenset({THIRD}),
    )
    assert peer.awaits == NOBODY
    assert peer._replace(serves=False).awaits == {ME}


def test_an_identity_that_is_not_understood_says_nothing() -> None:
    """Neither who started the cluster nor when; such a one counts as the younger."""
    for nonsense in ("m-1}", "{{1,2,3},m-1", "X{{1700000000000000000,-1,1},m-1}X"):
        assert founder(nonsense) == ""
    assert founded("X{{1700000000000000000,-1,1},m-1}") is None
    assert founded("{{1000000000000,-1,1},m-1}") == 1_000_000_000_000
    assert is_younger("", OLD)
    assert is_younger(OLD, "")
    assert not is_younger(OLD, OLD)


def test_a_short_identity_is_eight_digits_that_differ() -> None:
    """People compare them by eye."""
    assert short_identity(OLD) == short_identity(OLD)
    assert len({short_identity(OLD), short_identity(OF_ME)}) == 2
    assert all(len(short_identity(identity)) == 8 for identity in (OLD, OF_ME, "a"))


LEFT = Record(Marker.LEFT, FIRST, OLD, frozenset({FIRST, THIRD}))
EMPTY = Peer(State.EMPTY)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (known(), State.EMPTY),
        (known(target=None), None),
        (on_disk(Record(Marker.JOINED, FIRST, OLD), OLD, TWO), None),
        (known(record=Record(Marker.LEFT, FIRST, OLD, frozenset({FIRST, ME}))), State.EMPTY),
        (known(record=LEFT), State.KNOWING),
        (known(record=LEFT, peers={THIRD: Peer(State.STOPPED)}), State.KNOWING),
        (known(record=LEFT, peers={FIRST: EMPTY}), State.KNOWING),
        (known(record=LEFT, peers={THIRD: EMPTY}), State.EMPTY),
        (known(record=LEFT, peers={THIRD: Peer(State.KNOWING)}), State.EMPTY),
    ],
)
def test_who_knows_others_that_may_have_data_does_not_say_that_it_is_empty(
    what: Known, expected: State | None
) -> None:
    """A primary that hears that from all whom it sees starts a new cluster."""
    assert announced(what) is expected


JOINS = Record(Marker.JOINING, FIRST, OLD)


def waiting(record: Record, *members: str) -> Peer:
    """Return a node whose Mnesia runs, and whose server does not: it waits for all others."""
    return up(record, *members)._replace(running=frozenset({FIRST}), serves=False)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (up(Record(), FIRST), True),
        (up(JOINS, FIRST), False),
        (up(Record(Marker.LEAVING, ME, OLD), FIRST), False),
        (waiting(Record(), FIRST), True),
        (waiting(JOINS, FIRST), False),
        (waiting(JOINS, FIRST, ME), True),
        (waiting(Record(), FIRST, ME, THIRD), False),
    ],
)
def test_one_that_joins_itself_is_not_joined(peer: Peer, *, expected: bool) -> None:
    """It has not all data yet; where it waits for this very node, it had come through."""
    assert can_be_joined(known(), peer) is expected


@pytest.mark.parametrize(
    ("first", "third", "expected"),
    [
        ({FIRST}, {THIRD}, (FIRST, THIRD)),
        ({FIRST, THIRD}, {THIRD}, ()),
        ({FIRST}, {FIRST, THIRD}, ()),
        ({FIRST, THIRD}, {FIRST, THIRD}, ()),
    ],
)
def test_members_run_apart_if_neither_lists_the_other(
    first: set[str], third: set[str], expected: tuple[str, ...]
) -> None:
    """One that lists the other has met it: for a moment, they do not agree."""
    peers = {
        node: up(Record(), FIRST, THIRD)._replace(running=frozenset(running))
        for node, running in ((FIRST, first), (THIRD, third))
    }
    members = frozenset({ME, FIRST, THIRD})
    assert apart(known(identity=OF_ME, members=members, peers=peers)) == expected


def together(*nodes: str) -> dict[str, Peer]:
    """Return what FIRST and THIRD say that run together with `nodes`."""
    running = frozenset(nodes)
    alike = up(Record(), ME, FIRST, THIRD, identity=OF_ME)
    return {node: alike._replace(running=running or frozenset({node})) for node in (FIRST, THIRD)}


@pytest.mark.parametrize(
    ("peers", "waited", "expected"),
    [
        (together(FIRST, THIRD), False, (FIRST,)),
        (together(), False, ()),
        (together(), True, ()),
        (
            {node: peer._replace(serves=False) for node, peer in together().items()},
            False,
            (FIRST,),
        ),
        (together(FIRST, THIRD) | {THIRD: Peer(State.BUSY)}, False, ()),
        (together(FIRST, THIRD) | {THIRD: Peer(State.BUSY)}, True, (FIRST,)),
        (together(FIRST, THIRD) | {THIRD: Peer(State.SILENT)}, False, (FIRST,)),
        (together(FIRST, THIRD) | {FIRST: Peer(State.STARTING)}, False, ()),
        ({FIRST: up(Record(), FIRST, identity=OLD)}, False, ()),
        ({FIRST: up(Record(), FIRST, identity="")}, False, (FIRST,)),
        ({}, False, ()),
    ],
)
def test_a_mnesia_is_connected_to_those_that_it_waits_for_and_that_run(
    peers: dict[str, Peer], expected: tuple[str, ...], *, waited: bool
) -> None:
    """Not to two that run apart, nor at once where one that is there does not say so."""
    members = frozenset({ME, FIRST, THIRD})
    what = known(identity=OF_ME, members=members, peers=peers, patience_over=waited)
    assert to_connect(what, frozenset({FIRST})) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (up(LEFT, FIRST, identity=OLD), (FIRST,)),
        (up(LEFT, FIRST, identity=""), ()),
        (up(LEFT, FIRST), ()),
        (up(Record(Marker.JOINED, ME), FIRST, THIRD, identity=OLD), ()),
        (up(LEFT, FIRST, identity=OLD)._replace(state=State.STARTING), ()),
    ],
)
def test_a_node_on_its_way_is_outside_of_our_cluster_by_its_identity(
    peer: Peer, expected: tuple[str, ...]
) -> None:
    """One whose identity is not known yet may still be in it."""
    assert outside(known(identity=OF_ME, members=TWO, peers={FIRST: peer})) == expected
    assert outside(known(identity=OF_ME, members=ONE, peers={FIRST: peer})) == ()
