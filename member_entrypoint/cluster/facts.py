"""The facts about a node that are on its disk: its schema, its marker, schemas of other nodes."""

import os

from member_entrypoint.cluster.decision import Facts, Marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError
from member_entrypoint.files.whole import write_whole
from member_entrypoint.places import Places


def read_facts(member: Member) -> Facts:
    """Return what the settings and the disk say about a member, without reading its schema."""
    return Facts(
        node=member.node,
        target=member.role.target,
        primary=member.role.primary,
        has_schema=has_schema(member.places, member.node),
        marker=read_marker(member.places, member.node)[0],
        discard=member.settings.join_discards_data,
    )


def has_schema(places: Places, node: str) -> bool:
    """Tell whether `node` has a Mnesia schema on the disk."""
    return os.path.exists(os.path.join(places.mnesia(node), "schema.DAT"))


def other_nodes_on_disk(places: Places) -> list[str]:
    """Return the names of all nodes that have a Mnesia schema on the volume."""
    try:
        entries = sorted(os.listdir(places.data))
    except FileNotFoundError:
        return []
    nodes = [entry.removeprefix("Mnesia.") for entry in entries if entry.startswith("Mnesia.")]
    return [node for node in nodes if has_schema(places, node)]


def _marker_file(places: Places, node: str) -> str:
    return os.path.join(places.data, f".cluster.{node}")


def read_marker(places: Places, node: str) -> tuple[Marker, str]:
    """Return what the marker of `node` says, and the other node that it names.

    A marker that cannot be read, or says nothing known, counts as none.
    """
    try:
        with open(_marker_file(places, node), encoding="utf-8", errors="replace") as file:
            word, other = [*file.read(1000).split(), "", ""][:2]
    except OSError:
        return Marker.NONE, ""
    found = next((marker for marker in Marker if marker.value == word), Marker.NONE)
    return found, other


def forget_marker(places: Places, node: str) -> None:
    """Remove the marker of `node`, if there is one."""
    try:
        os.unlink(_marker_file(places, node))
    except FileNotFoundError:
        return


def write_marker(places: Places, node: str, marker: Marker, target: str) -> None:
    """Write the marker of `node`, so that it survives a power cut; raises `ClusteringError`."""
    path = _marker_file(places, node)
    try:
        write_whole(path, f"{marker.value} {target}\n".encode(), 0o644, durable=True)
    except OSError as error:
        raise ClusteringError(
            f"{path} cannot be written ({error.strerror}); make /var/lib/mongooseim writable"
        ) from None
