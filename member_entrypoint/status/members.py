"""The members of a cluster, one row for each: what it says, and why it is missing, if it is."""

from member_entrypoint import state
from member_entrypoint.cluster.knowledge import NOBODY, Nodes, Peer, State
from member_entrypoint.cluster.partition_rule import Missing, why_missing
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.status.survey import Survey


class Row(NamedTuple):
    """One member, as this node sees it, and how it sees the others.

    `state` is a word or two, `missing` is why it does not run with this node, `why` what was seen.
    `lists` and `runs_with` are None where it does not say. `agrees`: it lists, and runs with, those
    that this node does (or where that does not run, the first that does), in one cluster; None
    where it does not say. `member` is False for a node that is no member, as far as is known.
    """

    node: str
    own: bool
    member: bool
    state: str
    missing: Missing | None
    why: str
    identity: str
    lists: Nodes | None
    runs_with: Nodes | None
    agrees: bool | None


STATES = {
    State.ABSENT: "absent",
    State.UNKNOWN: "unknown",
    State.STOPPED: "stopped",
    State.SILENT: "silent",
    State.REFUSES: "refuses",
    State.BUSY: "busy",
    State.OTHER_NAME: "other name",
    State.EMPTY: "waits",
    State.KNOWING: "waits",
    State.REGISTERED: "registered",
    State.STARTING: "starts",
    State.GOING: "stops",
    State.UP: "runs",
}

RUNNING = frozenset({State.STARTING, State.UP})
"""States of a node whose VM answers; without Mnesia, that is all that it can say."""


def is_cets(survey: Survey) -> bool:
    """Tell whether this node runs with CETS and without Mnesia."""
    own = survey.own
    return bool(survey.cets and survey.cets.only and own and own.state in RUNNING)


def members_of(survey: Survey) -> Nodes:
    """Return the members of this node's cluster: as it says itself, else as its disk does."""
    own = survey.own
    if own and own.members and own.state in {State.UP, State.STARTING}:
        return own.members
    return survey.disk.members or survey.disk.record.members


def missing(survey: Survey) -> dict[str, Missing]:
    """Return why each of the members that do not run with this node does not, by their names."""
    own = survey.own
    running = own.running if own and own.state is State.UP else NOBODY
    away = sorted(members_of(survey) - running - {survey.node})
    peers = survey.peers
    found = {node: peers[node] for node in away if node in peers}
    reasons = {
        node: why_missing(survey.node, survey.identity, peer) for node, peer in found.items()
    }
    if not (own and own.state is State.UP):
        # Nobody runs apart from a node that does not run.
        reasons = {
            node: why
            for node, why in reasons.items()
            if found[node].state is not State.UP or why is Missing.ELSEWHERE
        }
    return reasons


def rows(survey: Survey) -> list[Row]:
    """Return a row for each member, for this node, and for each node that is waited for."""
    members = members_of(survey)
    reference = _reference(survey)
    away = missing(survey)
    now = survey.notes.state
    shown = members | {survey.node} | _listed(survey)
    if survey.cets or now in {state.WAITING, state.STARTING}:
        shown |= survey.peers.keys()
    listed = (survey.cets.listed if survey.cets else None) or ()
    found = []
    for node in sorted(shown - {""}, key=_in_order):
        peer = survey.peers.get(node, Peer(State.UNKNOWN, why=survey.cannot_ask))
        says = peer.state is State.UP and not is_cets(survey)
        found.append(
            Row(
                node=node,
                own=node == survey.node,
                member=node in members or node in listed,
                state=_state(survey, node, peer, away.get(node)),
                missing=away.get(node),
                why="" if _is_told(survey, node, peer) else peer.why,
                identity=peer.identity,
                lists=peer.members if says else None,
                runs_with=peer.running if says else None,
                agrees=_agrees(peer, reference) if says and reference else None,
            )
        )
    return found


def _is_told(survey: Survey, node: str, peer: Peer) -> bool:
    """Tell whether what was seen of a node says nothing new: it starts, or has no Mnesia."""
    starts = node == survey.node and survey.notes.state != state.SERVING
    return starts or (peer.state in RUNNING and is_cets(survey))


def _listed(survey: Survey) -> Nodes:
    """Return all that the members of this node's cluster list."""
    peers = [peer for peer in survey.peers.values() if peer.state is State.UP]
    ours = [peer.members for peer in peers if peer.identity == survey.identity]
    return NOBODY.union(*ours)


def _in_order(node: str) -> tuple[str | int, ...]:
    """Sort names so that ordinal 10 comes after 9; a pair of text and number for each part."""
    parts: list[str | int] = []
    digits = text = ""
    for letter in f"{node}\0":
        if letter.isdecimal() and letter.isascii():
            digits += letter
            continue
        if digits:
            parts += [text, int(digits)]
            digits = text = ""
        text += letter
    return (*parts, text)


def _reference(survey: Survey) -> Peer | None:
    """Return what the others are compared with: what this node says, or the first that runs."""
    candidates = [survey.own, *(survey.peers[node] for node in sorted(survey.peers))]
    return next((peer for peer in candidates if peer and peer.state is State.UP), None)


def _agrees(peer: Peer, reference: Peer) -> bool:
    same = peer.identity == reference.identity or "" in {peer.identity, reference.identity}
    return same and peer.members == reference.members and peer.running == reference.running


def _state(survey: Survey, node: str, peer: Peer, why: Missing | None) -> str:
    """Return the state of a member in a word or two."""
    own_state = survey.notes.state
    if node == survey.node and own_state != state.SERVING:
        return {state.WAITING: "waits", state.STARTING: "starts"}.get(own_state, "stops")
    if why is Missing.ELSEWHERE:
        return "elsewhere"
    if why is Missing.APART:
        return "apart"
    if peer.state in RUNNING and is_cets(survey):
        return "runs"
    if peer.state is State.UP and not peer.serves:
        return "starts"
    return STATES[peer.state]
