"""Leaves the cluster, so that its other members forget this node."""

import contextlib
import time

from member_entrypoint import programs, state
from member_entrypoint.cluster import facts, peers
from member_entrypoint.cluster.facts import write_marker
from member_entrypoint.cluster.knowledge import NOBODY, Marker, Nodes, Peer, Record, State
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang.reach import for_control_script
from member_entrypoint.errors import ClusteringError
from member_entrypoint.pauses import Pauses

LONGEST_JOIN = 10.0
"""Seconds to wait, before a farewell, for one that copies the data meanwhile."""
LONGEST_LOOK = 3.0
"""Seconds for the answer of each other member: one that hangs must not use up the time to stop."""


def leave(member: Member, deadline: float) -> None:
    """Run MongooseIM's `leave_cluster` until `deadline`, an instant of `time.monotonic`.

    Raises `ClusteringError` with its output if it fails.
    """
    command = [member.release.control_script, "leave_cluster", "-f"]
    try:
        variables = for_control_script(member.erlang.reach, member.settings)
        programs.run(command, max(1.0, deadline - time.monotonic()), variables)
    except programs.ProgramError as error:
        raise ClusteringError(f"{member.node} could not leave its cluster: {error}") from None


def _wait_for_joins(member: Member, others: Nodes, deadline: float) -> Nodes:
    """Wait for a join that still copies the data of this node, if nobody else has them.

    Returns the members that the others list. Raises `ClusteringError` if it does not end.
    """
    pauses = Pauses(min(deadline, time.monotonic() + LONGEST_JOIN))
    while True:
        seen = peers.look_at(member, others, LONGEST_LOOK)
        running = {name: peer for name, peer in seen.items() if peer.state is State.UP}
        joining = [name for name, peer in running.items() if not _has_all_tables(peer)]
        if len(joining) < len(running) or not running:
            return NOBODY.union(*(peer.members for peer in running.values()))
        if pauses.over():
            raise ClusteringError(
                f"{member.node} does not leave its cluster: {', '.join(sorted(joining))} has not "
                "all of its data yet, and nobody else has them"
            )
        pauses.pause()


def _has_all_tables(peer: Peer) -> bool:
    return peer.serves and peer.record.marker is not Marker.JOINING


def leave_for_good(member: Member, deadline: float) -> str:
    """Leave the cluster, and note it for the next start and for probes; return the line it logs.

    That it begins to leave, and whom, is noted before: a kill in between leaves open who has
    forgotten it, and the next start asks. `deadline` is an instant of `time.monotonic`. Raises
    `ClusteringError`.
    """
    places, node = member.places, member.node
    before = facts.read_marker(places, node)
    if before.marker is Marker.LEFT:
        text = f"MongooseIM node {node} has left its cluster already"
        member.log.info(text)
        return text
    identity, members = facts.read_schema(places, node)
    others = (members or before.members or NOBODY) - {node}
    leaving = Record(Marker.LEAVING, min(others, default=node), identity, others)
    write_marker(places, node, leaving)
    try:
        others |= _wait_for_joins(member, others, deadline) - {node}
        # One whose join had begun before may have come to its end meanwhile.
        leaving = leaving._replace(members=others)
        write_marker(places, node, leaving)
        leave(member, deadline)
    except ClusteringError:
        # It may have left all the same; if it has not, its schema is still the same.
        if identity and facts.read_schema(places, node)[0] == identity:
            write_marker(places, node, before)
        raise
    write_marker(places, node, leaving._replace(marker=Marker.LEFT))
    with contextlib.suppress(OSError):
        state.note(member.settings.root, state.LEFT_FILE, "this node has left its cluster")
    stay = f", in which {', '.join(sorted(others))} stay" if others else ""
    text = f"MongooseIM node {node} left its cluster{stay}"
    member.log.info(text)
    return text
