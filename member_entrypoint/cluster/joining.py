"""Joins a node to its cluster: the effects, from the marker to `join_cluster` on the VM."""

import contextlib
import os
import time
from collections.abc import Iterator

from member_entrypoint import counts, programs, state
from member_entrypoint.cluster import facts, peers, words
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.inference import clears
from member_entrypoint.cluster.knowledge import Known, Marker, Peer, Phase, Record, State, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import ANSWER_TIMEOUT
from member_entrypoint.erlang import distribution, rpc
from member_entrypoint.erlang.reach import for_control_script
from member_entrypoint.errors import ClusteringError, TryAgainError
from member_entrypoint.network import surroundings
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom, show

LONGEST_JOIN = 60.0  # seconds for one run of join_cluster
TRIES = 3
TRUE = Atom("true")
LOCK = Atom("mongooseim_entrypoint_join")


def prepare_to_join(member: Member, known: Known, target: str, deadline: float) -> None:
    """Note that this node joins `target`; have what is left of an earlier life out of the way.

    A kill between any two of these steps leaves a state from which the next start joins. Raises
    `ClusteringError`.
    """
    if target != known.target:
        member.log.info(f"MongooseIM node {member.node} joining {target}")
    peer = (known.peers or {})[target]
    record = Record(Marker.JOINING, target, peer.identity, peer.members)
    facts.write_marker(member.places, member.node, record)
    if clears(known, peer):
        delete_unused_schema(member)
    if not facts.has_schema(member.places, member.node) and member.node in peer.members:
        remove_stale_entry(member, target, deadline)


def delete_unused_schema(member: Member) -> None:
    """Delete a schema that nobody has used, and what belongs to it; the schema itself last.

    Raises `ClusteringError`.
    """
    import shutil

    schema = facts.schema_file(member.places, member.node)
    folder = os.path.dirname(schema)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.path == schema:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
        os.unlink(schema)
    except OSError as error:
        raise ClusteringError(
            f"{folder} holds a schema that nobody has used and that cannot be deleted: {error}"
        ) from None


def remove_stale_entry(member: Member, target: str, deadline: float) -> None:
    """Remove this node, whose disk is empty, from the cluster of `target`, which lists it.

    A node that joins while the others still list it can hang in the join (seen with MongooseIM
    6.8). A failure is logged only: the join may succeed all the same. A Mnesia that waits for this
    very node refuses; it goes on once this node has joined it.
    """
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    member.log.info(f"{target} lists {member.node}, which has no data: removing that entry first")
    arguments = [Atom("schema"), Atom(member.node)]
    try:
        answer = member.erlang.rpc(target, "mnesia", "del_table_copy", arguments, timeout)
        reason = "" if answer == ("atomic", "ok") else show(answer)[:300]
    except rpc.RpcError as error:
        reason = str(error)
    if reason:
        member.log.warning(f"the entry of {member.node} could not be removed", reason=reason)


def join(member: Member, target: str, deadline: float) -> Peer:
    """Join the cluster of `target`; return what it says when it lists this node as running.

    MongooseIM's `join_cluster` does that on the running VM. Right before, it is decided once more.
    Nodes that join at the same time can disturb each other, so it is tried up to `TRIES` times
    before `deadline`, an instant of `time.monotonic`, as long as the epmd of the other host knows
    `target`. Raises `TryAgainError` after that: this node must not serve while it waits for the
    next try.
    """
    pauses = Pauses(deadline)
    record = facts.read_marker(member.places, member.node)
    seen = surroundings.see(member.host, member.places, peers.SCAN_DNS_TIMEOUT)
    for left in reversed(range(TRIES)):
        with _turn(member, target, pauses) if seen.hidden else contextlib.nullcontext():
            _wait_until_it_may(member, target, record, pauses, hidden=seen.hidden)
            state.end_wait(member.places.root)
            outcome = _run_join_cluster(member, target, deadline)
        peer = peers.look_at(member, [target], ANSWER_TIMEOUT)[target]
        if member.node in peer.running:
            _check_identity(member, target, record, peer)
            return peer
        counts.add(member.settings.root, counts.FAILED_JOINS)
        outcome = f"{outcome}; {peer.why}" if peer.why else outcome
        if left == 0 or pauses.over() or peer.state in {State.STOPPED, State.ABSENT, State.SILENT}:
            break
        member.log.warning(f"{member.node} could not join {target}, trying again", reason=outcome)
        pauses.pause()
    raise TryAgainError(f"{member.node} could not join {target}: {outcome}")


