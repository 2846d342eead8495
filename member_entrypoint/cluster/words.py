"""What is said about a decision: why a node waits, and why it ends, with the ways out.

No way out that is named deletes what may be the last copy of somebody's data, unless it says so.
"""

import time
from collections.abc import Iterable

from member_entrypoint.cluster.inference import announced, cluster_of, has_other_name
from member_entrypoint.cluster.knowledge import (
    Decision,
    Known,
    Nodes,
    Peer,
    State,
    founded,
    founder,
)
from member_entrypoint.errors import ClusteringError, RemovedError
from member_entrypoint.log import counted

HIDDEN = (
    "in Kubernetes, serviceName of the StatefulSet must name its headless Service, which needs "
    "publishNotReadyAddresses; in Docker, --name and -h must be the same"
)
START_ALONE_ONCE = "to start a new cluster, start this node once with JOIN_CLUSTER=false"


def waits(known: Known, decision: Decision) -> tuple[str, str]:
    """Return what a node that waits says: for whom, and why."""
    whom = ", ".join(decision.whom)
    if decision.rule in {"silent", "outage"}:
        return "waiting for DNS", f"it does not say whether {whom} exist: one may have our data"
    if decision.rule in {"outside", "apart"}:
        return met(decision)
    if decision.rule == "farewell":
        return f"waiting for one of {whom or 'those whom this node left'}", "they have its cluster"
    if decision.rule == "others_exist":
        return (
            f"waiting for one of {whom}",
            "this primary has no data, and one of them may have the cluster's",
        )
    if decision.rule == "never":
        return "waiting for a member", "NEW_CLUSTER=never: this primary starts no cluster"
    seen = why(known, decision.whom)
    if announced(known) is State.KNOWING:
        others = sorted(known.record.members - {known.node, known.target or ""})
        seen += f"; {', '.join(others)} may have the data of its cluster"
    return f"waiting for {whom}", seen


def met(decision: Decision) -> tuple[str, str]:
    """Return what a node with data waits for that must not meet others now; why, and what to do."""
    whom = ", ".join(decision.whom)
    if decision.rule == "outside":
        return f"waiting until {whom} stops, or joins", (
            f"{whom} is listed in this node's cluster, and has left it or joins one, with a schema "
            "of its own meanwhile, beside which Mnesia would not start; stop it, or start it anew"
        )
    return f"waiting until {whom} run together", (
        f"{whom} run, and not all together, so each side has changed data without the other, and "
        "this node would take those of either; start those anew that are not ready, the losing "
        "side, and stop one that was removed from this cluster"
    )


def why(known: Known, nodes: Iterable[str]) -> str:
    """Return what was seen of the nodes that are waited for."""
    peers = known.peers or {}
    seen = [peers[node].why for node in nodes if node in peers and peers[node].why]
    return "; ".join(seen) or "it is between two clusters"


def refusal(
    known: Known, decision: Decision, join_timeout: float
) -> ClusteringError | RemovedError:
    """Return the error of a node that does not go on; `join_timeout` is in seconds."""
    other = ", ".join(decision.whom) or known.target or "its cluster"
    text = f"Failed clustering {known.node} with {other}: "
    told = _REFUSALS.get("other_name" if has_other_name(known) else decision.rule)
    if told:
        error = RemovedError if known.phase.name == "BESIDE" else ClusteringError
        return error(text + told(known, decision))
    seen = _waited_in_vain(known, decision)
    return ClusteringError(f"{text}{seen}waited for JOIN_TIMEOUT ({join_timeout:g} s)")


