"""What a node does about its cluster: one pure function from what it knows to what it does next.

The decision is a list of rules; the first that applies decides. It is made again whenever
something new is known: before the VM runs, while it boots, and while it serves in doubt. Nothing
else decides.
`docs/cluster.md` has the rules as a table, made from this module; `tests/simulation` looks for the
sequence of events that breaks it.
"""

from collections.abc import Callable

from member_entrypoint.cluster.inference import (
    apart,
    cluster_of,
    clusters,
    has_data,
    has_other_name,
    in_between,
    in_other_clusters,
    is_cluster,
    is_own_data,
    join_one_of,
    may_discard,
    may_have_data,
    near,
    ours,
    outside,
    removed_by,
    undecided,
    unknown,
    up,
)
from member_entrypoint.cluster.knowledge import (
    Decision,
    Known,
    Marker,
    Phase,
    Silence,
    State,
    Step,
    is_younger,
)
from member_entrypoint.lean_typing import NamedTuple


class Rule(NamedTuple):
    """A rule: when it applies and what the node does then, both in words, and the function."""

    name: str
    when: str
    does: str
    apply: Callable[[Known], Decision | None]


RULES: list[Rule] = []


def decide(known: Known) -> Decision:
    """Return what a node does next, given all that it knows; a pure function, for any input."""
    for rule in RULES:
        decision = rule.apply(known)
        if decision is not None:
            if known.time_over and decision.step is Step.WAIT:
                decision = decision._replace(step=Step.REFUSE)
            return decision._replace(rule=rule.name)
    raise AssertionError("the last rule applies to everything")


def _rule(when: str, does: str) -> Callable[[Callable[[Known], Decision | None]], None]:
    """Add a function to the rules."""

    def add(apply: Callable[[Known], Decision | None]) -> None:
        RULES.append(Rule(apply.__name__.strip("_"), when, does, apply))

    return add


@_rule("it is told to run alone (`JOIN_CLUSTER=false`)", "runs, asks nobody")
def _alone(known: Known) -> Decision | None:
    return Decision(Step.RUN) if known.alone else None


@_rule("its schema cannot be read as a file, and no marker tells whose it is", "has a VM read it")
def _unread(known: Known) -> Decision | None:
    if known.phase is not Phase.BEFORE or not has_data(known):
        return None
    if known.target is None and known.record.marker is Marker.NONE and not known.discard:
        return None
    untold = known.record.marker in {Marker.NONE, Marker.LEAVING}
    discards = known.target is None and known.discard
    return Decision(Step.EXAMINE) if known.members is None and (untold or discards) else None


@_rule(
    "it has data of a cluster of its own, that nobody else is in, and is to join another node",
    "ends with the reason, unless `JOIN_DISCARDS_DATA=true`",
)
def _own_data(known: Known) -> Decision | None:
    applies = known.phase is Phase.BEFORE and known.target is not None and not known.discard
    if applies and has_data(known) and is_own_data(known):
        return Decision(Step.REFUSE, (known.target or "",))
    return None


@_rule(
    "it has data, and its VM met a member that is on its way into a cluster or out of it",
    "waits until that one has joined or stops: Mnesia would end the VM again",
)
def _outside(known: Known) -> Decision | None:
    whom = outside(known) if known.phase is Phase.BEFORE and has_data(known) else ()
    return Decision(Step.WAIT, whom) if whom else None


@_rule(
    "it has data, and members of its cluster run apart: a partition that is not over yet",
    "waits until they run together, since it may take the data of either; stops its VM before",
)
def _apart(known: Known) -> Decision | None:
    whom = apart(known) if known.phase is not Phase.SERVING and has_data(known) else ()
    waits = Step.WAIT if known.phase is Phase.BEFORE else Step.START_AGAIN
    return Decision(waits, whom) if whom else None


@_rule("it has its cluster's data, the last of its members included", "runs, and asks the others")
def _with_data(known: Known) -> Decision | None:
    if known.phase is not Phase.BEFORE or not has_data(known):
        return None
    if known.again and known.peers is None:
        return None
    # Those that may be discarded: to join another node, or the other cluster that runs.
    elsewhere = known.target is not None or (
        known.discard and (known.peers is None or bool(clusters(known)))
    )
    return None if elsewhere and is_own_data(known) else Decision(Step.RUN)


@_rule("nobody was asked yet", "asks the others")
def _ask(known: Known) -> Decision | None:
    return Decision(Step.ASK) if known.peers is None else None


@_rule("it serves in doubt, and finds another cluster that is older", "is not ready, says so")
def _second(known: Known) -> Decision | None:
    if known.phase is not Phase.SERVING:
        return None
    others = in_other_clusters(known)
    younger = [n for n, peer in others.items() if is_younger(known.identity, cluster_of(peer))]
    gives_way = younger and not known.record.certain
    return Decision(Step.YIELD, tuple(sorted(others))) if gives_way else None


@_rule("it serves, and finds another cluster", "says so, with the ways out")
def _first(known: Known) -> Decision | None:
    others = sorted(in_other_clusters(known))
    if known.phase is not Phase.SERVING or not others:
        return None
    return Decision(Step.WARN, tuple(others))


@_rule("it serves in doubt, and DNS does not say yet that nobody else is there", "goes on looking")
def _doubt(known: Known) -> Decision | None:
    if known.phase is not Phase.SERVING:
        return None
    silent = known.silence is not Silence.NOBODY and unknown(known)
    unclear = [node for node, peer in up(known).items() if in_between(peer)]
    if silent or known.hidden or unclear or not known.patience_over:
        return Decision(Step.WAIT, certain=False)
    return Decision(Step.CERTAIN)


