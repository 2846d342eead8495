"""What is to be done? The facts about a node, the plan that follows from them, and its marker."""

from enum import Enum
from typing import NamedTuple


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
    START_CLUSTER = "start a new cluster, unless one exists"
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
    """Tell whether something has to be looked up before the VM may start."""
    return plan in {Plan.JOIN, Plan.START_CLUSTER, Plan.EXAMINE}
