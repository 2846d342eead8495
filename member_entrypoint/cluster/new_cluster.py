"""Does the cluster of a primary with an empty disk exist already? Then the primary joins it.

It may be the first start of all, or the primary may have lost its volume while the others run; a
second cluster must not come of that. Members whose disks are empty too say so, by a name that they
hold in the epmd of their host while they wait for the primary: so a cluster whose nodes all start
at once starts without a wait.
"""

import time
from collections.abc import Callable

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.decision import Marker
from member_entrypoint.cluster.facts import read_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import State
from member_entrypoint.errors import ClusteringError
from member_entrypoint.pauses import Pauses

DNS_PATIENCE = 5.0  # seconds to wait for a DNS that answers nothing
MAY_HAVE_DATA = {State.SILENT, State.STOPPED, State.STARTING}


def find_existing_cluster(
    member: Member, deadline: float, ask: Callable[[Member, str], State] = peers.state_of
) -> str | None:
    """Return a running node of the cluster that this primary belongs to, or None if it is new.

    Waits until `deadline`, an instant of `time.monotonic`, for members that exist by name and do
    not answer: one of them may have the cluster's data. A node that runs alone and does not know us
    is no cluster to join: its operator said so (JOIN_CLUSTER=false), or it is about to join us;
    unless we have begun to join it before. `ask` says what another node is to this one. Raises
    `ClusteringError` when the time is over.
    """
    marker, target = read_marker(member.places, member.node)
    pauses = Pauses(deadline)
    dns_deadline = time.monotonic() + DNS_PATIENCE
    while True:
        states = peers.ask_all(peers.candidates(member), lambda node: ask(member, node))
        if marker is Marker.JOINING and states.get(target) is State.ALONE:
            return target
        running = [node for node, state in states.items() if state is State.UP]
        if running:
            return running[0]
        silent = ", ".join(node for node, state in states.items() if state in MAY_HAVE_DATA)
        unknown = State.UNKNOWN in states.values()
        if not silent and not (unknown and time.monotonic() < dns_deadline):
            if unknown:
                member.log.warning(f"DNS does not answer: {member.node} starts a new cluster")
            return None
        if pauses.over():
            raise _timeout_error(member, silent)
        if silent and pauses.time_to_speak(silent):
            member.log.info(
                f"waiting for one of {silent}",
                reason="this primary has no data, and one of them may have the cluster's",
                seconds_left=pauses.left(),
            )
        pauses.pause()


def _timeout_error(member: Member, silent: str) -> ClusteringError:
    """Return the error for a primary whose time is over while `silent` did not answer."""
    return ClusteringError(
        f"Failed clustering {member.node} with {silent}: this primary has no data, so it may have "
        "lost them; the others exist in DNS and did not answer within JOIN_TIMEOUT "
        f"({member.settings.join_timeout:g} s); start one of them, or, to start a new cluster, "
        "start this node once with JOIN_CLUSTER=false"
    )
