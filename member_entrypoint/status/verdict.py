"""The verdict: one sentence that says how this node and its cluster are, and what to do."""

from collections.abc import Iterable
from enum import Enum

from member_entrypoint import state
from member_entrypoint.cluster.knowledge import NOBODY, Known, State
from member_entrypoint.cluster.partition_rule import Missing, loses
from member_entrypoint.health import probe
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.log import counted
from member_entrypoint.status.members import is_cets, members_of, missing, rows
from member_entrypoint.status.survey import Survey

MOST_NAMED = 3  # members that the sentence names


class Kind(Enum):
    """What the sentence says, for programs."""

    TOGETHER = "together"
    ALONE = "alone"
    CETS = "cets"
    NO_SERVER = "no_server"
    NOT_LIVE = "not_live"
    NO_ANSWER = "no_answer"
    NOT_ASKED = "not_asked"
    WAITING = "waiting"
    STARTING = "starting"
    STOPPING = "stopping"
    LEFT = "left"
    LOSING = "losing"
    SPLIT = "split"
    OTHER_CLUSTER = "other_cluster"
    MISSING = "missing"
    DISAGREE = "disagree"
    NOT_READY = "not_ready"
    HELPER_FAILS = "helper_fails"


WELL = frozenset({Kind.TOGETHER, Kind.ALONE, Kind.CETS})
UNDER_WAY = frozenset({Kind.WAITING, Kind.STARTING, Kind.STOPPING})
"""Neither well nor broken: what an operator may have asked for."""


class Verdict(NamedTuple):
    """One sentence, and what to do; empty where nothing needs to be done."""

    kind: Kind
    text: str
    to_do: str = ""

    @property
    def well(self) -> bool:
        """Whether all is well."""
        return self.kind in WELL


PHRASES = {
    Missing.DOWN: ("does not run", "do not run"),
    Missing.BUSY: ("does not answer", "do not answer"),
    Missing.ELSEWHERE: ("runs in another cluster", "run in another cluster"),
    Missing.REFUSES: ("refuses the connection", "refuse the connection"),
    Missing.SILENT: ("cannot be reached", "cannot be reached"),
    Missing.APART: ("runs apart", "run apart"),
}


def judge(survey: Survey) -> Verdict:
    """Return the verdict: the first of these that applies."""
    for rule in RULES:
        verdict = rule(survey)
        if verdict is not None:
            return verdict
    return _well(survey)


def _no_life(survey: Survey) -> Verdict | None:
    why = survey.notes.why_not_live
    if why == probe.NO_SERVER:
        return Verdict(Kind.NO_SERVER, why)
    if why:
        return Verdict(Kind.NOT_LIVE, f"{_this(survey)} is dead: {why}", "restart this container")
    return None


def _on_its_way(survey: Survey) -> Verdict | None:
    """Return the verdict on a node that waits, starts or stops."""
    now, node = survey.notes.state, _this(survey)
    text, reason, _ = survey.notes.wait
    if now == state.SERVING:
        return None
    if now not in {state.WAITING, state.STARTING}:
        return Verdict(Kind.STOPPING, f"{node} stops")
    own = survey.own
    if own and own.state is State.UP and own.awaits:
        whom = _list(sorted(own.awaits))
        stopped = [each for each in sorted(own.awaits) if _is_stopped(survey, each)]
        return Verdict(
            Kind.WAITING,
            f"{node} waits for {whom}, which may have gone down after it",
            f"start {_list(stopped)}" if stopped else "see below why they are not seen",
        )
    if text.startswith("waiting ") and (now == state.WAITING or reason):
        said = f"{node} waits {text.removeprefix('waiting ')}"
        return Verdict(Kind.WAITING, f"{said}: {reason}" if reason else said)
    does = "starts" if now == state.STARTING else "prepares its start"
    return Verdict(Kind.STARTING, f"{node} {does}")


def _is_stopped(survey: Survey, node: str) -> bool:
    return node in survey.peers and survey.peers[node].state in {State.STOPPED, State.ABSENT}


def _no_answer(survey: Survey) -> Verdict | None:
    """Return the verdict on a node that serves and cannot be asked."""
    own, node = survey.own, _this(survey)
    if survey.cannot_ask:
        ready = survey.notes.why_not_ready
        how = f"is not ready: {ready}" if ready else "is ready"
        return Verdict(Kind.NOT_ASKED, f"{node} {how}; {survey.cannot_ask}")
    if own is None or own.state is State.UP or is_cets(survey):
        return None
    if own.state is State.GOING:
        return Verdict(Kind.STOPPING, f"{node} shuts down")
    why = own.why.removeprefix(f"{node}: ").removeprefix(f"{node} ")
    return Verdict(
        Kind.NO_ANSWER,
        f"{node} does not answer: {why}",
        "if that stays so, restart this container",
    )


