"""What is said about a decision: clusters by name, the ways out, nothing that deletes silently."""

import pytest

from member_entrypoint.cluster import words
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.knowledge import Known, Marker, Peer, Phase, Record, State
from member_entrypoint.errors import ClusteringError, RemovedError

ME, FIRST = "mongooseim@m-2", "mongooseim@m-1"
OURS = "{{1795600609292389538,-576460752303423342,1},mongooseim@m-1}"
THEIRS = "{{1795700609292389538,-576460752303423342,1},mongooseim@m-1}"
TWO = frozenset({ME, FIRST})
MEMBER = Known(
    ME,
    FIRST,
    has_schema=True,
    identity=OURS,
    members=TWO,
    record=Record(Marker.JOINED, FIRST, OURS, TWO),
    phase=Phase.BESIDE,
)


def refusal(known: Known) -> str:
    """Return the text of the error of a node that does not go on."""
    return str(words.refusal(known, decide(known), 300.0))


def test_two_clusters_are_named_with_all_that_is_known() -> None:
    """When each was started and by whom, its members, and both ways out."""
    peer = Peer(State.UP, THEIRS, frozenset({FIRST}), frozenset({FIRST}))
    known = MEMBER._replace(peers={FIRST: peer})
    said = refusal(known)
    assert said.startswith(f"Failed clustering {ME} with {FIRST}: this node's cluster is the one")
    for part in (
        "that mongooseim@m-1 started at 2026-11-25T",
        f"(identity {OURS}), with 2 members: {FIRST}, {ME}",
        f"{FIRST} runs in another one: ",
        f"(identity {THEIRS}), with 1 member: {FIRST}",
        "to keep this node's cluster, stop mongooseim@m-1",
        "to keep the other one",
        "loses its data",
    ):
        assert part in said
    assert isinstance(words.refusal(known, decide(known), 1.0), RemovedError)


@pytest.mark.parametrize(
    "known",
    [
        MEMBER._replace(peers={FIRST: Peer(State.UP, OURS, frozenset({FIRST}))}),
        MEMBER._replace(
            members=frozenset({ME}), peers={FIRST: Peer(State.UP, OURS, frozenset({FIRST}))}
        ),
        Known(
            ME, FIRST, has_schema=True, identity="{{1,2,3},mongooseim@m-2}", members=frozenset({ME})
        ),
        Known(ME, None, peers={FIRST: Peer(State.SILENT)}, time_over=True),
        Known(ME, None, record=Record(Marker.LEFT, FIRST, OURS, TWO), peers={}, time_over=True),
        Known(ME, None, may_start=False, peers={}, time_over=True),
    ],
)
def test_no_message_advises_what_deletes_data_without_saying_so(known: Known) -> None:
    """An empty volume is no way out; where a way loses data, that is said."""
    said = refusal(known)
    assert "empty volume" not in said
    if "JOIN_DISCARDS_DATA=true" in said:
        assert "lose" in said or "delete" in said


def test_what_was_seen_of_the_awaited_node_is_said() -> None:
    """The cause, as it was seen, while it waits and when it gives up."""
    why = f"{FIRST} refuses the connection: is its cookie the same"
    known = Known(ME, FIRST, peers={FIRST: Peer(State.REFUSES, why=why)})
    assert words.waits(known, decide(known)) == (f"waiting for {FIRST}", why)
    error = words.refusal(known, decide(known._replace(time_over=True)), 300.0)
    assert why in str(error)
    assert "JOIN_TIMEOUT (300 s)" in str(error)
    assert type(error) is ClusteringError


def test_a_node_that_must_not_meet_others_says_whom_and_what_ends_that() -> None:
    """One that has left and runs still; those that run apart; while it waits, and at the end."""
    third = "mongooseim@m-3"
    gone = Record(Marker.LEFT, ME, OURS, frozenset({ME}))
    has_left = Peer(State.UP, THEIRS, frozenset({FIRST}), frozenset({FIRST}), record=gone)
    members = frozenset({ME, FIRST, third})
    alone = {
        node: Peer(State.UP, OURS, members, frozenset({node}), members - {node})
        for node in (FIRST, third)
    }
    before = MEMBER._replace(phase=Phase.BEFORE, again=True, members=members)
    for found, awaited, way_out in (
        ({FIRST: has_left}, f"waiting until {FIRST} stops, or joins", "stop it, or start it anew"),
        (alone, f"waiting until {FIRST}, {third} run together", "start those anew that are not"),
    ):
        known = before._replace(peers=found)
        text, reason = words.waits(known, decide(known))
        assert text == awaited
        assert way_out in reason
        assert reason in refusal(known._replace(time_over=True))


def test_a_cluster_of_which_nothing_is_known_is_named_all_the_same() -> None:
    """An identity that is not understood is shown as it is."""
    assert words.cluster("", frozenset()) == "the one (identity not known)"
    assert words.cluster("{x,y}", frozenset({ME})).startswith(
        "the one (identity {x,y}), with 1 member"
    )
