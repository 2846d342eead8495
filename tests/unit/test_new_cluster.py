"""When a primary with an empty disk joins others, waits for them, or starts a new cluster."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from members import make_member

from member_entrypoint.cluster.decision import Marker
from member_entrypoint.cluster.facts import write_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.new_cluster import find_existing_cluster
from member_entrypoint.cluster.peers import State
from member_entrypoint.errors import ClusteringError

SECOND, THIRD = "mongooseim@m-2", "mongooseim@m-3"
FAR = 60.0


class Others:
    """What the other nodes are each time that all of them are asked; those not named are absent.

    Fails when they are asked once more than there are answers. They are asked by several threads,
    each node by one at a time.
    """

    def __init__(self, rounds: Sequence[Mapping[str, State]]) -> None:
        """Take the answers of each round."""
        self._rounds = rounds
        self._asked: Counter[str] = Counter()

    def __call__(self, member: Member, node: str) -> State:
        """Answer what `node` is to `member`."""
        assert node != member.node
        answers = self._rounds[self._asked[node]]
        self._asked[node] += 1
        return answers.get(node, State.ABSENT)


@pytest.fixture
def primary(tmp_path: Path) -> Member:
    """Return a primary with an empty disk."""
    return make_member(tmp_path, "m-1", JOIN_TIMEOUT="60")


def find(primary: Member, *rounds: Mapping[str, State], timeout: float = FAR) -> str | None:
    """Look for the cluster of `primary` among others that give these answers, one after another."""
    return find_existing_cluster(primary, time.monotonic() + timeout, Others(rounds))


@pytest.mark.parametrize("state", [State.ABSENT, State.EMPTY, State.ALONE])
def test_a_primary_that_no_other_node_can_have_data_for_starts_a_cluster(
    primary: Member, state: State
) -> None:
    """At once: the others do not exist, have empty disks, or run alone."""
    assert find(primary, {SECOND: state}) is None


def test_a_primary_joins_a_node_that_runs_in_a_cluster(primary: Member) -> None:
    """Whatever the others are."""
    assert find(primary, {SECOND: State.SILENT, THIRD: State.UP}) == THIRD


@pytest.mark.parametrize("state", [State.SILENT, State.STOPPED, State.STARTING])
def test_a_primary_waits_for_a_node_that_may_have_data(primary: Member, state: State) -> None:
    """Until it runs, and then joins it."""
    assert find(primary, {SECOND: state}, {SECOND: State.UP}) == SECOND


@pytest.mark.parametrize("state", [State.SILENT, State.STOPPED, State.STARTING])
def test_a_primary_that_waited_in_vain_starts_no_cluster(primary: Member, state: State) -> None:
    """The error names the nodes that it waited for."""
    with pytest.raises(ClusteringError, match=f"with {SECOND}: this primary has no data"):
        find(primary, {SECOND: state}, timeout=0.0)


def test_a_primary_waits_for_a_dns_that_does_not_answer_at_first(primary: Member) -> None:
    """The names of the others may exist."""
    assert find(primary, {SECOND: State.UNKNOWN}, {SECOND: State.UP}) == SECOND


def test_a_primary_goes_on_with_a_join_that_it_had_begun(primary: Member) -> None:
    """The node that its marker names is its cluster, even if nobody else is left of it."""
    write_marker(primary.places, primary.node, Marker.JOINING, SECOND)
    assert find(primary, {SECOND: State.ALONE, THIRD: State.ALONE}) == SECOND
    assert find(primary, {THIRD: State.ALONE}) is None


@pytest.mark.parametrize("marker", [Marker.JOINED, Marker.LEFT])
def test_a_node_that_a_finished_join_names_is_not_joined_when_it_runs_alone(
    primary: Member, marker: Marker
) -> None:
    """Only a join that was begun and not finished binds a primary to a lone node."""
    write_marker(primary.places, primary.node, marker, SECOND)
    assert find(primary, {SECOND: State.ALONE}) is None
