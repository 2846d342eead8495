"""What a person does who looks after the cluster, as docs/cluster.md says, until all is calm."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from soak_checks import View, look, not_one_cluster
from soak_faults import SoakError
from soak_members import until
from soak_plan import may_start_another_cluster

if TYPE_CHECKING:
    from soak_members import Five, Member
    from soak_plan import Step

PATIENCE = 10.0
"""Seconds for which a member may be on the losing side before it is restarted, or serve in another
cluster before that is a failure."""
LONG_PATIENCE = 60.0
"""The same where members that lose restart by themselves (`PARTITION_POLICY=restart-minority`)."""
LOSES = "losing side of a partition"
DISCARDS = {"JOIN_DISCARDS_DATA": "true"}
BACKOFF = 1.0
"""Seconds after which a container that has ended by itself is started again, as Docker does it."""


class Operator:
    """Looks at the members after a step, and helps where a person has to."""

    def __init__(self, five: Five, step: Step, identity: str) -> None:
        """Take the step that has been done, and the identity of the cluster that is to be kept."""
        self.five = five
        self.step = step
        self.identity = identity
        self.done: list[str] = []
        """What was done, in words."""
        self.views: dict[str, View] = {}
        self._since: dict[int, float] = {}

    def wait_for_calm(self, bound: float) -> None:
        """Wait until the members are one cluster and ready; raises `SoakError` after `bound` s."""
        deadline = time.monotonic() + bound
        while wrong := self.whats_wrong():
            if not until(deadline):
                lines = "".join(f"\n  {line}" for line in wrong)
                raise SoakError(f"not calm within {bound:.0f} s:{lines}")
            for member in self.five.members.values():
                self._help(member)
            self._end_partition()

    def whats_wrong(self) -> list[str]:
        """Look at all members; return what is wrong, in words."""
        members = self.five.members.values()
        self.views = {member.node: look(member) for member in members}
        return not_one_cluster(self.views, self.identity)

    def _help(self, member: Member) -> None:
        """Do what one member needs."""
        view = self.views[member.node]
        if not member.up:
            said = member.said()
            refused = "JOIN_DISCARDS_DATA" in said[said.rfind("Failed clustering") :]
            if "Failed clustering" in said and refused:
                self._discard(member, said)
            else:
                time.sleep(BACKOFF)
                self._note(f"{member.node} had ended by itself")
                member.start()
        elif view.identity and self.identity not in ("", view.identity) and not self._starts(view):
            if may_start_another_cluster(self.step):
                self._note(f"{member.node} started a second cluster: JOIN_DISCARDS_DATA")
                member.stop()
                member.start(**DISCARDS)
            elif self._lasts(member, PATIENCE):
                raise SoakError(f"{member.node} runs in a second cluster: {view.identity}")
        elif LOSES not in view.why:
            self._since.pop(member.number, None)

    @staticmethod
    def _starts(view: View) -> bool:
        """Tell whether a node is about to join: it has a schema of its own until it has."""
        return "starts, or joins" in view.why

    def _discard(self, member: Member, said: str) -> None:
        """Start a member that refuses to come back, with the permission to lose its data."""
        reason = said[said.rfind("Failed clustering") :].splitlines()[0]
        others = [view.identity for view in self.views.values()]
        if member.number in self.step.targets and self.step.kind in {"remove", "leave"}:
            self._note(f"{member.node} was removed: JOIN_DISCARDS_DATA")
            member.start(**DISCARDS)
        elif may_start_another_cluster(self.step) and f"with 1 member: {member.node};" in reason:
            self._note(f"{member.node} had started a second cluster: JOIN_DISCARDS_DATA")
            member.start(**DISCARDS)
        elif may_start_another_cluster(self.step) and set(others) - {"", self.identity}:
            time.sleep(BACKOFF)  # it has our data: the other one gives way
            self._note(f"{member.node} refused to serve beside a second cluster")
            member.start()
        elif self._lasts(member, 0.0):
            raise SoakError(f"{member.node} refuses to come back: {reason}")

    def _end_partition(self) -> None:
        """Restart the losing side; where all lose, all but the largest part."""
        members = self.five.members.values()
        losers = [each for each in members if LOSES in self.views[each.node].why]
        alone = self.five.policy == "restart-minority"
        patience = LONG_PATIENCE if alone else PATIENCE
        ripe = [each for each in losers if self._lasts(each, patience)]
        if not ripe:
            return
        if len(losers) == len(self.five.members):
            parts = sorted(
                {view.running for view in self.views.values()},
                key=lambda part: (-len(part), sorted(part)),
            )
            ripe = [each for each in losers if each.node not in parts[0]]
            self._note(f"all were on a losing side: {', '.join(sorted(parts[0]))} kept")
        for member in ripe:
            self._note(f"{member.node} was restarted: losing side")
            self._since.pop(member.number, None)
            member.ask_to_stop()
        for member in ripe:
            member.wait()
            member.start()

    def _lasts(self, member: Member, seconds: float) -> bool:
        """Tell whether what is wrong with a member has been so for so long."""
        since = self._since.setdefault(member.number, time.monotonic())
        return time.monotonic() - since >= seconds

    def _note(self, text: str) -> None:
        if text not in self.done:
            self.done.append(text)
