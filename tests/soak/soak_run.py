"""One run of the soak: step after step on five members, with clients, until the time is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from soak_checks import lost_values, table_of
from soak_clients import ERRORS, FLUSHED, Book, Writer
from soak_faults import SoakError, commit
from soak_operator import Operator
from soak_plan import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soak_members import Five

BOUND = 180.0
"""Seconds within which all are ready again; a machine with nothing else to do needs 20."""
QUIET = 7.0
"""Seconds for which all must stay calm: a cut of the network may be noticed only after it."""


class Report(NamedTuple):
    """What a run came to."""

    steps: int
    acknowledged: int
    promised: int
    helped: int
    longest: float
    """Seconds until all was calm, at the most."""


class Run:
    """The cluster under test, and what is known about it."""

    def __init__(self, five: Five, seed: int, say: Callable[[str], None]) -> None:
        """`say` takes the lines of progress."""
        self.five = five
        self.members = list(five.members.values())
        self.book = Book()
        self.writer = Writer(self.members, self.book, seed)
        self.steps: list[str] = []
        """The steps so far, in words."""
        self.longest = 0.0
        self.helped = self.promised = 0
        self._say = say
        self.identity = ""

    def form(self) -> None:
        """Start all members and see them form a cluster; raises `SoakError`."""
        for member in self.members:
            member.start()
        begin = Step(number=0, kind="restart")
        operator = Operator(self.five, begin, "")
        operator.wait_for_calm(BOUND)
        (self.identity,) = {view.identity for view in operator.views.values()}
        self.writer.identity = self.identity
        self._say(f"a cluster of {len(self.five.members)}: {self.identity}")
        time.sleep(FLUSHED)

    def go(self, steps: Iterator[Step], end: float) -> Report:
        """Do steps until `end` in monotonic seconds, one at least; raises `SoakError`."""
        for step in steps:
            self.steps.append(str(step))
            self.do(step)
            if time.monotonic() >= end:
                break
        return Report(len(self.steps), self.book.count, self.promised, self.helped, self.longest)

    def do(self, step: Step) -> None:
        """Do one step, wait for calm, and check; raises `SoakError`."""
        disturbed = time.monotonic()
        commit(self.five, step)
        healed = time.monotonic()
        operator = Operator(self.five, step, self.identity)
        operator.done += self.five.helped
        self.five.helped.clear()
        operator.wait_for_calm(BOUND)
        calm = time.monotonic()
        self.check_when_quiet(operator, disturbed)
        self.longest = max(self.longest, calm - healed)
        self.helped += bool(operator.done)
        helped = f"; operator: {'; '.join(operator.done)}" if operator.done else ""
        self._say(
            f"{step.number}. {step}: calm after {calm - healed:.0f} s, {self.book.count} values "
            f"acknowledged, {self.promised} kept{helped}"
        )

    def check_when_quiet(self, operator: Operator, disturbed: float) -> None:
        """Check after a quiet time; once more if a busy machine has split the cluster meanwhile."""
        for again in (True, False):
            time.sleep(QUIET)
            operator.wait_for_calm(BOUND)
            try:
                self.check(operator, disturbed)
            except SoakError:
                if not again:
                    raise
            else:
                break

    def check(self, operator: Operator, disturbed: float) -> None:
        """See that nothing is lost and nothing went wrong unseen; raises `SoakError`."""
        with self.writer.pausing():
            try:
                tables = {each.node: table_of(each) for each in self.members}
            except ERRORS as error:
                raise SoakError(f"a table cannot be read: {error}") from error
            lives = {each.number: operator.views[each.node].life for each in self.members}
            wrong = lost_values(tables, self.book, disturbed, lives)
            if wrong:
                raise SoakError("\n  ".join(["values are lost:", *wrong]))
            self.promised = len(self.book.promised(disturbed, lives))
            self.book.settle(next(iter(tables.values())), disturbed, lives)
        for member in self.members:
            if "Traceback" in member.said():
                raise SoakError(f"{member.node} has failed by a fault of its own (Traceback)")