def _parted(survey: Survey) -> Verdict | None:
    """Return the verdict on a node that has left, or that is on one side of a partition."""
    node, notes = _this(survey), survey.notes
    if notes.left:
        return Verdict(Kind.LEFT, f"{node} has left its cluster: {notes.left}")
    away = missing(survey)
    apart = [each for each, why in away.items() if why is Missing.APART]
    running = survey.own.running if survey.own else NOBODY
    parted = apart or [each for each, why in away.items() if why is Missing.SILENT]
    if (notes.partition and parted) or (apart and loses(node, running, away, survey.peers)):
        text = f"{node} is on the losing side of a partition, without {_list(parted)}"
        if apart:
            return Verdict(
                Kind.LOSING,
                f"{text}: start it anew",
                "restart this container: it takes the data of the other side, and loses what it "
                "alone has changed since",
            )
        return Verdict(
            Kind.LOSING,
            f"{text}, which cannot be reached",
            "mend the network between them; this node has to start anew then",
        )
    if apart:
        whom, they = _list(apart), "they alone have" if len(apart) > 1 else "it alone has"
        return Verdict(
            Kind.SPLIT,
            f"the cluster is split, and {node} is on the side that stays: start {whom} anew",
            f"restart {whom}, not this container: what {they} changed since is lost",
        )
    return None


def _beside_another(survey: Survey) -> Verdict | None:
    """Return the verdict on a whole cluster beside which there is a second one."""
    other = survey.notes.second or survey.notes.other_cluster
    strangers = [
        node
        for node, peer in survey.peers.items()
        if peer.state is State.UP and survey.identity and peer.identity not in {"", survey.identity}
    ]
    if other or (strangers and not survey.alone):
        whom = f": {_list(strangers)} runs in it" if strangers else ""
        ready = ", so this node is not ready" if survey.notes.second else ""
        return Verdict(
            Kind.OTHER_CLUSTER,
            f"{_together(survey)}, but there is a second cluster{whom}{ready}",
            "the log of this container says what to do with each of the two",
        )
    return None


def _not_whole(survey: Survey) -> Verdict | None:
    """Return the verdict on a cluster in which members are missing, or do not agree."""
    if is_cets(survey):
        return None
    away, members = missing(survey), members_of(survey)
    own = survey.own
    running = own.running if own else NOBODY
    if away:
        count = f"{len(running & members) or 1} of {counted(len(members), 'member')}"
        together = "run together" if len(running) > 1 else "runs"
        elsewhere = [each for each, why in away.items() if why is Missing.ELSEWHERE]
        return Verdict(
            Kind.OTHER_CLUSTER if elsewhere else Kind.MISSING,
            f"{count} {together}; {_phrases(away)}",
            _remedy(survey, away),
        )
    odd = [row.node for row in rows(survey) if row.member and row.agrees is False]
    silent = [row for row in rows(survey) if row.member and row.agrees is None]
    if odd or silent:
        named = _list(odd or [row.node for row in silent])
        what = "do not agree who runs" if odd else "were not all heard"
        return Verdict(
            Kind.DISAGREE,
            f"the {counted(len(members), 'member')} {what}: look at {named}",
            "ask again in a few seconds: members that come or go do not agree for a moment",
        )
    starts = [row.node for row in rows(survey) if row.member and row.state == "starts"]
    if starts:
        count = f"{len(members) - len(starts)} of {counted(len(members), 'member')}"
        return Verdict(Kind.MISSING, f"{count} serve; {_list(starts)} still to start")
    return None


def _remedy(survey: Survey, away: dict[str, Missing]) -> str:
    """Return what to do about members that are missing."""
    elsewhere = [each for each, why in away.items() if why is Missing.ELSEWHERE]
    if elsewhere:
        from member_entrypoint.cluster import words

        return words.ways_out(Known(survey.node, survey.target), elsewhere[0])
    down = [each for each, why in away.items() if why is Missing.DOWN]
    if down:
        return (
            f"start {_list(down)}; one that is gone for good has to be removed: mongooseimctl "
            f"remove_from_cluster -f {down[0]}"
        )
    if Missing.REFUSES in away.values():
        return "give all members the same CLUSTER_COOKIE, and the same vm.dist.args"
    if Missing.SILENT in away.values():
        return "look at the network, and at the hosts, of those that cannot be reached"
    return "ask again in a few seconds"


