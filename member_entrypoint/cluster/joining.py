"""Joins a node to its cluster: waits for the node to join, and runs `join_cluster` on the VM."""

import time

from member_entrypoint import programs
from member_entrypoint.cluster import peers
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import ANSWER_TIMEOUT
from member_entrypoint.erlang import epmd, rpc
from member_entrypoint.errors import ClusteringError, TryAgainError
from member_entrypoint.network import names
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom, show

TARGET_DNS_TIMEOUT = 5.0  # seconds
LONGEST_JOIN = 60.0  # seconds for one run of join_cluster
TRIES = 3


def wait_until_joinable(member: Member, target: str, deadline: float) -> None:
    """Wait until the node `target` can be joined; log what is missing.

    Raises `ClusteringError` when `deadline`, an instant of `time.monotonic`, has passed.
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
    """Return why this node cannot join `target`, in words; empty if it can.

    The cheap questions come first: hosts file, DNS, the epmd of the other host. The node itself is
    asked only if its epmd knows it.
    """
    return _why_not_registered(member, target) or _why_not_serving(member, target)


def _why_not_registered(member: Member, target: str) -> str:
    """Return why no epmd at the addresses of `target` knows that node; empty if one does."""
    name, _, host = target.partition("@")
    answer = names.look_up(host, member.places, TARGET_DNS_TIMEOUT)
    if not answer.addresses:
        return f"no address for {host}: {answer.reason}"
    missing = ""
    for address in answer.addresses:
        known = epmd.names(address, port=member.erlang.reach.epmd_port)
        if known.names is None:
            missing = missing or known.reason
        elif name in known.names:
            return ""
        else:
            missing = f"the epmd of {host} ({address}) has no node {name}"
    return missing


def _why_not_serving(member: Member, target: str) -> str:
    """Return why the Mnesia of `target` is not known to run; empty if it runs."""
    try:
        running = peers.mnesia_nodes(member, target, "running_db_nodes", ANSWER_TIMEOUT)
    except rpc.NodeDownError:
        return (
            f"{target} refuses the connection: is its cookie the same (CLUSTER_COOKIE), and its "
            "vm.dist.args?"
        )
    except rpc.RpcError as error:
        return str(error)
    return "" if target in running else f"{target} is up, but its Mnesia does not run yet"


def remove_stale_entry(member: Member, target: str, deadline: float) -> None:
    """Remove this node, whose disk is empty, from the cluster of `target` if that still lists it.

    A node that joins while the others still list it can hang in the join (seen with MongooseIM
    6.8). A failure is logged only: the join may succeed all the same.
    """
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    try:
        if member.node not in peers.mnesia_nodes(member, target, "db_nodes", ANSWER_TIMEOUT):
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
    """Join the cluster of `target`; return when its Mnesia lists this node as running.

    MongooseIM's `join_cluster` does that on the running VM. Nodes that join at the same time can
    disturb each other, so it is tried up to `TRIES` times before `deadline`, an instant of
    `time.monotonic`, as long as the epmd of the other host knows `target`. Raises `TryAgainError`
    after that: this node must not serve while it waits for the next try.
    """
    pauses = Pauses(deadline)
    for left in reversed(range(TRIES)):
        outcome = _run_join_cluster(member, target, deadline)
        try:
            if member.node in peers.mnesia_nodes(
                member, target, "running_db_nodes", ANSWER_TIMEOUT
            ):
                return
        except rpc.RpcError as error:
            outcome = f"{outcome}; {error}"
        if left == 0 or pauses.over() or _why_not_registered(member, target):
            break
        member.log.warning(f"{member.node} could not join {target}, trying again", reason=outcome)
        pauses.pause()
    raise TryAgainError(f"{member.node} could not join {target}: {outcome}")


def _run_join_cluster(member: Member, target: str, deadline: float) -> str:
    """Run `join_cluster` once; return its status and output in words, in case it failed."""
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    command = [member.release.control_script, "join_cluster", "-f", target]
    try:
        output = programs.run(command, timeout)
    except programs.ProgramError as error:
        if error.status is None:
            raise TryAgainError(f"{member.node} could not join {target}: {error}") from None
        return str(error)
    return f"mongooseimctl join_cluster ended with status 0: {' '.join(output.split())[:400]}"