def _check_identity(member: Member, target: str, record: Record, peer: Peer) -> None:
    """See that what was joined is what was to be joined; raises `TryAgainError`."""
    if record.identity and peer.identity and peer.identity != record.identity:
        raise TryAgainError(
            f"{member.node} has joined {target} while that left its cluster; it looks again"
        )


def _wait_until_it_may(
    member: Member, target: str, record: Record, pauses: Pauses, *, hidden: bool
) -> None:
    """Decide once more whether to join `target` now: it, or those with it, may have changed.

    Those that were members when the VM was started were reached then, if they ran: where some are
    `hidden`, not in DNS before they are ready, all are asked for again. Raises `TryAgainError` if
    `target` itself is not there any more: it is waited for without a VM.
    """
    reached = frozenset[str]() if hidden else record.members
    while True:
        known = facts.read_known(member, schema=False)._replace(phase=Phase.BESIDE, record=record)
        found = {node: Peer(State.REGISTERED) for node in reached}
        found |= peers.look_at(member, [target], ANSWER_TIMEOUT)
        known = known._replace(peers=found, target=target)
        decision = decide(known)
        if decision.step is Step.ASK:
            known = known._replace(peers=found | peers.reach(member, decision.whom))
            decision = decide(known)
        if decision.step is Step.JOIN:
            return
        text, reason = words.waits(known, decision)
        if decision.step is not Step.WAIT or target in decision.whom or pauses.over():
            raise TryAgainError(f"{member.node} does not join {target} now: {reason}")
        if pauses.time_to_speak(text + reason):
            member.log.info(text, reason=reason, seconds_left=pauses.left())
            state.note_wait(member.places.root, text, reason, pauses.deadline)
        pauses.pause()


@contextlib.contextmanager
def _turn(member: Member, target: str, pauses: Pauses) -> Iterator[None]:
    """Join one after the other, where members are not in DNS before they are ready.

    Two that join at once would not see each other, and `global` would split the cluster. The turn
    is a lock of `global` on `target`, which frees it when our connection is gone.
    """
    try:
        connection = member.erlang.connect(target, ANSWER_TIMEOUT)
    except (rpc.NodeDownError, distribution.DistributionError) as error:
        raise TryAgainError(f"{member.node} cannot join {target} now: {error}") from None
    with connection:
        wanted = (Atom("set_lock"), (LOCK, connection.pid))
        try:
            while connection.request_all("global_name_server", [wanted], ANSWER_TIMEOUT) != [TRUE]:
                if pauses.over():
                    raise TryAgainError(f"{member.node} has waited for its turn to join {target}")
                if pauses.time_to_speak("turn"):
                    text = f"waiting for its turn to join {target}"
                    reason = "another node joins, and it is in DNS only when it is ready"
                    member.log.info(text, reason=reason)
                    state.note_wait(member.places.root, text, reason, pauses.deadline)
                pauses.pause()
        except distribution.DistributionError as error:
            raise TryAgainError(f"{member.node} cannot join {target} now: {error}") from None
        yield


def _run_join_cluster(member: Member, target: str, deadline: float) -> str:
    """Run `join_cluster` once; return its status and output in words, in case it failed."""
    timeout = max(1.0, min(LONGEST_JOIN, deadline - time.monotonic()))
    command = [member.release.control_script, "join_cluster", "-f", target]
    try:
        output = programs.run(
            command, timeout, for_control_script(member.erlang.reach, member.settings)
        )
    except programs.ProgramError as error:
        if error.status is None:
            raise TryAgainError(f"{member.node} could not join {target}: {error}") from None
        return str(error)
    return f"mongooseimctl join_cluster ended with status 0: {' '.join(output.split())[:400]}"
