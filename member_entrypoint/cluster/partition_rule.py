"""Which side of a partition loses, and when it restarts: rules without side effects."""

from collections.abc import Hashable, Iterable, Mapping
from enum import Enum

from member_entrypoint.cluster.knowledge import Peer, State
from member_entrypoint.lean_typing import NamedTuple

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
    UNMERGED = "it runs together with this node again, but what both changed apart is not merged"


PARTED = frozenset({Missing.SILENT, Missing.APART, Missing.UNMERGED})
"""Those that may go on without this node, and that a partition is decided with."""
DIVIDED = frozenset({Missing.APART, Missing.UNMERGED})
"""Those of them that answer: a restart of the losing side makes the cluster whole."""
SETTLED = frozenset({Missing.DOWN, Missing.ELSEWHERE, Missing.REFUSES, Missing.UNMERGED})
"""Those that need not be looked at often; each try with a wrong cookie is a line in their log."""
WHY = {
    State.UNKNOWN: Missing.SILENT,
    State.SILENT: Missing.SILENT,
    State.BUSY: Missing.BUSY,
    State.REFUSES: Missing.REFUSES,
}


def why_missing(own: str, identity: str, peer: Peer) -> Missing:
    """Return why a member does not run together with this node `own`, from what was seen of it.

    `identity` is that of our cluster. A member that starts may wait for this node; if it does not,
    they run apart. One that shuts down is down.
    """
    if peer.state is not State.UP:
        return WHY.get(peer.state, Missing.DOWN)
    if identity and peer.identity and peer.identity != identity:
        return Missing.ELSEWHERE
    if own in peer.running:
        return Missing.SILENT
    return Missing.DOWN if own in peer.awaits else Missing.APART


def parted(missing: Mapping[str, Missing]) -> set[str]:
    """Return those that may go on without this node."""
    return {name for name, why in missing.items() if why in PARTED}


def loses(
    node: str,
    running: frozenset[str],
    missing: Mapping[str, Missing],
    seen: Mapping[str, Peer] | None = None,
) -> bool:
    """Tell whether `node` is on the losing side of a partition; a pure function.

    `running` are the members that run together with it, itself included; `missing` are all others.
    Of these, only those that are `PARTED` count for other sides. The largest side wins; of sides of
    equal size, the one with the member whose name sorts first. `seen` is what those say that run
    apart from this node; all that say nothing count as one side. So when all answer, one side wins,
    however many there are. One that lists nobody of this side knows of no partition and goes on:
    this side was removed meanwhile, and loses.
    """
    away = parted(missing)
    together = running | {node}
    apart = {
        name: seen[name]
        for name in away
        if missing[name] is Missing.APART and seen is not None and name in seen
    }
    if any(together.isdisjoint(peer.members) for peer in apart.values()):
        return True
    # Also whom this side does not list, since it removed them.
    sides = [frozenset(peer.running - together | {name}) for name, peer in apart.items()]
    sides.append(frozenset(away - apart.keys()))
    return any(
        len(side) > len(together) or (len(side) == len(together) and min(side) < min(together))
        for side in sides
        if side
    )


class Tie(NamedTuple):
    """What ties a member to this node: a life of its VM, and a connection between the two VMs."""

    life: int
    link: Hashable


class Reunion:
    """Which members run together with this node again, without a start anew after they ran apart.

    Mnesia brings both sides of a partition together when a third member starts and connects to
    both. It merges nothing then: each side keeps the data that it has, until it starts anew. Seen
    with OTP 25. Two VMs that are connected anew, and have not started anew, have been apart: to
    their Mnesias each was down.
    """

    def __init__(self) -> None:
        """Begin with a cluster that is whole."""
        self._first: dict[str, Tie] = {}
        """The tie by which each member ran together with this node first, in its present life."""
        self._started: set[str] = set()
        self.unmerged: frozenset[str] = frozenset()

    def update(self, running: frozenset[str], ties: Mapping[str, Tie], *, whole: bool) -> None:
        """Take in who runs together with this node, and the ties of those that could be asked.

        `whole`: no member is missing.
        """
        unmerged = set(self.unmerged & running)
        for node, tie in ties.items():
            first = self._first.get(node)
            if first is None or first.life != tie.life:
                self._first[node] = tie
                self._started.add(node)
                unmerged.discard(node)
            elif first.link != tie.link:
                unmerged.add(node)
        self.unmerged = frozenset(unmerged)
        if whole and not unmerged:
            self._started.clear()

    def forget(self, members: Iterable[str]) -> None:
        """Forget all but these members: who was removed takes other data when it joins again."""
        self._first = {node: self._first[node] for node in members if node in self._first}

    def together(self, running: frozenset[str]) -> frozenset[str]:
        """Return those of `running` that are on this node's side.

        Who has started since the sides parted is on neither: each of them would count it.
        """
        return running - self.unmerged - self._started if self.unmerged else running


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
        if not losing or DIVIDED.isdisjoint(missing):
            self._apart_since = None
            return False
        if self._apart_since is None:
            self._apart_since = now
        return now - self._apart_since >= self._length
