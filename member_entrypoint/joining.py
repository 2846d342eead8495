"""Bringing a node into its cluster on the running VM, and seeing that it is there."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from member_entrypoint import epmd, erlang, founding, resolve
from member_entrypoint.errors import ClusteringError, StartError, TryAgainError
from member_entrypoint.member import Member
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom, show

DNS_TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0
LONGEST_JOIN = 60.0
TRIES = 3


def wait_for_addresses(mine: Member) -> None:
    """Wait until something listens on each address of `WAIT_FOR`.

    Raises `StartError` after `START_TIMEOUT`.
    """
    timeout = mine.settings.start_timeout
    pauses = Pauses(time.monotonic() + timeout)
    for host, port in mine.settings.wait_for:
        while missing := _not_listening(mine, host, port):
            if pauses.over():
                raise StartError(
                    f"nothing listens on {host}:{port}, which WAIT_FOR names ({missing}); "
                    f"waited for START_TIMEOUT ({timeout:g} s)"
                )
            if pauses.time_to_speak(missing):
                left = pauses.left()
                mine.log.info(f"waiting for {host}:{port}", reason=missing, seconds_left=left)
            pauses.pause()


def _not_listening(mine: Member, host: str, port: int) -> str:
    answer = resolve.look_up(host, mine.places, DNS_TIMEOUT)
    missing = answer.reason
    for address in answer.addresses:
        try:
            socket.create_connection((address, port), CONNECT_TIMEOUT).close()
        except OSError as error:
            missing = f"{address}: {error.strerror or error}"
        else:
            return ""
    return missing


def wait_until_there(mine: Member, target: str, deadline: float) -> None:
    """Wait until the node to join serves and takes us in, saying what is missing.

    Raises `ClusteringError` when `deadline` has passed.
    """
    pauses = Pauses(deadline)
    announcement = founding.Announcement(mine)
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
    answer = resolve.look_up(host, mine.places, DNS_TIMEOUT)
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
        running = _running_nodes(mine, target)
    except erlang.NodeDownError:
        return (
            f"{target} refuses the connection: is its cookie the same (CLUSTER_COOKIE), and its "
            "vm.dist.args?"
        )
    except erlang.RpcError as error:
        return str(error)
    return "" if target in running else f"{target} is up, but its Mnesia does not run yet"


def _running_nodes(mine: Member, node: str) -> list[str]:
    """Return the `running_db_nodes` of `node`'s Mnesia: members of its cluster that are up."""
    question = [Atom("running_db_nodes")]
    answer = mine.erlang.rpc(node, "mnesia", "system_info", question)
    if not isinstance(answer, list):
        raise erlang.RpcError(f"{node} does not say which nodes run: {show(answer)[:200]}")
    return [str(name) for name in answer]


def remove_stale_entry(mine: Member, target: str, deadline: float) -> None:
    """Have the cluster of `target` forget the node of our name that had the disk we lost.

    A node that joins while the others still list it can hang in the join (seen with MongooseIM
    6.8). That it cannot be removed is said, and no reason not to try the join.
    """
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    try:
        known = mine.erlang.rpc(target, "mnesia", "system_info", [Atom("db_nodes")])
        if mine.node not in [str(name) for name in known]:
            return
        mine.log.info(f"{target} lists {mine.node}, whose data are lost: removing that entry first")
        arguments = [Atom("schema"), Atom(mine.node)]
        answer = mine.erlang.rpc(target, "mnesia", "del_table_copy", arguments, timeout)
        reason = "" if answer == ("atomic", "ok") else show(answer)[:300]
    except erlang.RpcError as error:
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
            if mine.node in _running_nodes(mine, target):
                return
        except erlang.RpcError as error:
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


def check_membership(mine: Member, target: str, deadline: float) -> None:
    """See that the cluster of this node has other members, and say so.

    A busy node is asked again, until `deadline`. Raises `ClusteringError` if it does not answer, or
    if it is a cluster of its own, though it was told to join.
    """
    pauses = Pauses(deadline)
    while True:
        try:
            answer = mine.erlang.rpc(mine.node, "mnesia", "system_info", [Atom("db_nodes")])
            break
        except erlang.RpcError as error:
            if pauses.over():
                raise ClusteringError(
                    f"Failed clustering {mine.node} with {target}: the node does not say which "
                    f"nodes its cluster has: {error}"
                ) from None
            if pauses.time_to_speak(str(error)):
                mine.log.warning(f"{mine.node} does not answer yet", reason=str(error))
            pauses.pause()
    others = [str(name) for name in answer if name != mine.node]
    if not others:
        raise ClusteringError(
            f"Failed clustering {mine.node} with {target}: its volume says that it was a member, "
            "but its Mnesia knows no other node"
        )
    mine.log.info(f"MongooseIM node {mine.node} already clustered", members=",".join(others))
    mine.log.info(f"Clustered {mine.node} with {target if target in others else others[0]}")


def schema_nodes(mine: Member) -> tuple[str, ...]:
    """Return the members that the schema on the disk lists, read without starting the node.

    Raises `ClusteringError` if it cannot be read.
    """
    source = os.path.join(mine.places.mnesia(mine.node), "schema.DAT")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "schema.DAT")
        try:
            shutil.copyfile(source, copy)
            return tuple(erlang.schema_nodes(mine.release, copy))
        except (OSError, erlang.RpcError) as error:
            raise ClusteringError(
                f"{source} cannot be read: {error}; restore the volume from a backup, or empty it"
            ) from None
