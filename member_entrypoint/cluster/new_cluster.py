"""A primary with an empty disk, and whether there is a cluster already that it has to join.

It may be the first start of all, or the primary may have lost its volume while the others run; a
second cluster must not come of that. Members whose disks are empty too say so, by a name that they
hold in the epmd of their host while they wait for the primary: so a cluster whose nodes all start
at once gets started at once.
"""

import time

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.decision import Marker
from member_entrypoint.cluster.facts import read_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import State
from member_entrypoint.errors import ClusteringError
from member_entrypoint.pauses import Pauses

DNS_PATIENCE = 5.0
MAY_HAVE_DATA = {State.SILENT, State.STOPPED, State.STARTING}


def find_existing_cluster(member: Member, deadline: float) -> str | None:
    """Return a running node of the cluster that this primary belongs to, or None if it is new.

    Waits until `deadline` for members that exist by name and do not answer: one of them may have
    the cluster's data. A node that runs alone and does not know us is no cluster to join: it was
    told to (JOIN_CLUSTER=false), or is about to join us; unless we have begun to join it before.
    Raises `ClusteringError` when the time is over.
    """
    marker, before = read_marker(member.places, member.node)
    pauses = Pauses(deadline)
    patience = time.monotonic() + DNS_PATIENCE
    while True:
        states = peers.ask_all(peers.candidates(member), lambda node: peers.state_of(member, node))
        if marker is Marker.JOINING and states.get(before) is State.ALONE:
            return before
        running = [node for node, state in states.items() if state is State.UP]
        if running:
            return running[0]
        silent = ", ".join(node for node, state in states.items() if state in MAY_HAVE_DATA)
        unknown = State.UNKNOWN in states.values() and time.monotonic() < patience
        if not silent and not unknown:
            if State.UNKNOWN in states.values():
                member.log.warning(
                    "DNS does not answer, so this primary takes itself for the first"
                )
            return None
        if pauses.over():
            raise ClusteringError(
                f"Failed clustering {member.node} with {silent}: this primary has no data, so it "
                "may have lost them; the others exist in DNS and did not answer within "
                f"JOIN_TIMEOUT ({member.settings.join_timeout:g} s); start one of them, or, to "
                "start a new cluster, start this node once with JOIN_CLUSTER=false"
            )
        if silent and pauses.time_to_speak(silent):
            member.log.info(
                f"waiting for one of {silent}",
                reason="this primary has no data, and one of them may have the cluster's",
                seconds_left=pauses.left(),
            )
        pauses.pause()