def _waited_in_vain(known: Known, decision: Decision) -> str:
    if decision.rule == "others_exist":
        seen = why(known, decision.whom)
        return (
            "this primary has no data, so it may have lost them; the others exist in DNS and did "
            f"not answer ({seen}); start one of them, or, {START_ALONE_ONCE}; "
        )
    if decision.rule == "farewell":
        return (
            f"this node has left {cluster(known.record.identity, known.record.members)}, and none "
            f"of its members runs; start one of them, or, {START_ALONE_ONCE}; "
        )
    if decision.rule in {"outside", "apart"}:
        return f"{met(decision)[1]}; "
    if decision.rule == "never":
        return (
            "this primary has no data, and NEW_CLUSTER=never; start a member that has the "
            "cluster's, or set NEW_CLUSTER=auto if there is none; "
        )
    if decision.rule in {"outage", "silent"}:
        whom = ", ".join(decision.whom)
        return (
            f"DNS does not say whether {whom} exist, which may have its data; {START_ALONE_ONCE}; "
        )
    return f"{why(known, decision.whom)}; "


def _own_data(_known: Known, _decision: Decision) -> str:
    return (
        "this node has data of its own, which joining would delete, and which may exist nowhere "
        "else; set JOIN_CLUSTER=false to run it alone with them, or JOIN_DISCARDS_DATA=true to "
        "let it join and lose them"
    )


def _removed(known: Known, decision: Decision) -> str:
    if known.members is not None and not set(decision.whom) & known.members:
        return (
            "both are what is left of one cluster, and neither lists the other; one of them has to "
            "join anew and lose its data: JOIN_DISCARDS_DATA=true on that one; JOIN_CLUSTER=false "
            "runs this node alone"
        )
    return (
        f"{known.node} was removed from its cluster while it was down ({', '.join(decision.whom)} "
        "runs and does not list it), and has data of its own, which joining again would delete; "
        "set JOIN_DISCARDS_DATA=true to let it, or JOIN_CLUSTER=false to run it alone"
    )


def _other_cluster(known: Known, decision: Decision) -> str:
    return f"{both(known, decision.whom)}; {ways_out(known, decision.whom[0])}"


def _two_clusters(known: Known, decision: Decision) -> str:
    peers = known.peers or {}
    each = [
        f"{node} runs in {cluster(peers[node].identity, peers[node].members)}"
        for node in decision.whom
    ]
    return (
        f"two clusters run, and this node has no data that tell which of them is its own: "
        f"{'; '.join(each)}; stop one of them, or name the other's node by CLUSTER_WITH"
    )


_REFUSALS = {
    "other_name": lambda known, decision: why(known, decision.whom),
    "own_data": _own_data,
    "removed": _removed,
    "other_cluster": _other_cluster,
    "two_clusters": _two_clusters,
}


def both(known: Known, whom: Iterable[str]) -> str:
    """Return which clusters there are: ours, and those of the nodes `whom`."""
    peers = known.peers or {}
    theirs: dict[str, tuple[str, Peer]] = {}
    for node in whom:
        theirs.setdefault(cluster_of(peers[node]), (node, peers[node]))
    texts = [
        f"{node} runs in another one: {cluster(identity, _members(peer))}"
        for identity, (node, peer) in theirs.items()
    ]
    own = cluster(known.identity, known.members or frozenset())
    return f"this node's cluster is {own}; {'; '.join(texts)}"


def ways_out(known: Known, other: str) -> str:
    """Return the two ways out of two clusters, seen from this node."""
    return (
        f"to keep this node's cluster, stop {other} and start it with JOIN_DISCARDS_DATA=true (it "
        f"loses its data) once a member of this cluster runs; to keep the other one, start "
        f"{known.node} with JOIN_DISCARDS_DATA=true, and all that are in its cluster (they lose "
        "theirs)"
    )


def _members(peer: Peer) -> Nodes:
    return peer.members or (peer.record.members if peer.state is State.STARTING else peer.members)


def cluster(identity: str, members: Nodes) -> str:
    """Return a cluster in words: who started it, when, its members and its identity."""
    when, who = founded(identity), founder(identity)
    text = "the one"
    if when is not None and who:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when // 10**9))
        text += f" that {who} started at {stamp}"
    text += f" (identity {identity or 'not known'})"
    return (
        f"{text}, with {counted(len(members), 'member')}: {', '.join(sorted(members))}"
        if members
        else text
    )
