"""All that `status` knows about this node and its cluster, as plain values."""

from collections.abc import Mapping

from member_entrypoint import state
from member_entrypoint.cluster.knowledge import NOBODY, Nodes, Peer, Record
from member_entrypoint.lean_typing import NamedTuple


class Wait(NamedTuple):
    """For what a starting member waits, why, and for how many seconds still."""

    text: str = ""
    reason: str = ""
    seconds_left: float = 0.0


class Notes(NamedTuple):
    """What PID 1 and its helpers have noted; times are in seconds of Unix time.

    `why_not_live` and `why_not_ready` are what probes are told. `partition`, `left`, `second`: why
    it is not ready. `other_cluster` is what the watcher has seen of another one. `failing` are
    helpers that fail again and again.
    """

    state: str = state.WAITING
    since: float | None = None
    why_not_live: str = ""
    why_not_ready: str = ""
    partition: str = ""
    left: str = ""
    second: str = ""
    other_cluster: str = ""
    wait: Wait = Wait()
    failing: tuple[str, ...] = ()


class Disk(NamedTuple):
    """What is on the volume: Mnesia's folder, its size in bytes, and the marker.

    `identity` and `members` are those of the schema, empty and None where it cannot be read;
    `noted` is when the marker was written, in Unix time.
    """

    folder: str = ""
    size: int | None = None
    identity: str = ""
    members: Nodes | None = None
    record: Record = Record()
    noted: float | None = None


class CetsNodes(NamedTuple):
    """The nodes for CETS: those that its file lists, and those that DNS has.

    Each is None where it is not known; `why` says why DNS does not know, `name` is what it is asked
    for, empty where there is no discovery. `only`: Mnesia is not used beside it.
    """

    only: bool
    file: str
    listed: tuple[str, ...] | None
    name: str = ""
    in_dns: tuple[str, ...] | None = None
    why: str = ""


class Survey(NamedTuple):
    """All that is known.

    `peers` is what each node says, this one included; `connected` are those to which this one has
    connections. `cannot_ask` says why nobody was asked. `at` is Unix time, `took` in seconds.
    """

    node: str = ""
    target: str | None = None
    alone: bool = False
    joins: bool = True
    release: str = ""
    erts: str = ""
    notes: Notes = Notes()
    disk: Disk = Disk()
    peers: Mapping[str, Peer] = {}
    connected: Nodes = NOBODY
    cannot_ask: str = ""
    cets: CetsNodes | None = None
    at: float = 0.0
    took: float = 0.0

    @property
    def own(self) -> Peer | None:
        """What this node says itself."""
        return self.peers.get(self.node)

    @property
    def identity(self) -> str:
        """The identity of this node's cluster, as far as it is known."""
        said = self.own.identity if self.own else ""
        return said or self.disk.identity or self.disk.record.identity