def _not_fit(survey: Survey) -> Verdict | None:
    """Return the verdict on a node that is not ready, or whose helper fails."""
    if why := survey.notes.why_not_ready:
        text = f"{_together(survey)}, but {_this(survey)} is not ready: {why}"
        return Verdict(Kind.NOT_READY, text)
    if survey.notes.failing:
        helpers = ", ".join(survey.notes.failing)
        return Verdict(
            Kind.HELPER_FAILS,
            f"{_together(survey)}, but a helper of {_this(survey)} fails: {helpers}",
            "the log of this container says why",
        )
    return _cets_of_two_minds(survey)


def _cets_of_two_minds(survey: Survey) -> Verdict | None:
    """Return the verdict on a node whose nodes for CETS are not what they should be."""
    cets = survey.cets
    if cets is None or not cets.file:
        return None
    if cets.listed is None:
        text = f"{cets.file}, which lists the nodes for CETS, is not there, or cannot be read"
        return Verdict(Kind.DISAGREE, text, "write it, or have it kept: DISCOVERY_FILE")
    others = set(cets.listed) - {survey.node}
    if cets.in_dns is not None and set(cets.in_dns) != set(cets.listed):
        odd = _list(sorted(set(cets.in_dns) ^ set(cets.listed)))
        return Verdict(
            Kind.DISAGREE,
            f"{cets.file} and DNS do not name the same nodes: look at {odd}",
            "the file follows DNS in a few seconds; the log says where it cannot",
        )
    if lost := sorted(others - survey.connected):
        return Verdict(
            Kind.MISSING,
            f"{survey.node} has no connection to {_list(lost)}, which {cets.file} lists",
            "look at the network, and at those nodes",
        )
    if cets.name and cets.in_dns is None:
        return Verdict(
            Kind.DISAGREE,
            f"{_together(survey)}, but DNS does not name the nodes of {cets.name}: {cets.why}",
            "ask again; if that stays so, see DNS: nodes that start now are not found",
        )
    return None


def _well(survey: Survey) -> Verdict:
    if is_cets(survey):
        count = len((survey.cets and survey.cets.listed) or ())
        all_of_them = f", and is connected to all of the {counted(count, 'node')} in its file"
        return Verdict(Kind.CETS, _together(survey) + (all_of_them if count > 1 else ""))
    if survey.alone and members_of(survey) <= {survey.node}:
        return Verdict(Kind.ALONE, _together(survey))
    return Verdict(Kind.TOGETHER, _together(survey))


def _together(survey: Survey) -> str:
    members = members_of(survey)
    if is_cets(survey):
        return f"{_this(survey)} runs with CETS"
    if survey.alone and members <= {survey.node}:
        return f"{_this(survey)} runs alone, as JOIN_CLUSTER=false says"
    if len(members) <= 1:
        return f"{_this(survey)} runs, the only member of its cluster"
    return f"{len(members)} of {counted(len(members), 'member')} run together"


def may_restart(survey: Survey) -> tuple[bool, str] | None:
    """Return whether a restart of this node costs no service, and why; None where it is not up."""
    own = survey.own
    serves = own is not None and own.state is State.UP and survey.notes.state == state.SERVING
    if own is None or not serves or is_cets(survey):
        return None
    others = sorted(own.running - {survey.node})
    fit = [
        node
        for node in others
        if (peer := survey.peers.get(node)) and peer.state is State.UP and peer.serves
    ]
    if judge(survey).kind is Kind.LOSING:
        apart = Missing.APART in missing(survey).values()
        return apart, "the other side serves" if apart else "the other side cannot be reached"
    if not fit:
        return False, "no other member serves"
    serve = "serves" if len(fit) == 1 else "serve"
    return True, f"{counted(len(fit), 'other member')} {serve}"


def _this(survey: Survey) -> str:
    return survey.node or "this node"


def _phrases(away: dict[str, Missing]) -> str:
    """Return who is missing and why, in the words of a sentence."""
    found = []
    for why, (one, several) in PHRASES.items():
        nodes = [node for node, reason in away.items() if reason is why]
        if nodes:
            found.append(f"{_list(nodes)} {one if len(nodes) == 1 else several}")
    return ", ".join(found)


def _list(nodes: Iterable[str]) -> str:
    """Return names in words; of many only their number."""
    if len(names := list(nodes)) > MOST_NAMED:
        return counted(len(names), "member")
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


RULES = (_no_life, _on_its_way, _no_answer, _parted, _not_whole, _beside_another, _not_fit)
"""The rules of the verdict; the first that applies counts."""
