"""What a start would do about the cluster: the decision itself, made of facts that are gathered.

Nobody is waited for and nothing is written: where a start waits, that is said, and what it does
when the time is over.
"""

from member_entrypoint.cluster import facts, looking, words
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.inference import has_data, unknown
from member_entrypoint.cluster.knowledge import Decision, Known, Peer, Phase, State, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.diagnosis import volume
from member_entrypoint.diagnosis.findings import NOT_DEFINED, Findings
from member_entrypoint.errors import ClusteringError
from member_entrypoint.log import counted

MOST_ROUNDS = 20  # of asking: each asks somebody who was not asked before
TIMEOUT = 4.0
"""Seconds for DNS, a third of them for epmd, and again for the node: together less than all that
`check` has."""
SAYS_NOTHING = frozenset({State.ABSENT, State.UNKNOWN})


def look(found: Findings, member: Member) -> None:
    """Say what a start would do, and what was seen of the other nodes."""
    known = facts.read_known(member, schema=True)
    volume.whose_data(found, known)
    if not member.is_alone and not member.erlang.reach.direct:
        found.warning(
            "plan",
            "other nodes cannot be asked: only an Erlang VM speaks what vm.dist.args configures",
            "start it to see",
        )
        return
    known, decision = _decided(member, known)
    if decision.step is Step.RUN and not known.alone:
        known, decision = _decided(member, known._replace(phase=Phase.BESIDE, peers=None))
    _say_peers(found, known, decision)
    found.plan = _in_words(found, member, known, decision)


def _decided(member: Member, known: Known) -> tuple[Known, Decision]:
    """Return what is decided when all that matter were asked once."""
    decision = decide(known)
    for _ in range(MOST_ROUNDS):
        if decision.step is not Step.ASK:
            break
        known = looking.ask(member, known, decision.whom, TIMEOUT)
        decision = decide(known)
    return known, decision


def _say_peers(found: Findings, known: Known, decision: Decision) -> None:
    """Note how each other node runs that was seen; those that the decision is about in any case."""
    if untold := unknown(known):
        first = (known.peers or {})[untold[0]]
        text = f"DNS does not say whether {', '.join(untold)} exist ({first.why})"
        found.warning("node", text, "see DNS, if there are others")
    for node, peer in sorted((known.peers or {}).items()):
        if peer.state is State.UP:
            found.ok("node", f"{node} runs, with {_members(peer)}")
        elif peer.state in {State.EMPTY, State.KNOWING}:
            found.ok("node", f"{node}: {peer.state.value}")
        elif peer.state is State.REFUSES:
            text = peer.why or f"{node} refuses the connection"
            status = NOT_DEFINED if has_data(known) else ClusteringError.status
            found.error("node", text, "give all members the same cookie", status)
        elif peer.state is State.OTHER_NAME:
            found.error("node", peer.why, status=ClusteringError.status)
        elif peer.state not in SAYS_NOTHING or node in decision.whom:
            text = f"{node}: {peer.state.value}"
            found.warning("node", f"{text} ({peer.why})" if peer.why else text, _advice(peer))


def _advice(peer: Peer) -> str:
    if peer.state in {State.SILENT, State.BUSY}:
        return "see whether it runs, and what is between"
    if peer.state in {State.STOPPED, State.ABSENT}:
        return "start it"
    return "wait for it"


def _members(peer: Peer) -> str:
    text = f"{counted(len(peer.members), 'member')} in its cluster"
    away = peer.members - peer.running
    return f"{text}, of which {', '.join(sorted(away))} does not run" if away else text


def _in_words(found: Findings, member: Member, known: Known, decision: Decision) -> str:
    """Return what a start would do; an end with the reason becomes a finding, too."""
    if decision.step is Step.RUN:
        return _runs(member, known, decision)
    if decision.step is Step.EXAMINE:
        found.warning(
            "data",
            "the schema on the volume can be read by an Erlang VM only, so it is not known whose "
            "cluster it is of",
            "start it to see",
        )
        return "would have its schema read by an Erlang VM, and decide then"
    if decision.step is Step.JOIN:
        return _joins(known, decision.whom[0])
    if decision.step is Step.START_CLUSTER:
        doubt = ", and go on looking for another one" if not decision.certain else ""
        return f"would start a new cluster: no other member was found{doubt}"
    if decision.step is Step.WAIT:
        return _waits(found, member, known, decision)
    error = words.refusal(known, decision, member.settings.join_timeout)
    found.error("plan", str(error), status=ClusteringError.status)
    return f"would end with status {ClusteringError.status}, before it serves"


def _runs(member: Member, known: Known, decision: Decision) -> str:
    if known.alone:
        why = "CETS needs no join" if member.settings.join_cluster else "JOIN_CLUSTER=false"
        return f"would run alone: {why}"
    others = sorted((known.members or frozenset()) - {known.node})
    text = "would run with the data on its volume"
    if others:
        text += f", as a member beside {', '.join(others)}"
    return text if decision.certain else f"{text}; whether others run apart is not known"


def _joins(known: Known, node: str) -> str:
    peer = (known.peers or {})[node]
    loses = ", and lose the data on its volume" if has_data(known) else ""
    return f"would join {node}, which has {counted(len(peer.members), 'member')}{loses}"


def _waits(found: Findings, member: Member, known: Known, decision: Decision) -> str:
    """Return for whom it would wait, and what it would do if nothing changes."""
    text, reason = words.waits(known, decision)
    text = f"would wait {text.removeprefix('waiting ')} ({reason})"
    timeout = member.settings.join_timeout
    later = decide(known._replace(patience_over=True))
    if later.step is not Step.WAIT:
        then = _in_words(found, member, known, later)
        return f"{text}, for {looking.DNS_PATIENCE:g} s; then it {then}"
    if known.phase is not Phase.BEFORE:
        return f"{text}, before it is ready"
    over = decide(known._replace(time_over=True))
    if over.step is Step.REFUSE:
        refused = words.refusal(known, over, timeout)
        found.warning("plan", f"if nothing changes within JOIN_TIMEOUT ({timeout:g} s): {refused}")
    return f"{text}, for JOIN_TIMEOUT ({timeout:g} s) at most"
