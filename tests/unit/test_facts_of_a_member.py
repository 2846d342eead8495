"""What settings and disk say about a member, and what is written on the disk."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from members import make_member

from member_entrypoint.cluster.facts import (
    LONGEST_MARKER,
    marker_file,
    other_nodes_on_disk,
    parse_marker,
    read_known,
    read_marker,
    refuse_data_of_another_node,
    schema_file,
    write_marker,
)
from member_entrypoint.cluster.knowledge import Known, Marker, Record
from member_entrypoint.errors import ClusteringError, ConfigurationError
from member_entrypoint.places import Places

if TYPE_CHECKING:
    from member_entrypoint.cluster.member import Member

SCHEMA = Path(__file__).parent / "schemas" / "otp25.DAT"
IDENTITY = "{{1796085092961906401,-576460752303423438,1},a1@vm}"
ME, FIRST, OTHER = "mongooseim@m-2", "mongooseim@m-1", "mongooseim@old-2"
JOINED = Record(Marker.JOINED, FIRST, IDENTITY)


def add_schema(places: Places, node: str) -> None:
    """Give `node` a schema that real Mnesia has written."""
    path = Path(schema_file(places, node))
    path.parent.mkdir()
    shutil.copy(SCHEMA, path)


@pytest.fixture
def member(tmp_path: Path) -> Member:
    """Return a member with an empty disk."""
    return make_member(tmp_path, "m-2")


def test_a_fresh_member_knows_whom_it_joins(member: Member) -> None:
    """And that there is nothing on its disk."""
    assert read_known(member, schema=True) == Known(ME, FIRST)


def test_a_member_knows_its_schema_and_its_marker(member: Member) -> None:
    """Not those of another node beside them; the schema is read where that is asked for."""
    for node in (ME, OTHER):
        add_schema(member.places, node)
    write_marker(member.places, OTHER, Record(Marker.LEFT, ME))
    write_marker(member.places, ME, JOINED)
    known = Known(ME, FIRST, has_schema=True, record=JOINED)
    assert read_known(member, schema=False) == known
    assert read_known(member, schema=True) == known._replace(
        identity=IDENTITY, members=frozenset({"a1@vm"})
    )


def test_a_member_knows_that_its_join_was_cut(tmp_path: Path) -> None:
    """By a schema that has a table of which it has no copy; nobody else's schema is looked at."""
    joining = Record(Marker.JOINING, FIRST, IDENTITY)
    lacking, whole = (make_member(tmp_path / name, "m-2") for name in ("1", "2"))
    whole.node = "a1@vm"
    for member in (lacking, whole):
        for node in ("a1@vm", ME):
            add_schema(member.places, node)
        write_marker(member.places, member.node, joining)
    assert read_known(lacking, schema=True).partial
    assert not read_known(whole, schema=True).partial
    assert not read_known(lacking, schema=False).partial


def test_a_member_knows_what_it_was_told(tmp_path: Path) -> None:
    """By JOIN_CLUSTER, JOIN_DISCARDS_DATA and NEW_CLUSTER."""
    told = {"JOIN_CLUSTER": "false", "JOIN_DISCARDS_DATA": "true", "NEW_CLUSTER": "never"}
    member = make_member(tmp_path, "m-2", **told)
    known = Known(ME, None, alone=True, discard=True, may_start=False)
    assert read_known(member, schema=True) == known


def test_a_changed_host_name_is_refused_with_both_names(member: Member) -> None:
    """The data of the old name would look lost."""
    for node in (OTHER, "mongooseim@old-1"):
        add_schema(member.places, node)
    said = f"this node is {ME}, but the volume {member.places.data} has the data of "
    with pytest.raises(ConfigurationError, match=re.escape(said)) as refusal:
        refuse_data_of_another_node(member.places, ME, "refuse")
    assert f"data of mongooseim@old-1, {OTHER}; give the container" in str(refusal.value)


@pytest.mark.parametrize(
    ("nodes", "renamed"),
    [((), "refuse"), ((OTHER,), "start-empty"), ((OTHER, ME), "refuse"), ((ME,), "start-empty")],
)
def test_a_node_that_may_start_is_not_refused(
    member: Member, nodes: tuple[str, ...], renamed: str
) -> None:
    """On an empty volume, beside its own data, or as it was told."""
    for node in nodes:
        add_schema(member.places, node)
    refuse_data_of_another_node(member.places, ME, renamed)


def test_a_volume_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Here because it is no folder."""
    places = Places(str(tmp_path))
    Path(places.data).parent.mkdir(parents=True)
    Path(places.data).write_text("")
    said = f"{places.data} cannot be read (Not a directory; "
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        other_nodes_on_disk(places)


def test_a_marker_without_a_node_names_none() -> None:
    """As a line of one word."""
    assert parse_marker(b"joined\n") == Record(Marker.JOINED, "")


def test_of_a_marker_only_the_beginning_is_read(member: Member) -> None:
    """It may be anything that grew there; a pipe is not waited for."""
    path = Path(marker_file(member.places, ME))
    path.write_bytes(b"joined x\n" + b"y" * LONGEST_MARKER + b"\ndoubt\n")
    assert read_marker(member.places, ME) == Record(Marker.JOINED, "x")
    path.unlink()
    os.mkfifo(path)
    assert read_marker(member.places, ME) == Record()


def test_a_marker_is_on_the_disk_before_the_next_step(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as fsync can tell; a note that need not survive does not wait for the disk."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_marker(member.places, ME, JOINED._replace(certain=False), durable=False)
    assert synced == []
    write_marker(member.places, ME, JOINED)
    assert synced


def test_a_marker_that_says_the_same_is_left_alone(member: Member) -> None:
    """Everybody may read it, so that `docker exec` of any user can."""
    path = Path(marker_file(member.places, ME))
    write_marker(member.places, ME, JOINED)
    before = path.stat()
    assert stat.S_IMODE(before.st_mode) == 0o644
    write_marker(member.places, ME, JOINED)
    assert path.stat() == before
    write_marker(member.places, ME, JOINED._replace(other=OTHER))
    assert read_marker(member.places, ME).other == OTHER


def test_where_a_marker_cannot_be_written_is_said(tmp_path: Path) -> None:
    """With the reason, and what to do."""
    places = Places(str(tmp_path))
    said = f"{marker_file(places, ME)} cannot be written (No such file or directory); make "
    with pytest.raises(ClusteringError, match=re.escape(said)):
        write_marker(places, ME, JOINED)
