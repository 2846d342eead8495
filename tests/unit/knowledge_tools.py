"""What a node knows, and what it sees of others: values for the tests of the decision."""

from __future__ import annotations

from member_entrypoint.cluster.knowledge import Known, Marker, Peer, Record, State

ME, FIRST, THIRD = "mongooseim@m-2", "mongooseim@m-1", "mongooseim@m-3"
OLD = "{{1700000000000000000,-1,1},mongooseim@m-1}"
YOUNG = "{{1800000000000000000,-1,1},mongooseim@m-1}"
OF_ME = "{{1750000000000000000,-1,1},mongooseim@m-2}"
ONE, TWO = frozenset({ME}), frozenset({ME, FIRST})


def known(**changes: object) -> Known:
    """Return what a fresh node knows that is to join `FIRST`."""
    return Known(ME, FIRST)._replace(**changes)  # type: ignore[arg-type]


def primary(**changes: object) -> Known:
    """Return what a fresh primary knows, whose others do not exist."""
    peers = {FIRST: Peer(State.ABSENT), THIRD: Peer(State.ABSENT)}
    return Known(ME, None, peers=peers)._replace(**changes)  # type: ignore[arg-type]


def with_data(**changes: object) -> Known:
    """Return what a member of the cluster `OLD` knows."""
    record = Record(Marker.JOINED, FIRST, OLD, TWO)
    return known(has_schema=True, identity=OLD, members=TWO, record=record)._replace(
        **changes  # type: ignore[arg-type]
    )


def up(identity: str, *members: str, **changes: object) -> Peer:
    """Return a node that runs in a cluster."""
    nodes = frozenset(members)
    return Peer(State.UP, identity, nodes, nodes)._replace(**changes)  # type: ignore[arg-type]
