"""Which side of a partition loses: the rule, without anything that asks."""

from collections.abc import Mapping
from enum import Enum


class Missing(Enum):
    """Why a member is not among those that run with this node."""

    DOWN = "it does not run"
    SILENT = "its host does not answer: it is down, or the network in between is cut"
    APART = "it runs, but apart from this node: both have changed data without the other"


def loses(node: str, running: frozenset[str], missing: Mapping[str, Missing]) -> bool:
    """Tell whether `node` is on the losing side of a partition: a pure function.

    `running` are the members that run together with it, itself among them; `missing` are all
    others. Those that are down count for neither side. The larger side wins; of two that are equal,
    the one that has the member whose name comes first.
    """
    away = {name for name, why in missing.items() if why is not Missing.DOWN}
    together = running | {node}
    if len(away) != len(together):
        return len(away) > len(together)
    return bool(away) and min(away) < min(together)


def no_longer_missing(own: str, node: str, running: frozenset[str]) -> str:
    """Return what to say of a member that was missing: it is back, or it was removed."""
    if node in running:
        return f"{own} and {node} run together again"
    return f"{node} is no member of the cluster any more"
