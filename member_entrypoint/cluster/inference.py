"""What follows from what a node knows, each as a pure function; the decision is made of these."""

from member_entrypoint.cluster.knowledge import (
    IN_BETWEEN,
    MAY_HAVE_DATA,
    REACHED,
    WAITING,
    Decision,
    Known,
    Marker,
    Nodes,
    Peer,
    Phase,
    State,
    Step,
    founder,
)


def has_data(known: Known) -> bool:
    """Tell whether the schema on the disk is one that people have used, or may have."""
    record, alone = known.record, (known.members or frozenset()) <= {known.node}
    if not known.has_schema:
        return False
    if record.marker is Marker.JOINING:
        # Unless the join came to its end before that was noted.
        through = not known.partial and known.identity == record.identity
        return bool(known.identity) and through
    if record.marker is Marker.LEAVING:
        # The farewell came to its end if the schema is another one.
        return not (known.identity and record.identity and known.identity != record.identity)
    return not (record.marker is Marker.LEFT or (record.marker is Marker.STARTING and alone))


def clears(known: Known, target: Peer | None) -> bool:
    """Tell whether the schema on the disk is deleted before the VM boots to join `target`.

    That is a schema that nobody has used; a VM that boots with it would look for those that it
    lists. `target` is None for a new cluster. What is not known to be such a schema is kept.
    """
    if not known.has_schema or has_data(known) or not known.identity or not known.record.identity:
        return False
    return known.partial or target is None or target.identity != known.identity


def announced(known: Known) -> State | None:
    """Return what a node says that waits for the one to join, and has no data; None for nothing.

    A primary starts a new cluster when all say that they are `EMPTY`. One that has left others, or
    was joining them, says so only when those say that they wait, too: else they may have the data.
    """
    if known.target is None or has_data(known):
        return None
    peers = known.peers or {}
    others = known.record.members - {known.node, known.target}
    waiting = {node for node, peer in peers.items() if peer.state in WAITING}
    return State.EMPTY if others <= waiting else State.KNOWING


def may_discard(known: Known) -> bool:
    """Tell whether a node with data may lose them: told so, or they are nobody's."""
    return known.discard or known.record.marker in IN_BETWEEN


def is_own_data(known: Known) -> bool:
    """Tell whether the data on the disk are of a cluster that this node started and that is left.

    A schema that lists nobody else is such a one, unless another node started it, or we were seen
    in that cluster before.
    """
    if known.members != frozenset({known.node}) or founder(known.identity) not in {"", known.node}:
        return False
    record = known.record
    was_member = record.marker is Marker.JOINED or (
        record.marker is Marker.LEAVING and bool(record.members - {known.node})
    )
    return not (was_member and record.identity in {"", known.identity})


def in_between(peer: Peer) -> bool:
    """Tell whether a node that runs is on its way into a cluster, or out of it."""
    record = peer.record
    if record.marker in {Marker.JOINING, Marker.LEAVING}:
        return not (peer.identity and peer.identity == record.identity)
    return record.marker in IN_BETWEEN and (len(peer.members) <= 1 or record.marker is Marker.LEFT)


def is_cluster(node: str, peer: Peer) -> bool:
    """Tell whether a node that runs is one of a cluster, and was not told to run alone."""
    if peer.state not in {State.UP, State.STARTING} or in_between(peer):
        return False
    if len(peer.members) > 1 or peer.record.marker in {Marker.STARTED, Marker.JOINED}:
        return True
    return founder(peer.identity) not in {"", node}


def up(known: Known) -> dict[str, Peer]:
    """Return the others whose Mnesia runs."""
    return {
        node: peer
        for node, peer in (known.peers or {}).items()
        if peer.state is State.UP and node != known.node
    }


def ours(known: Known, identity: str) -> dict[str, Peer]:
    """Return those that run in the cluster with this identity."""
    return {
        node: peer for node, peer in up(known).items() if identity and peer.identity == identity
    }


def in_other_clusters(known: Known) -> dict[str, Peer]:
    """Return those that run in another cluster though they should be in ours.

    A node that runs alone under a name that we have nothing to do with was told to. What a node
    says whose Mnesia does not run yet is its marker.
    """
    return {
        node: peer
        for node, peer in (known.peers or {}).items()
        if known.identity
        and cluster_of(peer) not in {"", known.identity}
        and not in_between(peer)
        and (node in near(known) or is_cluster(node, peer))
    }


def cluster_of(peer: Peer) -> str:
    """Return the identity of the cluster that a node runs in, or starts in; empty if unknown."""
    if peer.state is State.STARTING:
        return "" if peer.record.marker in IN_BETWEEN else peer.record.identity
    return peer.identity if peer.state is State.UP else ""


def near(known: Known) -> set[str]:
    """Return the nodes that must not be in another cluster: whom we join, who joined us."""
    return {node for node in (known.target, *(known.members or ())) if node} - {known.node}


