"""Is this node a member of its cluster? Asks its own Mnesia, its schema and the other members."""

import os
import shutil
import tempfile

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.facts import read_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang import rpc
from member_entrypoint.errors import ClusteringError, RemovedError
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom

ASK_TIMEOUT = 10.0
CONNECT_TIMEOUT = 3.0


def check_membership(member: Member, target: str, deadline: float) -> None:
    """See that the cluster of this node has other members, and say so.

    A busy node is asked again, until `deadline`. Raises `ClusteringError` if it does not answer, or
    if it is a cluster of its own, though it was told to join.
    """
    pauses = Pauses(deadline)
    while True:
        try:
            others = sorted(
                peers.mnesia_nodes(member, member.node, "db_nodes", ASK_TIMEOUT) - {member.node}
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
    """Return a running member that does not list this node, though it has data; empty if none.

    Those that this node would join are asked, and where they do not answer all that may be members.
    A running cluster of several that does not list this node has forgotten it; a node that runs
    alone may be anything.
    """
    first = {member.role.target, read_marker(member.places, member.node)[1]}
    lists = _lists(member, {node for node in first if node and "@" in node and node != member.node})
    if not lists and member.erlang.speaks_plain_tcp():
        # Else each question would boot a VM, beside the one that starts.
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
    """Tell whether a running node lists this one as a member; one that does not answer does not."""
    try:
        return member.node in peers.mnesia_nodes(member, node, "db_nodes")
    except rpc.RpcError:
        return False


def _lists(member: Member, nodes: set[str]) -> dict[str, frozenset[str]]:
    """Return the members that each of `nodes` lists, if it runs, in our cluster or with others."""

    def ask(node: str) -> frozenset[str]:
        if peers.state_of(member, node) is not peers.State.UP:
            return frozenset()
        try:
            return peers.mnesia_nodes(member, node, "db_nodes")
        except rpc.RpcError:
            return frozenset()

    return {node: members for node, members in peers.ask_all(nodes, ask).items() if members}


def removed_error(member: Member, target: str) -> RemovedError:
    """Return what to end with when the cluster has forgotten this node, and that may not be."""
    return RemovedError(
        f"Failed clustering {member.node} with {target or 'its cluster'}: it was removed from its "
        "cluster while it was down, and has data of its own, which joining again would delete; set "
        "JOIN_DISCARDS_DATA=true to let it, or JOIN_CLUSTER=false to run it alone, or give it an "
        "empty volume"
    )


def whom_mnesia_waits_for(member: Member) -> list[str]:
    """Return the members that a starting node waits for, those that may have newer data.

    Mnesia knows of each other member whether it went down before this one: those cannot have
    changed anything that this node does not know. The others can.
    """
    try:
        members = peers.mnesia_nodes(member, member.node, "db_nodes", ASK_TIMEOUT)
        running = peers.mnesia_nodes(member, member.node, "running_db_nodes", ASK_TIMEOUT)
        went_before = member.erlang.rpc(member.node, "mnesia_recover", "get_mnesia_downs", [])
    except rpc.RpcError:
        return []
    before = {str(name) for name in went_before} if isinstance(went_before, list) else set()
    return sorted(members - running - before)


def connect(member: Member, awaited: list[str]) -> None:
    """Have a starting node connect to those that it waits for, if they run.

    Mnesia looks for the others once, when it starts; where the network or DNS was not ready then,
    it would wait for ever. Source: `mnesia:change_config/2`, `extra_db_nodes`.
    """
    for node in awaited:
        if peers.state_of(member, node) not in {peers.State.UP, peers.State.ALONE}:
            continue
        member.log.info(
            f"connecting {member.node} to {node}, which it did not reach when it started"
        )
        arguments = [Atom("extra_db_nodes"), [Atom(node)]]
        try:
            member.erlang.rpc(member.node, "mnesia", "change_config", arguments, CONNECT_TIMEOUT)
        except rpc.RpcError as error:
            member.log.warning(f"{member.node} cannot be connected to {node}", reason=str(error))


def read_schema_nodes(member: Member) -> tuple[str, ...]:
    """Return the members that the schema on the disk lists, read without starting the node.

    Raises `ClusteringError` if it cannot be read.
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
