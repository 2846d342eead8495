"""A network of members that only counts: how many questions it costs to form a cluster.

What the members ask is the real code's; who is asked answers at once, by this.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING
from unittest import mock

from member_entrypoint.cluster import facts, joining, looking, peers
from member_entrypoint.cluster.knowledge import Marker, Nodes, Peer, Record, State, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.node import role_of
from member_entrypoint.cluster.peers import Seen
from member_entrypoint.log import Log
from member_entrypoint.network import surroundings
from member_entrypoint.network.surroundings import Surroundings
from member_entrypoint.pauses import Pauses
from member_entrypoint.places import Places
from member_entrypoint.release.active import Release
from member_entrypoint.settings import read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDENTITY = "{{1700000000000000000,-1,1},mongooseim@m-1}"


class Network:
    """A cluster of so many members, and what was asked of it."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.members: Nodes = frozenset()
        self.asked: Counter[str] = Counter()

    def find(self, _member: Member, node: str, *_timeouts: float) -> Seen:
        """Answer for DNS and epmd."""
        self.asked["DNS"] += 1
        if node not in self.members:
            return Seen(Peer(State.ABSENT))
        self.asked["epmd"] += 1
        return Seen(Peer(State.REGISTERED))

    def ask(self, _member: Member, _node: str, _timeout: float = 0.0) -> Peer:
        """Answer for a node."""
        self.asked["RPC"] += 1
        return Peer(State.UP, IDENTITY, self.members, self.members)

    def see(self, *_where: object) -> Surroundings:
        """Answer for our own name."""
        self.asked["DNS"] += 1
        return Surroundings(True, knows_all=True, kubernetes=False, alone=False)  # noqa: FBT003

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Answer all questions of this process while the block runs."""
        with (
            mock.patch.object(peers, "_find", self.find),
            mock.patch.object(peers, "ask_node", self.ask),
            mock.patch.object(surroundings, "see", self.see),
        ):
            yield


def form(root: Path, size: int) -> list[Counter[str]]:
    """Have so many members start one after the other; return what each of them has asked.

    Their folders are made in `root`.
    """
    costs, network = [], Network()
    with network.answering():
        for number in range(1, size + 1):
            network.asked.clear()
            member = _fresh_member(root, number)
            deadline = time.monotonic() + 60
            known, decision = looking.decide_before(member, deadline)
            if decision.step is Step.JOIN:
                target = decision.whom[0]
                peer = (known.peers or {})[target]
                record = Record(Marker.JOINING, target, peer.identity, peer.members)
                facts.write_marker(member.places, member.node, record, durable=False)
                wait = joining._wait_until_it_may  # noqa: SLF001
                wait(member, target, record, Pauses(deadline), hidden=False)
            network.members |= {member.node}
            costs.append(Counter(network.asked))
    return costs


def _fresh_member(root: Path, number: int) -> Member:
    """Return the member with this ordinal, its disk empty."""
    read_settings = read({"ENTRYPOINT_ROOT": str(root / str(number)), "LOG_LEVEL": "error"})
    places = Places(read_settings.root)
    (root / str(number) / "var/lib/mongooseim").mkdir(parents=True)
    node = f"mongooseim@m-{number}"
    return Member(
        settings=read_settings,
        places=places,
        release=Release(places.release, "1", "1"),
        node=node,
        role=role_of(read_settings, f"m-{number}", node),
        log=Log("console", "error"),
        cets=None,
    )
