"""Which side of a partition loses, and when it restarts: rules without side effects."""

from collections.abc import Iterable, Mapping
from enum import Enum

from member_entrypoint.cluster.knowledge import Peer, State

FIRST_HESITATION = 3.0  # seconds
LONGEST_HESITATION = 300.0  # seconds


class Missing(Enum):
    """Why a member is not among those that run with this node."""

    DOWN = "it does not run"
    BUSY = "it is registered, and does not answer: it starts, stops, or is busy"
    ELSEWHERE = "it runs, in another cluster"
    REFUSES = "it refuses the connection: its cookie is another one, most likely"
    SILENT = "its host does not answer: it is down, or the network in between is cut"
    APART = "it runs, but apart from this node: both have changed data without the other"


PARTED = frozenset({Missing.SILENT, Missing.APART})
"""Those that may go on without this node, and that a partition is decided with."""
SETTLED = frozenset({Missing.DOWN, Missing.ELSEWHERE, Missing.REFUSES})
"""Those that need not be looked at often; each try with a wrong cookie is a line in their log."""
WHY = {
    State.UNKNOWN: Missing.SILENT,
    State.SILENT: Missing.SILENT,
    State.BUSY: Missing.BUSY,
    State.REFUSES: Missing.REFUSES,
}


def why_missing(own: str, identity: str, peer: Peer) -> Missing:
    """Return why a member does not run together with this node `own`, from what was seen of it.

    `identity` is that of our cluster. They run apart if its Mnesia has noted that this node went
    down, which is Mnesia's own sign of a partition. If it has not, that member is starting, and
    waits for this node. One that shuts down is down.
    """
    if peer.state is not State.UP:
        return WHY.get(peer.state, Missing.DOWN)
    if identity and peer.identity and peer.identity != identity:
        return Missing.ELSEWHERE
    if own in peer.running:
        return Missing.SILENT
    return Missing.APART if own in peer.downs else Missing.DOWN


def loses(node: str, running: frozenset[str], missing: Mapping[str, Missing]) -> bool:
    """Tell whether `node` is on the losing side of a partition; a pure function.

    `running` are the members that run together with it, itself included; `missing` are all others.
    Of these, only those that are `PARTED` count for the other side. The larger side wins; of two
    sides of equal size, the side with the member whose name sorts first.
    """
    away = {name for name, why in missing.items() if why in PARTED}
    together = running | {node}
    if len(away) != len(together):
        return len(away) > len(together)
    return bool(away) and min(away) < min(together)


def no_longer_missing(own: str, node: str, running: frozenset[str]) -> str:
    """Return the log line for a member that was missing: it is back, or it was removed."""
    if node in running:
        return f"{own} and {node} run together again"
    return f"{node} is no member of the cluster any more"


class Hesitation:
    """How long a losing node waits for the partition to heal by itself before it restarts.

    That is a few seconds, and twice as long after each restart that has not helped.
    """

    def __init__(self, restarts: int) -> None:
        """Begin after so many restarts for this reason."""
        doublings = min(restarts, 10)  # more would be too large for a float some day
        self._length = min(LONGEST_HESITATION, FIRST_HESITATION * 2.0**doublings)
        self._apart_since: float | None = None

    def is_over(self, missing: Iterable[Missing], now: float, *, losing: bool) -> bool:
        """Tell whether it is time to restart; to be called at each look at the other members.

        `missing` is why each of the missing members is missing, `now` an instant in seconds. A
        restart helps only where the other side answers: a member runs apart from this one.
        """
        if not losing or Missing.APART not in missing:
            self._apart_since = None
            return False
        if self._apart_since is None:
            self._apart_since = now
        return now - self._apart_since >= self._length
