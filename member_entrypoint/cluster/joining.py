"""Joins a node to its cluster on the running VM, and sees that it is a member then."""

import time

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.control import run_mongooseimctl
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang import epmd, rpc
from member_entrypoint.errors import ClusteringError, TryAgainError
from member_entrypoint.network import names
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom, show

DNS_TIMEOUT = 5.0
ASK_TIMEOUT = 10.0
LONGEST_JOIN = 60.0
TRIES = 3


def wait_until_joinable(member: Member, target: str, deadline: float) -> None:
    """Wait until the node to join serves and takes us in, saying what is missing.

    Raises `ClusteringError` when `deadline` has passed.
    """
    pauses = Pauses(deadline)
    announcement = peers.Announcement(member)
    while missing := why_not_joinable(member, target):
        if pauses.over():
            raise ClusteringError(
                f"Failed clustering {member.node} with {target}: {missing}; waited for it for "
                f"JOIN_TIMEOUT ({member.settings.join_timeout:g} s)"
            )
        if pauses.time_to_speak(missing):
            member.log.info(f"waiting for {target}", reason=missing, seconds_left=pauses.left())
        announcement.register()
        pauses.pause()
    announcement.withdraw()


def why_not_joinable(member: Member, target: str) -> str:
    """Return what keeps us from joining `target`, in words; empty if nothing does.

    First what costs nothing (hosts file, DNS, the other host's epmd), then, if all that is well,
    the node itself is asked.
    """
    return _why_not_registered(member, target) or _why_not_serving(member, target)


def _why_not_registered(member: Member, target: str) -> str:
    name, _, host = target.partition("@")
    answer = names.look_up(host, member.places, DNS_TIMEOUT)
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


def _why_not_serving(member: Member, target: str) -> str:
    try:
        running = peers.mnesia_nodes(member, target, "running_db_nodes", ASK_TIMEOUT)
    except rpc.NodeDownError:
        return (
            f"{target} refuses the connection: is its cookie the same (CLUSTER_COOKIE), and its "
            "vm.dist.args?"
        )
    except rpc.RpcError as error:
        return str(error)
    return "" if target in running else f"{target} is up, but its Mnesia does not run yet"


def remove_stale_entry(member: Member, target: str, deadline: float) -> None:
    """Have the cluster of `target` forget the node of our name that had the disk we lost.

    A node that joins while the others still list it can hang in the join (seen with MongooseIM
    6.8). That it cannot be removed is said, and no reason not to try the join.
    """
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    try:
        if member.node not in peers.mnesia_nodes(member, target, "db_nodes", ASK_TIMEOUT):
            return
        member.log.info(
            f"{target} lists {member.node}, whose data are lost: removing that entry first"
        )
        arguments = [Atom("schema"), Atom(member.node)]
        answer = member.erlang.rpc(target, "mnesia", "del_table_copy", arguments, timeout)
        reason = "" if answer == ("atomic", "ok") else show(answer)[:300]
    except rpc.RpcError as error:
        reason = str(error)
    if reason:
        member.log.warning(f"the entry of {member.node} could not be removed", reason=reason)


def join(member: Member, target: str, deadline: float) -> None:
    """Join the cluster of `target`; return when its Mnesia counts us among its running nodes.

    The join itself is MongooseIM's own `join_cluster` on the running VM. Two nodes that join at
    once can disturb each other, so it is tried again, as long as the other node is there. Raises
    `TryAgainError` if it is not: this node must not serve while it waits.
    """
    pauses = Pauses(deadline)
    for left in reversed(range(TRIES)):
        words = _run_join_cluster(member, target, deadline)
        try:
            if member.node in peers.mnesia_nodes(member, target, "running_db_nodes", ASK_TIMEOUT):
                return
        except rpc.RpcError as error:
            words = f"{words}; {error}"
        if left == 0 or pauses.over() or _why_not_registered(member, target):
            break
        member.log.warning(f"{member.node} could not join {target}, trying again", reason=words)
        pauses.pause()
    raise TryAgainError(f"{member.node} could not join {target}: {words}")


def _run_join_cluster(member: Member, target: str, deadline: float) -> str:
    """Run MongooseIM's `join_cluster` once; return its words, for the case that it failed."""
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    try:
        status, words = run_mongooseimctl(member.release, ["join_cluster", "-f", target], timeout)
    except TimeoutError:
        raise TryAgainError(
            f"join_cluster of {member.node} with {target} did not end within {timeout:.0f} s"
        ) from None
    return f"join_cluster ended with status {status}: {words}"
