"""What the disk says of a node, and of the other nodes whose data lie beside its own."""

from pathlib import Path

import pytest

from member_entrypoint.cluster.facts import has_schema, other_nodes_on_disk
from member_entrypoint.places import Places

NODE = "mongooseim@m-1"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return places with an empty volume."""
    made = Places(str(tmp_path))
    Path(made.data).mkdir(parents=True)
    return made


def add_schema(places: Places, node: str) -> None:
    """Put the schema of `node` on the volume."""
    Path(places.mnesia(node)).mkdir()
    Path(places.mnesia(node), "schema.DAT").touch()


def test_a_volume_that_is_not_there_has_no_nodes(tmp_path: Path) -> None:
    """As before the first start."""
    assert other_nodes_on_disk(Places(str(tmp_path))) == []


def test_nodes_with_a_schema_are_found_on_the_volume(places: Places) -> None:
    """In the order of their names."""
    add_schema(places, "mongooseim@m-2")
    add_schema(places, NODE)
    assert other_nodes_on_disk(places) == [NODE, "mongooseim@m-2"]


def test_a_mnesia_folder_without_a_schema_holds_no_node(places: Places) -> None:
    """A start that ended early leaves such a folder; there are no data in it to lose."""
    Path(places.mnesia(NODE)).mkdir()
    assert not has_schema(places, NODE)
    assert other_nodes_on_disk(places) == []
    add_schema(places, "mongooseim@m-2")
    assert other_nodes_on_disk(places) == ["mongooseim@m-2"]


def test_other_files_on_the_volume_are_no_nodes(places: Places) -> None:
    """Also one that is called like a node."""
    add_schema(places, NODE)
    Path(places.data, NODE).mkdir()
    Path(places.data, f".cluster.{NODE}").write_text("joined mongooseim@m-2\n")
    assert other_nodes_on_disk(places) == [NODE]
