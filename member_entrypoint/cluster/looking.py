"""Asks the others until the decision is made: before the VM runs, beside it, and later on."""

import os
import time
from collections.abc import Iterable

from member_entrypoint import state
from member_entrypoint.cluster import facts, peers, words
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.inference import announced, has_data
from member_entrypoint.cluster.knowledge import Decision, Known, Phase, Silence, State, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang import rpc
from member_entrypoint.errors import ClusteringError
from member_entrypoint.network import surroundings
from member_entrypoint.pauses import Pauses

DNS_PATIENCE = 5.0  # seconds to wait for a DNS that answers nothing
LONGEST_PAUSE_IF_REFUSED = 60.0
"""Seconds; each try with a wrong cookie is a line in the log of the other node."""


def decide_before(
    member: Member, deadline: float, *, again: bool = False
) -> tuple[Known, Decision]:
    """Return what a node does when its VM is to start, and what is known then.

    Waits until `deadline`, an instant of `time.monotonic`, and says for whom. `again`: an earlier
    VM of this container has met what it could not go on with. Raises `ClusteringError`.
    """
    from member_entrypoint.cluster.announcement import Announcement

    known = facts.read_known(member, schema=True)._replace(again=again)
    pauses, announcement = Pauses(deadline), Announcement(member)
    patience = time.monotonic() + DNS_PATIENCE
    if known.target is not None and not has_data(known):
        member.log.info(f"MongooseIM node {member.node} joining {known.target}")
    while True:
        now = time.monotonic()
        known = known._replace(time_over=pauses.over(), patience_over=now >= patience)
        decision = decide(known)
        if decision.step is Step.ASK:
            known = ask(member, known, decision.whom)
        elif decision.step is Step.EXAMINE:
            known = _examined(member, known)
        elif decision.step is Step.WAIT:
            text, reason = words.waits(known, decision)
            if pauses.time_to_speak(text + reason):
                member.log.info(text, reason=reason, seconds_left=pauses.left())
                state.note_wait(member.places.root, text, reason, pauses.deadline)
            announcement.say(announced(known))
            pauses.pause(longest=_longest_pause(known, decision))
            known = known._replace(peers=None)
        elif decision.step is Step.REFUSE:
            raise words.refusal(known, decision, member.settings.join_timeout)
        else:
            announcement.withdraw()
            return known, decision


def ask(
    member: Member,
    known: Known,
    whom: Iterable[str] = (),
    timeout: float = peers.ANSWER_TIMEOUT,
) -> Known:
    """Return what is known after all that matter were asked; `whom`: only whether those are there.

    `timeout` in seconds is that of each question to those on whom all depends.

    A primary asks all names that members may have; a node that joins asks the node to join, and
    those whom it knows from before.
    """
    if whom:
        found = dict(known.peers or {})
        found.update(peers.reach(member, whom))
        return known._replace(peers=found)
    record = known.record
    nodes = {known.target or "", record.other if "@" in record.other else ""}
    nodes |= record.members | (known.members or frozenset())
    if known.target is None:
        nodes |= set(peers.candidates(member))
        return _ask_in_dns(member, known, nodes - {"", known.node})
    if known.phase is not Phase.BEFORE:
        return _ask_in_dns(member, known, nodes - {"", known.node})
    found = peers.look_at(member, nodes - {"", known.node}, timeout)
    return known._replace(peers=found)


def _ask_in_dns(member: Member, known: Known, nodes: set[str]) -> Known:
    """Ask `nodes`, and see meanwhile what it means where DNS does not know them."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        seeing = pool.submit(surroundings.see, member.host, member.places, peers.SCAN_DNS_TIMEOUT)
        found = peers.look_at(member, nodes)
        seen = seeing.result()
    return known._replace(peers=found, silence=silence_of(seen), hidden=seen.hidden)


def silence_of(seen: surroundings.Surroundings) -> Silence:
    """Return what it means that DNS does not answer, from what was seen around."""
    if seen.own_name or seen.alone:
        return Silence.NOBODY
    return Silence.OUTAGE if seen.kubernetes else Silence.DOUBT


def _longest_pause(known: Known, decision: Decision) -> float | None:
    found = known.peers or {}
    refused = any(node in found and found[node].state is State.REFUSES for node in decision.whom)
    return LONGEST_PAUSE_IF_REFUSED if refused else None


def _examined(member: Member, known: Known) -> Known:
    """Return what is known after a VM has read the schema; raises `ClusteringError`.

    A copy of it is read, since Mnesia repairs what it opens.
    """
    import shutil
    import tempfile

    source = facts.schema_file(member.places, member.node)
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "schema.DAT")
        try:
            shutil.copyfile(source, copy)
            identity, members = rpc.ask_vm_for_schema(member.release, copy)
        except (OSError, rpc.RpcError) as error:
            raise ClusteringError(
                f"{source} cannot be read: {error}; restore the volume from a backup"
            ) from None
    return known._replace(identity=identity, members=members)
