"""Sees that a node that has started is a member of its cluster, and notes that."""

from member_entrypoint import counts
from member_entrypoint.cluster import facts, peers
from member_entrypoint.cluster.knowledge import Known, Marker, Nodes, Peer, Record
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import ANSWER_TIMEOUT
from member_entrypoint.erlang import rpc
from member_entrypoint.errors import ClusteringError
from member_entrypoint.pauses import Pauses

QUIET_FAILURES = 3
"""A node that has just started may not answer at once; that is normal, and not said."""


def confirm(member: Member, known: Known, deadline: float) -> None:
    """Note, and log, in which cluster this running node is: its own, or one with other members.

    One that all others have left is what remains of its cluster. Raises `ClusteringError` where it
    does not say so before `deadline`, an instant of `time.monotonic`.
    """
    places, node = member.places, member.node
    identity, members = facts.read_schema(places, node)
    counts.write(member.settings.root, counts.CLUSTER, identity)
    record = known.record
    if known.target is None and record.marker in {Marker.NONE, Marker.STARTING, Marker.STARTED}:
        record = Record(Marker.STARTED, node, identity, members or frozenset(), record.certain)
        facts.write_marker(places, node, record)
        member.log.info(f"Clustered {node} with {node}")
        return
    if known.target is not None or members is None:
        members = _members(member, known, deadline)
    others = sorted(members - {node})
    target = known.target or record.other
    first = target if target in others else next(iter(others), node)
    record = Record(Marker.JOINED, first, identity, frozenset({*others, node}), record.certain)
    facts.write_marker(places, node, record)
    if known.target is None:
        member.log.info(f"Clustered {node} with {node}")
        return
    if not others:
        member.log.info(f"all others have left the cluster of {node}, which goes on alone")
    member.log.info(f"MongooseIM node {node} already clustered", members=",".join(others) or node)
    member.log.info(f"Clustered {node} with {first}")


def _members(member: Member, known: Known, deadline: float) -> Nodes:
    """Return the members that the Mnesia of this node lists; asked again until it answers."""
    pauses, failures = Pauses(deadline), 0
    while True:
        try:
            return peers.members_of(member, member.node, ANSWER_TIMEOUT)
        except rpc.RpcError as error:
            if pauses.over():
                raise ClusteringError(
                    f"Failed clustering {member.node} with {known.target}: the node does not say "
                    f"which nodes its cluster has: {error}"
                ) from None
            failures += 1
            if failures > QUIET_FAILURES and pauses.time_to_speak(str(error)):
                member.log.warning(f"{member.node} does not answer yet", reason=str(error))
            pauses.pause()


def note_joined(member: Member, target: str, peer: Peer) -> None:
    """Note that this node has joined `target`, and is a member now.

    A cluster in doubt is one for each of its members: each looks for another one.
    """
    identity, members = facts.read_schema(member.places, member.node)
    counts.add(member.settings.root, counts.JOINS)
    counts.write(member.settings.root, counts.CLUSTER, identity)
    certain = peer.record.certain
    record = Record(Marker.JOINED, target, identity, members or frozenset(), certain)
    facts.write_marker(member.places, member.node, record)
    member.log.info(f"Clustered {member.node} with {target}")


def join_again(member: Member, known: Known, target: str, deadline: float) -> None:
    """Join the cluster of `target` that this node was removed from, unless it is back already."""
    peer = peers.look_at(member, [target], ANSWER_TIMEOUT)[target]
    if member.node in peer.members:
        confirm(member, known, deadline)
        return
    from member_entrypoint.cluster import joining

    record = Record(Marker.JOINING, target, peer.identity, peer.members)
    facts.write_marker(member.places, member.node, record)
    note_joined(member, target, joining.join(member, target, deadline))
