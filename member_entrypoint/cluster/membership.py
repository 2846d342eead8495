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


def check_membership(mine: Member, target: str, deadline: float) -> None:
    """See that the cluster of this node has other members, and say so.

    A busy node is asked again, until `deadline`. Raises `ClusteringError` if it does not answer, or
    if it is a cluster of its own, though it was told to join.
    """
    pauses = Pauses(deadline)
    while True:
        try:
            others = sorted(peers.listed(mine, mine.node, "db_nodes", ASK_TIMEOUT) - {mine.node})
            break
        except rpc.RpcError as error:
            if pauses.over():
                raise ClusteringError(
                    f"Failed clustering {mine.node} with {target}: the node does not say which "
                    f"nodes its cluster has: {error}"
                ) from None
            if pauses.time_to_speak(str(error)):
                mine.log.warning(f"{mine.node} does not answer yet", reason=str(error))
            pauses.pause()
    if not others:
        raise ClusteringError(
            f"Failed clustering {mine.node} with {target}: its volume says that it was a member, "
            "but its Mnesia knows no other node"
        )
    mine.log.info(f"MongooseIM node {mine.node} already clustered", members=",".join(others))
    mine.log.info(f"Clustered {mine.node} with {target if target in others else others[0]}")


def forgotten_by(mine: Member) -> str:
    """Return a running member that does not list this node, though it has data; empty if none.

    Those that this node would join are asked, and where they do not answer all that may be members.
    A running cluster of several that does not list this node has forgotten it; a node that runs
    alone may be anything.
    """
    first = {mine.role.target, read_marker(mine.places, mine.node)[1]}
    lists = _lists(mine, {node for node in first if node and "@" in node and node != mine.node})
    if not lists and mine.erlang.speaks_plain_tcp():
        # Else each question would boot a VM, beside the one that starts.
        lists = _lists(mine, set(peers.candidates(mine)))
    if not lists or any(mine.node in members for members in lists.values()):
        return ""
    node, members = min(lists.items())
    mine.log.warning(
        f"{mine.node} was removed from its cluster while it was down: {node} does not list it",
        members=",".join(sorted(members)),
    )
    return node


def is_listed_by(mine: Member, node: str) -> bool:
    """Tell whether a running node lists this one as a member; one that does not answer does not."""
    try:
        return mine.node in peers.listed(mine, node, "db_nodes")
    except rpc.RpcError:
        return False


def _lists(mine: Member, nodes: set[str]) -> dict[str, frozenset[str]]:
    """Return the members that each of `nodes` lists, if it runs, in our cluster or with others."""

    def ask(node: str) -> frozenset[str]:
        if peers.state(mine, node) is not peers.State.UP:
            return frozenset()
        try:
            return peers.listed(mine, node, "db_nodes")
        except rpc.RpcError:
            return frozenset()

    return {node: members for node, members in peers.of_each(nodes, ask).items() if members}


def removed(mine: Member, target: str) -> RemovedError:
    """Return what to end with when the cluster has forgotten this node, and that may not be."""
    return RemovedError(
        f"Failed clustering {mine.node} with {target or 'its cluster'}: it was removed from its "
        "cluster while it was down, and has data of its own, which joining again would delete; set "
        "JOIN_DISCARDS_DATA=true to let it, or JOIN_CLUSTER=false to run it alone, or give it an "
        "empty volume"
    )


def whom_mnesia_waits_for(mine: Member) -> list[str]:
    """Return the members that a starting node waits for, those that may have newer data.

    Mnesia knows of each other member whether it went down before this one: those cannot have
    changed anything that this node does not know. The others can.
    """
    try:
        members = peers.listed(mine, mine.node, "db_nodes", ASK_TIMEOUT)
        running = peers.listed(mine, mine.node, "running_db_nodes", ASK_TIMEOUT)
        went_before = mine.erlang.rpc(mine.node, "mnesia_recover", "get_mnesia_downs", [])
    except rpc.RpcError:
        return []
    before = {str(name) for name in went_before} if isinstance(went_before, list) else set()
    return sorted(members - running - before)


def connect(mine: Member, awaited: list[str]) -> None:
    """Have a starting node connect to those that it waits for, if they run.

    Mnesia looks for the others once, when it starts; where the network or DNS was not ready then,
    it would wait for ever. Source: `mnesia:change_config/2`, `extra_db_nodes`.
    """
    for node in awaited:
        if peers.state(mine, node) not in {peers.State.UP, peers.State.ALONE}:
            continue
        mine.log.info(f"connecting {mine.node} to {node}, which it did not reach when it started")
        arguments = [Atom("extra_db_nodes"), [Atom(node)]]
        try:
            mine.erlang.rpc(mine.node, "mnesia", "change_config", arguments, CONNECT_TIMEOUT)
        except rpc.RpcError as error:
            mine.log.warning(f"{mine.node} cannot be connected to {node}", reason=str(error))


def schema_nodes(mine: Member) -> tuple[str, ...]:
    """Return the members that the schema on the disk lists, read without starting the node.

    Raises `ClusteringError` if it cannot be read.
    """
    source = os.path.join(mine.places.mnesia(mine.node), "schema.DAT")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "schema.DAT")
        try:
            shutil.copyfile(source, copy)
            return tuple(rpc.schema_nodes(mine.release, copy))
        except (OSError, rpc.RpcError) as error:
            raise ClusteringError(
                f"{source} cannot be read: {error}; restore the volume from a backup, or empty it"
            ) from None