def clusters(known: Known) -> dict[str, Peer]:
    """Return the others that run in a cluster."""
    return {node: peer for node, peer in up(known).items() if is_cluster(node, peer)}


def unknown(known: Known) -> tuple[str, ...]:
    """Return those of whom DNS does not say whether they exist."""
    peers = sorted((known.peers or {}).items())
    return tuple(node for node, peer in peers if peer.state is State.UNKNOWN)


def apart(known: Known) -> tuple[str, ...]:
    """Return the members of our cluster that serve, and not together with another one.

    Both serve, and neither lists the other as running. A node that starts connects to both: that
    brings them together, each with what it alone has changed, and it has the data of one of them.
    It does not connect to those that neither its schema lists nor that of a member in it.
    """
    running = ours(known, known.identity)
    schema = known.members or frozenset()
    met = schema.union(*(peer.members for node, peer in running.items() if node in schema))
    serving = {node: p for node, p in sorted(running.items()) if p.serves and node in met}
    return tuple(
        first
        for first, its in serving.items()
        if any(
            first not in theirs.running and second not in its.running
            for second, theirs in serving.items()
            if second != first
        )
    )


def to_connect(known: Known, awaited: Nodes) -> tuple[str, ...]:
    """Return those of `awaited` to whom a Mnesia is connected that waits for them.

    That is nobody while others run apart: it would bring both sides together, and take the data of
    one. For a while it is nobody, too, if one does not answer that may run apart.
    """
    busy = any(peer.state is State.BUSY for peer in (known.peers or {}).values())
    if apart(known) or (busy and not known.patience_over):
        return ()
    same = {"", known.identity}
    return tuple(n for n, p in sorted(up(known).items()) if n in awaited and p.identity in same)


def may_have_data(known: Known) -> tuple[str, ...]:
    """Return those that exist, and may have the data of a cluster that does not run."""
    return tuple(
        node
        for node, peer in sorted((known.peers or {}).items())
        if peer.state in MAY_HAVE_DATA
        or (peer.state is State.UP and peer.record.marker in {Marker.LEAVING, Marker.LEFT})
    )


def can_be_joined(known: Known, peer: Peer) -> bool:
    """Tell whether a node that runs serves, and goes on to, or waits for this node alone.

    One that joins itself has not all data yet.
    """
    if peer.serves:
        return peer.record.marker not in {Marker.LEAVING, Marker.JOINING}
    joins = peer.record.marker is Marker.JOINING
    return peer.awaits <= {known.node} and bool(peer.awaits or not joins)


def outside(known: Known) -> tuple[str, ...]:
    """Return the nodes of our schema that run on their way into a cluster, or out of one.

    Their Mnesia has another identity meanwhile, and ours ends the VM when it meets that.
    """
    return tuple(
        node
        for node, peer in sorted(up(known).items())
        if node in (known.members or ())
        and peer.identity not in {"", known.identity}
        and in_between(peer)
    )


def undecided(known: Known) -> tuple[str, ...]:
    """Return those that are about to start a cluster, or do not say yet in which one they are."""
    return tuple(
        node
        for node, peer in sorted((known.peers or {}).items())
        if (peer.state is State.STARTING and not cluster_of(peer))
        or (peer.state is State.UP and peer.record.marker is Marker.STARTING)
    )


def removed_by(known: Known) -> tuple[str, ...]:
    """Return the members of our cluster that run, if none of them lists this node any more.

    One that starts may not know yet what the others have changed: those that serve do.
    """
    if known.phase is not Phase.BESIDE or not has_data(known):
        return ()
    running = ours(known, known.identity)
    if not known.identity:
        running = {node: p for node, p in clusters(known).items() if len(p.members) > 1}
    current = {node: peer for node, peer in running.items() if peer.serves} or running
    if any(known.node in peer.members for peer in current.values()):
        return ()
    return tuple(sorted(current))


def has_other_name(known: Known) -> bool:
    """Tell whether a node of another name answers at the node to join: no waiting changes that."""
    peer = (known.peers or {}).get(known.target or "")
    return peer is not None and peer.state is State.OTHER_NAME


def join_one_of(known: Known, running: dict[str, Peer]) -> Decision:
    """Join one of these nodes of one cluster, if it serves and all others are reached."""
    peers = known.peers or {}
    ready = {node: peer for node, peer in running.items() if can_be_joined(known, peer)}
    if not ready:
        return Decision(Step.WAIT, tuple(sorted(running)))
    first = known.target if known.target is not None and known.target in ready else min(ready)
    needed = ready[first].running - {known.node, first}
    if unasked := needed - peers.keys():
        return Decision(Step.ASK, tuple(sorted(unasked)))
    away = sorted(node for node in needed if peers[node].state not in REACHED)
    return Decision(Step.WAIT, tuple(away)) if away else Decision(Step.JOIN, (first,))
