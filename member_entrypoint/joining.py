"""Bringing the node into its cluster, on the running VM, and seeing that it is there."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from member_entrypoint import erlang, resolve
from member_entrypoint.errors import ClusteringError
from member_entrypoint.member import Member
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom

DNS_TIMEOUT = 5.0
LONGEST_JOIN = 120.0


def wait_until_there(mine: Member, target: str, deadline: float) -> None:
    """Wait until the node to join is up, saying what is missing; raises `ClusteringError`."""
    pauses = Pauses(deadline)
    while missing := whats_missing(mine, target):
        if pauses.over():
            raise ClusteringError(
                f"Failed clustering {mine.node} with {target}: {missing}; waited for it until "
                f"JOIN_TIMEOUT ({mine.settings.join_timeout:g} s)"
            )
        if pauses.time_to_speak(missing):
            mine.log.info(f"waiting for {target}", reason=missing, seconds_left=pauses.left())
        pauses.pause()


def whats_missing(mine: Member, target: str) -> str:
    """Return what keeps us from reaching `target`, in words; empty if nothing does.

    Asks the hosts file, DNS and the other host's epmd; boots no VM.
    """
    name, _, host = target.partition("@")
    answer = resolve.look_up(host, mine.places, DNS_TIMEOUT)
    if not answer.addresses:
        return f"no address for {host}: {answer.reason}"
    missing = ""
    for address in answer.addresses:
        epmd = erlang.epmd_names(address)
        if epmd.names is None:
            missing = missing or epmd.reason
        elif name in epmd.names:
            return ""
        else:
            missing = f"no node {name} is registered with the epmd of {host} ({address})"
    return missing


def join(mine: Member, target: str, deadline: float) -> None:
    """Join the cluster of `target`, trying until `deadline`; return when `db_nodes` says so.

    Raises `ClusteringError`. The join itself is MongooseIM's own `join_cluster`, on the running
    VM; one that fails is tried again, since two nodes that join at once can disturb each other.
    """
    pauses = Pauses(deadline)
    while True:
        missing = whats_missing(mine, target)
        if not missing:
            if target in members(mine, mine.node):
                return
            missing = _try(mine, target, deadline)
            if target in members(mine, mine.node):
                return
        if pauses.over():
            raise ClusteringError(
                f"Failed clustering {mine.node} with {target}: {missing}; tried until "
                f"JOIN_TIMEOUT ({mine.settings.join_timeout:g} s)"
            )
        if pauses.time_to_speak(missing):
            mine.log.warning(
                f"{mine.node} could not join {target} yet, trying again",
                reason=missing,
                seconds_left=pauses.left(),
            )
        pauses.pause()


def _try(mine: Member, target: str, deadline: float) -> str:
    """Run MongooseIM's `join_cluster` once; return its words, for the case that it failed."""
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    process = subprocess.Popen(
        [mine.release.control_script, "join_cluster", "-f", target],
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
        raise ClusteringError(
            f"Failed clustering {mine.node} with {target}: join_cluster did not end within "
            f"{timeout:.0f} s; the next start tries again"
        ) from None
    words = " ".join(said.split())
    return f"join_cluster ended with status {process.returncode}: {words[:400]}"


def members(mine: Member, node: str) -> list[str]:
    """Return the `db_nodes` of `node`'s Mnesia; empty if it cannot say."""
    try:
        answer = erlang.rpc(
            mine.release, mine.node, node, "mnesia", "system_info", [Atom("db_nodes")]
        )
    except erlang.RpcError as error:
        mine.log.warning(f"{node} cannot say which nodes its cluster has", reason=str(error))
        return []
    return [str(name) for name in answer] if isinstance(answer, list) else []


def check_membership(mine: Member, target: str) -> None:
    """See that the cluster of this node has other members, and say so.

    Raises `ClusteringError` if it is a cluster of its own, though it was told to join.
    """
    others = [name for name in members(mine, mine.node) if name != mine.node]
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