@_rule(
    "it starts a new cluster, and a cluster, or a member with data, appears while its VM boots",
    "starts from the beginning; nobody has used its schema yet",
)
def _not_new(known: Known) -> Decision | None:
    if known.phase is not Phase.BESIDE or known.record.marker is not Marker.STARTING:
        return None
    if has_data(known):
        return None
    unclear = []
    for node, peer in sorted((known.peers or {}).items()):
        starts = peer.state in {State.STARTING, State.BUSY, State.UP} and not in_between(peer)
        if is_cluster(node, peer) or (starts and peer.record.marker is not Marker.NONE):
            return Decision(Step.START_AGAIN, (node,))
        if starts and peer.state is not State.UP:
            unclear.append(node)
    return Decision(Step.WAIT, tuple(unclear)) if unclear else Decision(Step.RUN)


@_rule(
    "it has data, and a node that should be in its cluster runs in another one",
    "ends before it serves, says which clusters there are",
)
def _other_cluster(known: Known) -> Decision | None:
    others = sorted(in_other_clusters(known))
    applies = known.phase is Phase.BESIDE and has_data(known) and others
    return Decision(Step.REFUSE, tuple(others)) if applies else None


@_rule(
    "it has data, its cluster runs, and lists it no more: it was removed, or has left",
    "joins again if it may lose its data (`JOIN_DISCARDS_DATA=true`, a farewell), else ends",
)
def _removed(known: Known) -> Decision | None:
    removed = removed_by(known)
    step, whom = (Step.JOIN, removed[:1]) if may_discard(known) else (Step.REFUSE, removed)
    return Decision(step, whom) if removed else None


@_rule(
    "it has data, and a node that it knows is about to start a cluster, or does not answer yet",
    "is not ready before that is known",
)
def _unclear(known: Known) -> Decision | None:
    if known.phase is not Phase.BESIDE or not has_data(known):
        return None
    whom = undecided(known)
    if not whom or known.patience_over:
        blind = known.hidden or near(known) & set(unknown(known))
        return Decision(Step.RUN, certain=not blind)
    return Decision(Step.WAIT, whom)


@_rule(
    "it has no data, and the cluster that it was joining, or has left, runs",
    "joins it, when it reaches all that run there",
)
def _home(known: Known) -> Decision | None:
    home = ours(known, known.record.identity)
    return join_one_of(known, home) if home else None


@_rule(
    "it has no data, and the node to join runs",
    "joins it, when it reaches all that run there; says whom it cannot reach",
)
def _join_target(known: Known) -> Decision | None:
    target = known.target
    if target is None and known.record.marker is Marker.JOINING and not known.record.identity:
        target = known.record.other  # as an older image wrote it
    peer = up(known).get(target or "")
    if target is None or peer is None or in_between(peer):
        return None
    return join_one_of(known, {target: peer})


@_rule(
    "it has no data, and the node to join does not run, or is between two clusters",
    "waits; ends where a node of another name answers there (an alias, another letter case)",
)
def _wait_for_target(known: Known) -> Decision | None:
    step = Step.REFUSE if has_other_name(known) else Step.WAIT
    return Decision(step, (known.target,)) if known.target is not None else None


@_rule("a primary without data; two clusters run", "ends with the reason: which of them is ours?")
def _two_clusters(known: Known) -> Decision | None:
    running = {peer.identity: node for node, peer in clusters(known).items()}
    return Decision(Step.REFUSE, tuple(sorted(running.values()))) if len(running) > 1 else None


@_rule("a primary without data; a cluster runs", "joins it")
def _cluster_exists(known: Known) -> Decision | None:
    running = clusters(known)
    return join_one_of(known, running) if running else None


@_rule(
    "a primary without data, that knows whom it has left, or was joining, or served with",
    "waits for one of them, unless all of them wait with an empty disk",
)
def _farewell(known: Known) -> Decision | None:
    peers = known.peers or {}
    members = known.record.members - {known.node}
    away = [n for n in members if n not in peers or peers[n].state is not State.EMPTY]
    leaves = known.record.marker in {Marker.LEAVING, Marker.LEFT}
    left = leaves and known.record.identity and not members
    return Decision(Step.WAIT, tuple(sorted(away))) if away or left else None


@_rule("a primary without data; a node that may have the cluster's exists", "waits for it")
def _others_exist(known: Known) -> Decision | None:
    waits = may_have_data(known)
    return Decision(Step.WAIT, waits) if waits else None


@_rule("a primary without data, and `NEW_CLUSTER=never`", "waits for a member")
def _never(known: Known) -> Decision | None:
    if known.may_start:
        return None
    return Decision(Step.WAIT, tuple(sorted(known.peers or {})))


@_rule("a primary without data; DNS is silent, where it always comes back", "waits for DNS")
def _outage(known: Known) -> Decision | None:
    waits = unknown(known)
    return Decision(Step.WAIT, waits) if waits and known.silence is Silence.OUTAGE else None


@_rule(
    "a primary without data; DNS is silent, and that may be an outage or a lone machine",
    "waits for a few seconds, then starts a new cluster in doubt, with a warning",
)
def _silent(known: Known) -> Decision | None:
    waits = unknown(known)
    if not waits or known.silence is not Silence.DOUBT:
        return None
    if known.patience_over or known.time_over:
        return Decision(Step.START_CLUSTER, waits, certain=False)
    return Decision(Step.WAIT, waits, certain=False)


@_rule("a primary without data; nobody else exists, but not even its own name is known", "the same")
def _hidden(known: Known) -> Decision | None:
    return Decision(Step.START_CLUSTER, certain=False) if known.hidden else None


@_rule("a primary without data; nobody else exists, or all wait for it", "starts a new cluster")
def _new(_known: Known) -> Decision | None:
    return Decision(Step.START_CLUSTER)
