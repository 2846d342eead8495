"""What a node can know about its cluster, as plain values: what the decision is made from.

And what comes of it: a `Decision`.

Imported before the VM starts, so it imports next to nothing.
"""

from collections.abc import Mapping
from enum import Enum

from member_entrypoint.lean_typing import NamedTuple

Nodes = frozenset[str]
NOBODY: Nodes = frozenset()
FIRST_IN_NANOSECONDS = 10**12
"""A cookie's first number is nanoseconds since OTP 18, before that millions of seconds."""


class Marker(Enum):
    """The word of the file `.cluster.NODE` beside the Mnesia folder.

    `STARTING` and `JOINING`: nobody has used the schema in that folder yet. `LEAVING`: a farewell
    was begun. Without such a file the schema itself has to be read.
    """

    NONE = "none"
    STARTING = "starting"
    STARTED = "started"
    JOINING = "joining"
    JOINED = "joined"
    LEAVING = "leaving"
    LEFT = "left"


IN_BETWEEN = frozenset({Marker.STARTING, Marker.JOINING, Marker.LEAVING, Marker.LEFT})
"""A running node with one of these markers is on its way into a cluster, or out of it."""


class Record(NamedTuple):
    """What the marker's file says.

    `other` is the node that was joined, or that was left. `identity` and `members` are those of the
    cluster, as they were last known; for a farewell, of those who stayed. Not `certain` is a new
    cluster that was started though another one may have existed.
    """

    marker: Marker = Marker.NONE
    other: str = ""
    identity: str = ""
    members: Nodes = NOBODY
    certain: bool = True


class State(Enum):
    """What is known about another node."""

    ABSENT = "its name does not exist"
    UNKNOWN = "DNS does not say whether its name exists"
    STOPPED = "its host answers, and the node does not run there"
    SILENT = "its name exists, but its host does not answer"
    REFUSES = "it refuses the connection: another cookie, most likely"
    BUSY = "it is registered, and does not answer in time"
    OTHER_NAME = "a node of another name answers there: an alias, or another letter case"
    EMPTY = "it waits for the node to join, with an empty disk"
    KNOWING = "it waits, with an empty disk, and knows others that may have data"
    REGISTERED = "the epmd of its host knows it; it was not asked"
    STARTING = "it runs, and its Mnesia does not run yet"
    GOING = "it shuts down"
    UP = "its Mnesia runs"


REACHED = frozenset(
    {State.UP, State.STARTING, State.GOING, State.BUSY, State.REFUSES, State.REGISTERED}
)
"""States of a node that the epmd of its host knows."""
MAY_HAVE_DATA = frozenset(
    {
        State.SILENT,
        State.STOPPED,
        State.STARTING,
        State.GOING,
        State.REFUSES,
        State.BUSY,
        State.KNOWING,
    }
)
"""States of a node that exists, and may have data, or knows others that may."""

WAITING = frozenset({State.EMPTY, State.KNOWING})
"""States of a node that waits for the one to join, and has no data."""


class Peer(NamedTuple):
    """What another node said, and what was seen.

    `identity`, `members`, `running` are those of its Mnesia, `downs` the members whose end it has
    noted. `serves`: its server has started. `record` is its marker. `why` is what was seen, in
    words for a log line.
    """

    state: State
    identity: str = ""
    members: Nodes = NOBODY
    running: Nodes = NOBODY
    downs: Nodes = NOBODY
    serves: bool = True
    record: Record = Record()
    why: str = ""

    @property
    def awaits(self) -> Nodes:
        """Those that its Mnesia waits for: they may have gone down after it."""
        return NOBODY if self.serves else self.members - self.running - self.downs


class Phase(Enum):
    """Where the node is in its start."""

    BEFORE = "before its VM runs"
    BESIDE = "while its VM boots"
    SERVING = "while it serves"


class Silence(Enum):
    """What it means that DNS does not answer."""

    NOBODY = "nobody else exists: our own name comes back, or there is no network"
    OUTAGE = "an outage: where this runs, DNS comes back"
    DOUBT = "an outage, or a machine without a network"


class Known(NamedTuple):
    """All that a node knows about itself and the others.

    `target` is the node to join, None for a node that joins no other. `alone`: JOIN_CLUSTER=false.
    `identity` and `members` are those of its schema on the disk, empty and None where they cannot
    be read. `partial`: a join was cut before it had copied all tables. `again`: an earlier VM of
    this container ended for what it met. `discard`: JOIN_DISCARDS_DATA. `may_start`: NEW_CLUSTER is
    not `never`. `peers` is None as long as nobody was asked. `hidden`: our own name is not in DNS,
    so that others may be missing there, too. `patience_over`: an uncertain wait took long enough;
    `time_over`: JOIN_TIMEOUT.
    """

    node: str
    target: str | None
    alone: bool = False
    has_schema: bool = False
    identity: str = ""
    members: Nodes | None = None
    record: Record = Record()
    partial: bool = False
    again: bool = False
    discard: bool = False
    may_start: bool = True
    phase: Phase = Phase.BEFORE
    peers: Mapping[str, Peer] | None = None
    silence: Silence = Silence.DOUBT
    hidden: bool = False
    patience_over: bool = False
    time_over: bool = False


class Step(Enum):
    """What a node does next."""

    RUN = "runs with what is on its disk"
    EXAMINE = "has its schema read by a VM"
    ASK = "asks the others"
    WAIT = "waits"
    JOIN = "joins"
    START_CLUSTER = "starts a new cluster"
    REFUSE = "ends with the reason"
    START_AGAIN = "starts from the beginning"
    YIELD = "is not ready any more"
    WARN = "says so, goes on"
    CERTAIN = "notes that its cluster is the only one"


class Decision(NamedTuple):
    """What to do next, and with or for whom; why, in words; `rule` is the name of the rule.

    `certain` is False for a new cluster that may be the second one, and for a wait in doubt.
    """

    step: Step
    whom: tuple[str, ...] = ()
    why: str = ""
    certain: bool = True
    rule: str = ""


def founder(identity: str) -> str:
    """Return the node that started the cluster with this identity; empty if that is not known."""
    _, comma, node = identity.rpartition(",")
    return node.removesuffix("}") if comma and node.endswith("}") else ""


def founded(identity: str) -> int | None:
    """Return when a cluster was started, in nanoseconds since 1970; None if that is not known."""
    try:
        first, second, _ = (int(word) for word in identity.lstrip("{").partition("}")[0].split(","))
    except ValueError:
        return None
    return first if first >= FIRST_IN_NANOSECONDS else (first * 10**6 + second) * 10**9


def short_identity(identity: str) -> str:
    """Return eight digits that stand for an identity: the same on all members, easy to compare."""
    import binascii

    return f"{binascii.crc32(identity.encode()):08x}"


def is_younger(identity: str, other: str) -> bool:
    """Tell whether a cluster was started after the other one; also if that is not known."""
    first, second = founded(identity), founded(other)
    return first is None or second is None or first > second
