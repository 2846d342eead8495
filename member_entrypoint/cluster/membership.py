"""Is this node a member of its cluster? Asks its own Mnesia, its schema and the other members."""

import os
import shutil
import tempfile

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.facts import read_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import ANSWER_TIMEOUT
from member_entrypoint.erlang import rpc
from member_entrypoint.errors import ClusteringError, RemovedError
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom

EXTRA_NODES_TIMEOUT = 3.0  # seconds


def check_membership(member: Member, target: str, deadline: float) -> None:
    """Check that the cluster of this running node has other members, and log them.

    A node that does not answer is asked again until `deadline`, an instant of `time.monotonic`.
    Raises `ClusteringError` if it never answers, or if its Mnesia lists no other node.
    """
    pauses = Pauses(deadline)
    while True:
        try:
            others = sorted(
                peers.mnesia_nodes(member, member.node, "db_nodes", ANSWER_TIMEOUT) - {member.node}
            )
            break
        except rpc.RpcError as error:
            if pauses.over():
                raise ClusteringError(
                    f"Failed clustering {member.node} with {target}: the node does not say which "
                    f"nodes its cluster has: {error}"
                ) from None
            if pauses.time_to_speak(str(error)):
                member.log.warning(f"{member.node} does not answer yet", reason=str(error))
            pauses.pause()
    if not others:
        raise ClusteringError(
            f"Failed clustering {member.node} with {target}: its volume says that it was a member, "
            "but its Mnesia knows no other node"
        )
    member.log.info(f"MongooseIM node {member.node} already clustered", members=",".join(others))
    member.log.info(f"Clustered {member.node} with {target if target in others else others[0]}")


def find_member_that_removed_us(member: Member) -> str:
    """Return a running member that does not list this node, which has data; empty if there is none.

    The nodes that this one would join are asked; where none of them answers, all nodes that may be
    members. A running cluster of several nodes that does not list this one has removed it. A node
    that runs alone proves nothing.
    """
    first = {member.role.target, read_marker(member.places, member.node)[1]}
    lists = _lists(member, {node for node in first if node and "@" in node and node != member.node})
    if not lists and member.erlang.reach.plain_tcp:
        # With another distribution, each question would boot a VM beside the one that starts.
        lists = _lists(member, set(peers.candidates(member)))
    if not lists or any(member.node in members for members in lists.values()):
        return ""
    node, members = min(lists.items())
    member.log.warning(
        f"{member.node} was removed from its cluster while it was down: {node} does not list it",
        members=",".join(sorted(members)),
    )
    return node


def is_listed_by(member: Member, node: str) -> bool:
    """Tell whether `node` lists this node as a member; False if it does not answer."""
    try:
        return member.node in peers.mnesia_nodes(member, node, "db_nodes")
    except rpc.RpcError:
        return False


def _lists(member: Member, nodes: set[str]) -> dict[str, frozenset[str]]:
    """Return the members that each of `nodes` lists; nodes that run alone or not are left out."""

    def ask(node: str) -> frozenset[str]:
        if peers.state_of(member, node) is not peers.State.UP:
            return frozenset()
        try:
            return peers.mnesia_nodes(member, node, "db_nodes")
        except rpc.RpcError:
            return frozenset()

    return {node: members for node, members in peers.ask_all(nodes, ask).items() if members}


def removed_error(member: Member, target: str) -> RemovedError:
    """Return the error for a node that was removed from its cluster and must not lose its data."""
    return RemovedError(
        f"Failed clustering {member.node} with {target or 'its cluster'}: it was removed from its "
        "cluster while it was down, and has data of its own, which joining again would delete; set "
        "JOIN_DISCARDS_DATA=true to let it, or JOIN_CLUSTER=false to run it alone, or give it an "
        "empty volume"
    )


def whom_mnesia_waits_for(member: Member) -> list[str]:
    """Return the members that this starting node waits for; empty if that is not known.

    Mnesia waits for members that may have newer data. It knows which members went down before this
    node: those have no change that this node lacks. All others may have one.
    """
    try:
        members = peers.mnesia_nodes(member, member.node, "db_nodes", ANSWER_TIMEOUT)
        running = peers.mnesia_nodes(member, member.node, "running_db_nodes", ANSWER_TIMEOUT)
        down_before = member.erlang.rpc(member.node, "mnesia_recover", "get_mnesia_downs", [])
    except rpc.RpcError:
        return []
    before = {str(name) for name in down_before} if isinstance(down_before, list) else set()
    return sorted(members - running - before)


def connect(member: Member, awaited: list[str]) -> None:
    """Connect this starting node to those of the `awaited` nodes that run.

    Mnesia looks for the others once, when it starts; if the network or DNS is not ready then, it
    waits for ever. Source: `mnesia:change_config/2`, `extra_db_nodes`.
    """
    for node in awaited:
        if peers.state_of(member, node) not in {peers.State.UP, peers.State.ALONE}:
            continue
        member.log.info(
            f"connecting {member.node} to {node}, which it did not reach when it started"
        )
        arguments = [Atom("extra_db_nodes"), [Atom(node)]]
        try:
            member.erlang.rpc(
                member.node, "mnesia", "change_config", arguments, EXTRA_NODES_TIMEOUT
            )
        except rpc.RpcError as error:
            member.log.warning(f"{member.node} cannot be connected to {node}", reason=str(error))


def read_schema_nodes(member: Member) -> tuple[str, ...]:
    """Return the members that this node's schema on the disk lists, without starting the node.

    A copy of it is read, since Mnesia repairs what it opens. Raises `ClusteringError` if the schema
    cannot be read.
    """
    source = os.path.join(member.places.mnesia(member.node), "schema.DAT")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "schema.DAT")
        try:
            shutil.copyfile(source, copy)
            return tuple(rpc.schema_nodes(member.release, copy))
        except (OSError, rpc.RpcError) as error:
            raise ClusteringError(
                f"{source} cannot be read: {error}; restore the volume from a backup, or empty it"
            ) from None
