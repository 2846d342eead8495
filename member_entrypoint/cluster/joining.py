"""Bringing a node into its cluster on the running VM, and seeing that it is there."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.facts import read_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang import epmd, rpc
from member_entrypoint.errors import ClusteringError, RemovedError, TryAgainError
from member_entrypoint.network import names
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom, show

DNS_TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0
ASK_TIMEOUT = 10.0
LONGEST_JOIN = 60.0
TRIES = 3


def wait_until_there(mine: Member, target: str, deadline: float) -> None:
    """Wait until the node to join serves and takes us in, saying what is missing.

    Raises `ClusteringError` when `deadline` has passed.
    """
    pauses = Pauses(deadline)
    announcement = peers.Announcement(mine)
    while missing := whats_missing(mine, target):
        if pauses.over():
            raise ClusteringError(
                f"Failed clustering {mine.node} with {target}: {missing}; waited for it for "
                f"JOIN_TIMEOUT ({mine.settings.join_timeout:g} s)"
            )
        if pauses.time_to_speak(missing):
            mine.log.info(f"waiting for {target}", reason=missing, seconds_left=pauses.left())
        announcement.make()
        pauses.pause()
    announcement.take_back()


def whats_missing(mine: Member, target: str) -> str:
    """Return what keeps us from joining `target`, in words; empty if nothing does.

    First what costs nothing (hosts file, DNS, the other host's epmd), then, if all that is well,
    the node itself is asked.
    """
    return _not_registered(mine, target) or _not_serving(mine, target)


def _not_registered(mine: Member, target: str) -> str:
    name, _, host = target.partition("@")
    answer = names.look_up(host, mine.places, DNS_TIMEOUT)
    if not answer.addresses:
        return f"no address for {host}: {answer.reason}"
    missing = ""
    for address in answer.addresses:
        known = epmd.names(address)
        if known.names is None:
            missing = missing or known.reason
        elif name in known.names:
            return ""
        else:
            missing = f"the epmd of {host} ({address}) has no node {name}"
    return missing


def _not_serving(mine: Member, target: str) -> str:
    try:
        running = peers.listed(mine, target, "running_db_nodes", ASK_TIMEOUT)
    except rpc.NodeDownError:
        return (
            f"{target} refuses the connection: is its cookie the same (CLUSTER_COOKIE), and its "
            "vm.dist.args?"
        )
    except rpc.RpcError as error:
        return str(error)
    return "" if target in running else f"{target} is up, but its Mnesia does not run yet"


def remove_stale_entry(mine: Member, target: str, deadline: float) -> None:
    """Have the cluster of `target` forget the node of our name that had the disk we lost.

    A node that joins while the others still list it can hang in the join (seen with MongooseIM
    6.8). That it cannot be removed is said, and no reason not to try the join.
    """
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    try:
        if mine.node not in peers.listed(mine, target, "db_nodes", ASK_TIMEOUT):
            return
        mine.log.info(f"{target} lists {mine.node}, whose data are lost: removing that entry first")
        arguments = [Atom("schema"), Atom(mine.node)]
        answer = mine.erlang.rpc(target, "mnesia", "del_table_copy", arguments, timeout)
        reason = "" if answer == ("atomic", "ok") else show(answer)[:300]
    except rpc.RpcError as error:
        reason = str(error)
    if reason:
        mine.log.warning(f"the entry of {mine.node} could not be removed", reason=reason)


def join(mine: Member, target: str, deadline: float) -> None:
    """Join the cluster of `target`; return when its Mnesia counts us among its running nodes.

    The join itself is MongooseIM's own `join_cluster` on the running VM. Two nodes that join at
    once can disturb each other, so it is tried again, as long as the other node is there. Raises
    `TryAgainError` if it is not: this node must not serve while it waits.
    """
    pauses = Pauses(deadline)
    for left in reversed(range(TRIES)):
        words = _try(mine, target, deadline)
        try:
            if mine.node in peers.listed(mine, target, "running_db_nodes", ASK_TIMEOUT):
                return
        except rpc.RpcError as error:
            words = f"{words}; {error}"
        if left == 0 or pauses.over() or _not_registered(mine, target):
            break
        mine.log.warning(f"{mine.node} could not join {target}, trying again", reason=words)
        pauses.pause()
    raise TryAgainError(f"{mine.node} could not join {target}: {words}")


def leave(mine: Member, deadline: float) -> None:
    """Run MongooseIM's `leave_cluster`; raises `ClusteringError` with its words if it fails."""
    timeout = max(1.0, deadline - time.monotonic())
    try:
        status, words = _control(mine, ["leave_cluster", "-f"], timeout)
    except TimeoutError:
        status, words = -1, f"it did not end within {timeout:.0f} s"
    if status != 0:
        raise ClusteringError(f"{mine.node} could not leave its cluster: {words}")


def _try(mine: Member, target: str, deadline: float) -> str:
    """Run MongooseIM's `join_cluster` once; return its words, for the case that it failed."""
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    try:
        status, words = _control(mine, ["join_cluster", "-f", target], timeout)
    except TimeoutError:
        raise TryAgainError(
            f"join_cluster of {mine.node} with {target} did not end within {timeout:.0f} s"
        ) from None
    return f"join_cluster ended with status {status}: {words}"


def _control(mine: Member, arguments: list[str], timeout: float) -> tuple[int, str]:
    """Run `mongooseimctl`; return its status and words. Raises TimeoutError, having ended it."""
    process = subprocess.Popen(
        [mine.release.control_script, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise TimeoutError from None
    return process.returncode, " ".join(said.split())[:400]


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
