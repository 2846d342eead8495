"""From facts to the plan: the table."""

from pathlib import Path

import pytest

from member_entrypoint.cluster.decision import (
    Facts,
    Marker,
    Plan,
    decide,
    waits_before_start,
)
from member_entrypoint.cluster.facts import read_marker, write_marker
from member_entrypoint.errors import ClusteringError
from member_entrypoint.places import Places

ME = "mongooseim@m-2"
FIRST = "mongooseim@m-1"
NONE, JOINING, JOINED = Marker.NONE, Marker.JOINING, Marker.JOINED


@pytest.mark.parametrize(
    ("target", "primary", "schema", "marker", "nodes", "discard", "plan"),
    [
        # told to run alone, or the primary: whatever is on the disk
        (None, False, False, NONE, None, False, Plan.ALONE),
        (None, False, True, NONE, None, False, Plan.ALONE),
        (None, True, False, NONE, None, False, Plan.START_CLUSTER),
        (None, True, True, JOINING, None, False, Plan.START_CLUSTER),
        (None, True, True, Marker.LEFT, None, False, Plan.START_CLUSTER),
        (None, True, True, NONE, None, False, Plan.PRIMARY),
        (None, True, True, JOINED, None, False, Plan.PRIMARY),
        # fresh
        (FIRST, False, False, NONE, None, False, Plan.JOIN),
        (FIRST, False, False, JOINED, None, False, Plan.JOIN),
        # what an unfinished join left behind is nobody's data
        (FIRST, False, True, JOINING, None, False, Plan.JOIN),
        (FIRST, False, True, JOINING, (ME,), False, Plan.JOIN),
        (FIRST, False, True, Marker.LEFT, None, False, Plan.JOIN),
        # a member
        (FIRST, False, True, JOINED, None, False, Plan.MEMBER),
        # a volume of an older image: its schema has to be read
        (FIRST, False, True, NONE, None, False, Plan.EXAMINE),
        (FIRST, False, True, NONE, None, True, Plan.EXAMINE),
        (FIRST, False, True, NONE, (ME, FIRST), False, Plan.MEMBER),
        (FIRST, False, True, NONE, (ME, "mongooseim@m-3"), True, Plan.MEMBER),
        # data of its own: never lost without being asked to
        (FIRST, False, True, NONE, (ME,), False, Plan.REFUSE),
        (FIRST, False, True, NONE, (ME,), True, Plan.JOIN),
    ],
)
def test_plans(  # noqa: PLR0913 - a row of the table
    *,
    target: str | None,
    primary: bool,
    schema: bool,
    marker: Marker,
    nodes: tuple[str, ...] | None,
    discard: bool,
    plan: Plan,
) -> None:
    """Each case has one plan."""
    assert decide(Facts(ME, target, primary, schema, marker, nodes, discard)) is plan


def test_only_what_must_be_looked_up_delays_the_vm() -> None:
    """Members, primaries that have data, and lone nodes start at once."""
    assert {plan for plan in Plan if waits_before_start(plan)} == {
        Plan.JOIN,
        Plan.START_CLUSTER,
        Plan.EXAMINE,
    }


def test_a_marker_says_what_was_written(tmp_path: Path) -> None:
    """And that of one node says nothing of another."""
    places = Places(str(tmp_path))
    Path(places.data).mkdir(parents=True)
    assert read_marker(places, ME) == (NONE, "")
    for marker in (JOINING, JOINED):
        write_marker(places, ME, marker, FIRST)
        assert read_marker(places, ME) == (marker, FIRST)
    assert read_marker(places, FIRST) == (NONE, "")


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"joined_or_so x", b"none"])
def test_a_marker_that_makes_no_sense_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """Then the schema itself is asked."""
    places = Places(str(tmp_path))
    Path(places.data).mkdir(parents=True)
    Path(places.data, f".cluster.{ME}").write_bytes(content)
    assert read_marker(places, ME)[0] is NONE


def test_a_marker_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Without it, a join that fails could not be told from people's data."""
    with pytest.raises(ClusteringError, match="cannot be written"):
        write_marker(Places(str(tmp_path)), ME, JOINING, FIRST)
