"""The facts about a node that are on its disk: its schema, its marker, schemas of other nodes."""

import os

from member_entrypoint.cluster.knowledge import IN_BETWEEN, NOBODY, Known, Marker, Nodes, Record
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError, ConfigurationError
from member_entrypoint.files.whole import regular, write_whole
from member_entrypoint.places import Places
from member_entrypoint.release.sources import unusable_error

LONGEST_MARKER = 1 << 16  # bytes: some hundred members


def read_known(member: Member, *, schema: bool) -> Known:
    """Return what settings and disk say about a member; `schema`: read its schema, too.

    A member that was told to run alone, or that runs CETS, neither joins nor is joined.
    """
    identity, members = read_schema(member.places, member.node) if schema else ("", None)
    record = read_marker(member.places, member.node)
    joins = schema and record.marker is Marker.JOINING
    return Known(
        node=member.node,
        target=member.role.target,
        alone=member.is_alone,
        has_schema=has_schema(member.places, member.node),
        identity=identity,
        members=members,
        record=record,
        partial=joins and lacks_tables(member.places, member.node),
        discard=member.settings.join_discards_data,
        may_start=member.settings.new_cluster == "auto",
    )


def has_schema(places: Places, node: str) -> bool:
    """Tell whether `node` has a Mnesia schema on the disk."""
    return os.path.exists(schema_file(places, node))


def schema_file(places: Places, node: str) -> str:
    """Return the path of the schema of `node`."""
    return os.path.join(places.mnesia(node), "schema.DAT")


def read_schema(places: Places, node: str) -> tuple[str, Nodes | None]:
    """Return identity and members of the cluster from the schema on the disk, in a millisecond.

    They are empty and None where there is none, or where it cannot be understood: then a VM can.
    """
    from member_entrypoint.erlang import dets, rpc
    from member_entrypoint.terms import TermError

    try:
        return rpc.read_schema(dets.read(schema_file(places, node)))
    except (OSError, TermError, LookupError, TypeError):
        return "", None


def lacks_tables(places: Places, node: str) -> bool:
    """Tell whether the schema on the disk has tables of which `node` has no copy.

    A join gets the whole schema at first, then a copy of each table, which is in the schema when it
    is on the disk (`mnesia_schema:prepare_op/3` of `add_table_copy`).
    """
    from member_entrypoint.erlang import dets, rpc
    from member_entrypoint.terms import TermError

    try:
        return node not in rpc.holders_of_all(dets.read(schema_file(places, node)))
    except (OSError, TermError, LookupError, TypeError):
        return False


def other_nodes_on_disk(places: Places) -> list[str]:
    """Return the names of all nodes that have a Mnesia schema on the volume.

    Raises `ConfigurationError` where this user may not know.
    """
    try:
        entries = sorted(os.listdir(places.data))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unusable_error(places.data, "read", error) from None
    nodes = [entry.removeprefix("Mnesia.") for entry in entries if entry.startswith("Mnesia.")]
    return [node for node in nodes if has_schema(places, node)]


def refuse_data_of_another_node(places: Places, node: str, node_renamed: str) -> None:
    """Refuse to start empty beside the data of another node name, unless told to.

    This is how a changed host name shows. `node_renamed` is what NODE_RENAMED says. Raises
    `ConfigurationError` that names both.
    """
    if node_renamed != "refuse" or has_schema(places, node):
        return
    others = other_nodes_on_disk(places)
    if others:
        raise ConfigurationError(
            f"this node is {node}, but the volume {places.data} has the data of "
            f"{', '.join(others)}; give the container its old host name, or set NODE_NAME and "
            "NODE_HOST, or give it another volume, or set NODE_RENAMED=start-empty to start "
            "without these data"
        )


def marker_file(places: Places, node: str) -> str:
    """Return the path of the marker of `node`; the same on each member."""
    return os.path.join(places.data, f".cluster.{node}")


def read_marker(places: Places, node: str) -> Record:
    """Return what the marker of `node` says; one that makes no sense says nothing."""
    try:
        with open(marker_file(places, node), "rb", opener=regular) as file:
            return parse_marker(file.read(LONGEST_MARKER))
    except OSError:
        return Record()


def parse_marker(content: bytes) -> Record:
    """Return what a marker says.

    Its first line is the word and the other node, all that older images write and read. Lines of a
    name and a value follow: `identity`, `members`, `doubt`.
    """
    first, *rest = content.decode(errors="replace").splitlines() or [""]
    word, other = [*first.split(), "", ""][:2]
    marker = next((known for known in Marker if known.value == word), Marker.NONE)
    if marker is Marker.NONE:
        return Record()
    lines = {name: value for name, _, value in (line.partition(" ") for line in rest)}
    members = frozenset(lines["members"].split(",")) if lines.get("members") else NOBODY
    return Record(marker, other, lines.get("identity", ""), members, "doubt" not in lines)


def written_marker(record: Record) -> bytes:
    """Return the content of a marker that says `record`."""
    lines = [f"{record.marker.value} {record.other}"]
    if record.identity:
        lines.append(f"identity {record.identity}")
    if record.members:
        lines.append(f"members {','.join(sorted(record.members))}")
    if not record.certain:
        lines.append("doubt")
    return ("\n".join(lines) + "\n").encode()


def forget_marker(places: Places, node: str) -> None:
    """Remove the marker of `node`, if there is one."""
    try:
        os.unlink(marker_file(places, node))
    except FileNotFoundError:
        return


def forget_unfinished(places: Places, node: str, record: Record) -> None:
    """Forget a join or a farewell that was begun: this node runs alone now, with its own data."""
    if record.marker in IN_BETWEEN:
        forget_marker(places, node)


def write_marker(places: Places, node: str, record: Record, *, durable: bool = True) -> None:
    """Write the marker of `node`; `durable`: so that it survives a power cut.

    One that says the same already is left alone. Raises `ClusteringError`.
    """
    if read_marker(places, node) == record:
        return
    path = marker_file(places, node)
    try:
        write_whole(path, written_marker(record), 0o644, durable=durable)
    except OSError as error:
        raise ClusteringError(
            f"{path} cannot be written ({error.strerror}); make /var/lib/mongooseim writable"
        ) from None
