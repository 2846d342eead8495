"""Looks around while the VM boots, to see whether it may serve with what is on its disk.

A node with data looks once at the begin, for what would have Mnesia end the VM, or take the wrong
data: the VM cannot open its schema before that is over (`files.hold`). It boots meanwhile, so that
costs the start no time, unless somebody is asked in vain. Each node looks when the VM has started,
before it is ready: others can see it then, so of two that start at once one sees the other.
"""

import time

from member_entrypoint.cluster import looking, peers, words
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.inference import has_data
from member_entrypoint.cluster.knowledge import Known, Marker, Peer, Phase, State, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.notices import tell
from member_entrypoint.errors import TooEarlyError, TryAgainError
from member_entrypoint.network import dns_queries

KILLED_ABOVE = 128  # the exit status of a VM that a signal ended
CLARITY_TIMEOUT = 10.0
"""Seconds, after the start, to wait for another node that starts to say in which cluster."""


def explain(member: Member, known: Known, code: int) -> None:
    """Raise the error that says why a VM ended, if another cluster or a cut join is the reason.

    `code` is its exit status; above 128 it was killed.
    """
    if known.partial and code <= KILLED_ABOVE:
        # The node that it joined stopped meanwhile.
        raise TryAgainError(f"the join of {member.node} was cut before it had copied all tables")
    if not has_data(known):
        return
    if not member.erlang.reach.direct:
        return
    look = Beside(member, known)
    look.look_again()
    strangers = [
        node
        for node, peer in look.peers.items()
        if peer.state is State.UP and peer.identity not in {"", known.identity}
    ]
    if known.identity and set(strangers) & (known.members or set()):
        raise TryAgainError(
            f"{member.node} met {', '.join(strangers)}, which is on its way into a cluster, or out "
            "of its own"
        )


class Beside:
    """The looks beside a VM that boots."""

    def __init__(self, member: Member, known: Known) -> None:
        """Take what is known from before the VM was started."""
        self._member = member
        self._known = known._replace(phase=Phase.BESIDE, patience_over=False, peers=None)
        self._new = known.record.marker is Marker.STARTING
        self._looks = 0
        self._unclear = False
        self._started_at: float | None = None
        self.removed_by = ""
        self.certain = True
        self.peers: dict[str, Peer] = {}

    def look(self) -> None:
        """Look at the begin, if there are data; raises `RemovedError` or `TryAgainError`s.

        With a distribution that only a VM speaks, each question would boot one beside the one that
        starts, so only this look is made, and none for a new cluster. What that needs for its look
        at the end is loaded meanwhile.
        """
        if self._new:
            dns_queries.prepare()
        elif not self._looks:
            self._look()

    def is_clear(self) -> bool:
        """Look for the last time, the VM has started; tell whether there is nothing to wait for."""
        if self.removed_by:
            return True
        if self._started_at is None:
            self._started_at = time.monotonic()
            if self._member.erlang.reach.direct:
                self._look()
        elif self._unclear:
            over = time.monotonic() - self._started_at > CLARITY_TIMEOUT
            self._known = self._known._replace(patience_over=over)
            self._look()
        return not self._unclear

    def look_again(self) -> None:
        """Look, since the VM waits for others: meanwhile they may run in another cluster."""
        if not self.removed_by:
            self._look()

    def _ask(self) -> Known:
        """Return what is known after the others were asked."""
        member, known = self._member, self._known
        if member.erlang.reach.direct:
            return looking.ask(member, known)
        first = {known.target, known.record.other} - {None, known.node}
        nodes = {node for node in first if node and "@" in node}
        return known._replace(peers=peers.look_at(member, nodes))

    def _look(self) -> None:
        self._looks += 1
        member = self._member
        known = self._ask()
        if decide(known).rule == "apart":
            # Two that have just started may look so for a moment.
            known = self._ask()
        decision = decide(known)
        self.peers = dict(known.peers or {})
        self._unclear = decision.step is Step.WAIT
        self.certain = decision.certain
        if decision.step is Step.JOIN:
            self.removed_by = decision.whom[0]
            member.log.warning(
                f"{member.node} was removed from its cluster while it was down: "
                f"{self.removed_by} does not list it"
            )
        if decision.rule == "apart":
            raise TooEarlyError(f"{member.node} does not start yet: {words.met(decision)[1]}")
        if decision.step is Step.START_AGAIN:
            whom = decision.whom[0]
            raise TryAgainError(f"{member.node} starts no new cluster, since {whom} runs in one")
        if decision.step is Step.REFUSE:
            if decision.rule == "other_cluster":
                tell(member, known, decision.whom)
            raise words.refusal(known, decision, member.settings.join_timeout)
