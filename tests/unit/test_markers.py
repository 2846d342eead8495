"""What the marker beside the data says, also in the form of older images."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.cluster.facts import (
    forget_unfinished,
    parse_marker,
    read_marker,
    write_marker,
    written_marker,
)
from member_entrypoint.cluster.knowledge import Marker, Record
from member_entrypoint.errors import ClusteringError
from member_entrypoint.places import Places

ME, FIRST = "mongooseim@m-2", "mongooseim@m-1"
IDENTITY = "{{1700000000000000000,-1,1},mongooseim@m-1}"
NAMES = st.sampled_from([ME, FIRST])
RECORDS = st.builds(
    Record,
    st.sampled_from([marker for marker in Marker if marker is not Marker.NONE]),
    NAMES,
    st.sampled_from(["", IDENTITY]),
    st.frozensets(NAMES),
    st.booleans(),
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return places with an empty volume."""
    made = Places(str(tmp_path))
    Path(made.data).mkdir(parents=True)
    return made


@given(RECORDS)
def test_a_marker_says_what_was_written(record: Record) -> None:
    """And its first line is what older images read and write."""
    content = written_marker(record)
    assert parse_marker(content) == record
    assert content.splitlines()[0].decode().split() == [record.marker.value, record.other]


@pytest.mark.parametrize(
    ("content", "record"),
    [
        (b"joined mongooseim@m-1\n", Record(Marker.JOINED, FIRST)),
        (b"joining mongooseim@m-1\n", Record(Marker.JOINING, FIRST)),
        (b"left cluster\n", Record(Marker.LEFT, "cluster")),
        (b"", Record()),
        (b"\xff\xff", Record()),
        (b"joined_or_so x", Record()),
        (b"none x", Record()),
        (b"joined x\nunknown line\nmembers\n", Record(Marker.JOINED, "x")),
    ],
)
def test_old_and_strange_markers_are_understood(content: bytes, record: Record) -> None:
    """What makes no sense counts as none; then the schema itself is read."""
    assert parse_marker(content) == record


def test_a_marker_of_one_node_says_nothing_of_another(places: Places) -> None:
    """Each has its own file."""
    assert read_marker(places, ME) == Record()
    write_marker(places, ME, Record(Marker.JOINED, FIRST, IDENTITY))
    assert read_marker(places, ME) == Record(Marker.JOINED, FIRST, IDENTITY)
    assert read_marker(places, FIRST) == Record()


@pytest.mark.parametrize("marker", [Marker.JOINING, Marker.LEFT, Marker.LEAVING, Marker.STARTING])
def test_what_was_begun_is_forgotten_by_a_node_that_runs_alone(
    places: Places, marker: Marker
) -> None:
    """Its data are its own from then on, and are not taken for what a cut join has left."""
    record = Record(marker, FIRST)
    write_marker(places, ME, record)
    forget_unfinished(places, ME, record)
    assert read_marker(places, ME) == Record()


def test_a_finished_join_is_not_forgotten(places: Places) -> None:
    """A member that runs alone for once is a member still."""
    record = Record(Marker.JOINED, FIRST)
    write_marker(places, ME, record)
    forget_unfinished(places, ME, record)
    assert read_marker(places, ME) == record


def test_a_marker_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Without it, a join that fails could not be told from people's data."""
    with pytest.raises(ClusteringError, match="cannot be written"):
        write_marker(Places(str(tmp_path)), ME, Record(Marker.JOINING, FIRST))
