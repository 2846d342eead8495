"""A primary with an empty disk, and whether there is a cluster already that it has to join.

It may be the first start of all, or the primary may have lost its volume while the others run; a
second cluster must not come of that. Members whose disks are empty too say so, by a name that they
hold in the epmd of their host while they wait for the primary: so a cluster whose nodes all start
at once is founded at once.
"""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

from member_entrypoint import epmd, resolve
from member_entrypoint.cluster import Marker, read_marker
from member_entrypoint.erlang import RpcError
from member_entrypoint.errors import ClusteringError
from member_entrypoint.member import Member
from member_entrypoint.node import split_ordinal
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom

ORDINALS = 10
DNS_TIMEOUT = 2.0
DNS_PATIENCE = 5.0
EPMD_TIMEOUT = 1.0
EPMD_START_TIMEOUT = 10.0
WAITS_EMPTY = "-waits-empty"


class State(Enum):
    """What is known of another member."""

    ABSENT = "its name does not exist"
    UP = "it runs, in our cluster or in one with others"
    ALONE = "it runs, as a cluster of its own that does not know us"
    EMPTY = "it waits for the primary, with an empty disk"
    SILENT = "its name exists, but no node answers there"
    UNKNOWN = "DNS does not say whether its name exists"


def search(mine: Member, deadline: float) -> str | None:
    """Return a running node of the cluster that this primary belongs to, or None if it is new.

    Waits until `deadline` for members that exist by name and do not answer: one of them may have
    the cluster's data. A node that runs alone and does not know us is no cluster to join: it was
    told to (JOIN_CLUSTER=false), or is about to join us; unless we have begun to join it before.
    Raises `ClusteringError` when the time is over.
    """
    marker, before = read_marker(mine.places, mine.node)
    pauses = Pauses(deadline)
    patience = time.monotonic() + DNS_PATIENCE
    nodes = _others(mine)
    while True:
        with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
            states = dict(zip(nodes, pool.map(lambda node: _state(mine, node), nodes), strict=True))
        if marker is Marker.JOINING and states.get(before) is State.ALONE:
            return before
        running = [node for node, state in states.items() if state is State.UP]
        if running:
            return running[0]
        silent = ", ".join(node for node, state in states.items() if state is State.SILENT)
        unknown = State.UNKNOWN in states.values() and time.monotonic() < patience
        if not silent and not unknown:
            if State.UNKNOWN in states.values():
                mine.log.warning("DNS does not answer, so this primary takes itself for the first")
            return None
        if pauses.over():
            raise ClusteringError(
                f"Failed clustering {mine.node} with {silent}: this primary has no data, so it may "
                "have lost them; the others exist in DNS and did not answer within JOIN_TIMEOUT "
                f"({mine.settings.join_timeout:g} s); start one of them, or, to found a new "
                "cluster, start this node once with JOIN_CLUSTER=false"
            )
        if silent and pauses.time_to_speak(silent):
            mine.log.info(
                f"waiting for one of {silent}",
                reason="this primary has no data, and one of them may have the cluster's",
                seconds_left=pauses.left(),
            )
        pauses.pause()


def _others(mine: Member) -> list[str]:
    """Return the names that other members may have: the same base name, other ordinals."""
    label, dot, domain = mine.node.partition("@")[2].partition(".")
    base = split_ordinal(label)
    if base is None:
        return []
    first = int(mine.settings.master_ordinal)
    return [
        f"{mine.settings.node_name}@{base[0]}-{ordinal}{dot}{domain}"
        for ordinal in range(first, first + ORDINALS)
        if str(ordinal) != base[1]
    ]


def _state(mine: Member, node: str) -> State:
    name, _, host = node.partition("@")
    answer = resolve.look_up(host, mine.places, DNS_TIMEOUT)
    if not answer.addresses:
        return State.ABSENT if answer.absent else State.UNKNOWN
    for address in answer.addresses:
        known = epmd.names(address, EPMD_TIMEOUT).names or ()
        if name in known:
            return _cluster_of(mine, node)
        if name + WAITS_EMPTY in known:
            return State.EMPTY
    return State.SILENT


def _cluster_of(mine: Member, node: str) -> State:
    """Return what a registered node is to us, by the members that its Mnesia lists."""
    try:
        answer = mine.erlang.rpc(node, "mnesia", "system_info", [Atom("db_nodes")], EPMD_TIMEOUT)
    except RpcError:
        return State.SILENT
    members = {str(name) for name in answer} if isinstance(answer, list) else set()
    if mine.node in members or len(members) > 1:
        return State.UP
    return State.ALONE if members else State.SILENT


class Announcement:
    """Says in the epmd of this host that this node waits for its primary with an empty disk."""

    def __init__(self, mine: Member) -> None:
        """Prepare; nothing is said yet."""
        self._mine = mine
        self._registration: epmd.Registration | None = None

    def make(self) -> None:
        """Say it, starting an epmd if there is none; say it once."""
        if self._registration is not None:
            return
        program = os.path.join(os.path.dirname(self._mine.release.erl), "epmd")
        name = self._mine.node.partition("@")[0] + WAITS_EMPTY
        try:
            subprocess.run([program, "-daemon"], check=False, timeout=EPMD_START_TIMEOUT)
            self._registration = epmd.Registration(name)
        except (OSError, subprocess.TimeoutExpired) as error:
            # It is tried again at the next look; a primary with data does not need it.
            self._mine.log.warning(
                "cannot tell a new primary that this node is empty", reason=str(error)
            )

    def take_back(self) -> None:
        """Say it no more: the VM is about to start."""
        if self._registration is not None:
            self._registration.close()
