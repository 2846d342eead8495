"""What is to be done? The facts about a node, the plan that follows from them, and its marker."""

import os
from enum import Enum
from typing import NamedTuple

from member_entrypoint.errors import ClusteringError
from member_entrypoint.release.active import Places


class Marker(Enum):
    """What our file beside the Mnesia folder says about the schema in it."""

    NONE = "none"
    JOINING = "joining"
    JOINED = "joined"
    LEFT = "left"


class Facts(NamedTuple):
    """What is known of a node before its VM runs.

    `target` is the node to join, None for a node that joins nobody. `schema_nodes` are the members
    that the node's own schema lists, None where they are not known (yet).
    """

    node: str
    target: str | None
    primary: bool
    has_schema: bool
    marker: Marker
    schema_nodes: tuple[str, ...] | None = None
    discard: bool = False


class Plan(Enum):
    """What a node does about its cluster."""

    ALONE = "run alone"
    FOUND = "found a cluster, unless there is one already"
    PRIMARY = "run as the one that others join"
    MEMBER = "run as the member that it is"
    JOIN = "join the cluster"
    EXAMINE = "read the schema on the disk, then decide"
    REFUSE = "not join, since data of its own would be lost"


def decide(facts: Facts) -> Plan:  # noqa: PLR0911 - a line for each case
    """Return the plan for `facts`: a pure function, whose table of cases is its test.

    Source: the contract, "Who is the primary, who joins, who runs".
    """
    if facts.target is None and not facts.primary:
        return Plan.ALONE
    if not facts.has_schema or facts.marker in {Marker.JOINING, Marker.LEFT}:
        return Plan.FOUND if facts.target is None else Plan.JOIN
    if facts.target is None:
        return Plan.PRIMARY
    if facts.marker is Marker.JOINED:
        return Plan.MEMBER
    if facts.schema_nodes is None:
        return Plan.EXAMINE
    if len(facts.schema_nodes) > 1:
        return Plan.MEMBER
    return Plan.JOIN if facts.discard else Plan.REFUSE


def waits_before_start(plan: Plan) -> bool:
    """Tell whether something has to be looked up before the VM may start."""
    return plan in {Plan.JOIN, Plan.FOUND, Plan.EXAMINE}


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

    One that cannot be read counts as none.
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
    temporary = f"{path}.unfinished"
    try:
        with open(temporary, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{marker.value} {target}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(places.data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ClusteringError(
            f"{path} cannot be written ({error.strerror}); make /var/lib/mongooseim writable"
        ) from None
