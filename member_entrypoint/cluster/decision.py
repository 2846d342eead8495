"""What a node does about its cluster: the plan that follows from the facts about it."""

from enum import Enum
from typing import NamedTuple


class Marker(Enum):
    """What the file `.cluster.NODE` beside the Mnesia folder says about the schema in that folder.

    Without such a file the schema itself has to be read.
    """

    NONE = "none"
    JOINING = "joining"
    JOINED = "joined"
    LEFT = "left"


class Facts(NamedTuple):
    """What is known about a node before its VM runs.

    `target` is the node to join, None for a node that joins no other. `schema_nodes` are the
    members that the node's own schema lists, None as long as the schema has not been read.
    `discard` permits the node to lose data of its own by a join.
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
    START_CLUSTER = "start a new cluster, unless one exists"
    PRIMARY = "run as the node that others join"
    MEMBER = "run as a member of its cluster"
    JOIN = "join the cluster"
    EXAMINE = "read the schema on the disk, then decide"
    REFUSE = "refuse to join, since that would delete the node's own data"


def decide(facts: Facts) -> Plan:  # noqa: PLR0911 - a line for each case
    """Return the plan for `facts`; a pure function.

    Source: the contract, "Who is the primary, who joins, who runs".
    """
    if facts.target is None and not facts.primary:
        return Plan.ALONE
    if not facts.has_schema or facts.marker in {Marker.JOINING, Marker.LEFT}:
        return Plan.START_CLUSTER if facts.target is None else Plan.JOIN
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
    """Tell whether the node must ask others, or read its schema, before its VM may start."""
    return plan in {Plan.JOIN, Plan.START_CLUSTER, Plan.EXAMINE}
