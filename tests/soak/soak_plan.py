"""Which faults come one after the other: from the dice alone, so the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soak_members import NUMBERS, PRIMARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HALF = 0.5
SELDOM = 0.25
NAMES = {"yes": "", "silent": "DNS silent meanwhile", "fails": "DNS fails (SERVFAIL) meanwhile"}
HOW = {"kill": "kill -9 of PID 1 of", "vm": "kill -9 of the VM of", "stop": "stop"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One fault. What a field means depends on `kind`; unused ones have their defaults."""

    number: int
    kind: str
    targets: tuple[int, ...] = ()
    """The members that it is done to, in the order in which they come back."""
    how: str = "stop"
    """How they are ended: `kill`, `vm` or `stop`."""
    wiped: frozenset[int] = frozenset()
    """Those whose volumes are emptied while they are down."""
    again: frozenset[int] = frozenset()
    """Those that are killed once more while they start."""
    names: str = "yes"
    """What the name server does meanwhile."""
    groups: tuple[tuple[int, ...], ...] = ()
    """The parts of a network that is cut."""
    by: int = 0
    """The member on which a command is run; of a disk or a clock: are the targets restarted?"""
    offset: int = 0
    """By how many seconds a clock is wrong."""
    seconds: float = 0.0
    """How long the fault lasts."""
    pauses: tuple[float, ...] = ()
    """Seconds before each target is started again."""

    def __str__(self) -> str:
        """Return it in words."""
        return WORDS[self.kind](self)


def named(numbers: tuple[int, ...] | frozenset[int]) -> str:
    """Return members in words."""
    return ", ".join(f"chat-{number}" for number in numbers)


def _words_of_end(step: Step) -> str:
    words = [f"{HOW[step.how]} {named(step.targets)}"]
    if step.wiped:
        words.append(f"volumes lost: {named(tuple(sorted(step.wiped)))}")
    if step.names != "yes":
        words.append(f"{NAMES[step.names]} ({step.seconds:.0f} s)")
    if step.again:
        words.append(f"killed again while they start: {named(tuple(sorted(step.again)))}")
    return "; ".join(words)


def _words_of_cut(step: Step) -> str:
    return f"cut the network into {' | '.join(map(named, step.groups))} for {step.seconds:.0f} s"


def _words_of_deaf(step: Step) -> str:
    return (
        f"{named(step.targets)} hears nothing from {named(step.groups[0])} for {step.seconds:.0f} s"
    )


def _words_of_meanwhile(step: Step) -> str:
    what = {
        "full": "disk of {} full",
        "clock": f"clock of {{}} set by {step.offset:+d} s",
        "slow": "disk of {} slow",
    }[step.kind]
    words = f"{what.format(named(step.targets))} for {step.seconds:.0f} s"
    return f"{words}; {HOW[step.how]} it meanwhile" if step.by else words


WORDS: dict[str, Callable[[Step], str]] = {
    "end": _words_of_end,
    "restart": lambda step: f"restart {named(step.targets)}, one after the other",
    "link": lambda step: f"link of {named(step.targets)} down for {step.seconds:.0f} s",
    "cut": _words_of_cut,
    "deaf": _words_of_deaf,
    "hang": lambda step: f"VM of {named(step.targets)} hangs for {step.seconds:.0f} s",
    "remove": lambda step: (
        f"{HOW[step.how]} {named(step.targets)}; removed from the cluster on {named((step.by,))}"
    ),
    "leave": lambda step: f"{named(step.targets)} leaves, and is restarted",
    "full": _words_of_meanwhile,
    "clock": _words_of_meanwhile,
    "slow": _words_of_meanwhile,
}
"""What each kind of fault is in words."""


def _some(dice: random.Random, most: int) -> tuple[int, ...]:
    return tuple(dice.sample(NUMBERS, dice.randint(1, most)))


def _end(dice: random.Random, number: int) -> Step:
    """End some members at the same time; some lose their volumes, never all who have the data."""
    targets = _some(dice, len(NUMBERS) if dice.random() < SELDOM else 3)
    how = dice.choice(tuple(HOW))
    wiped: frozenset[int] = frozenset()
    if how != "vm" and dice.random() < HALF:  # a container whose VM was killed is started at once
        most = len(targets) - (len(targets) == len(NUMBERS))
        wiped = frozenset(targets[: dice.randint(1, max(1, most // 2))])
    return Step(
        number=number,
        kind="end",
        targets=tuple(dice.sample(targets, len(targets))),
        how=how,
        wiped=wiped,
        again=frozenset(each for each in targets if dice.random() < SELDOM),
        names=dice.choice(("silent", "fails")) if dice.random() < SELDOM else "yes",
        seconds=dice.uniform(2, 12),
        pauses=tuple(dice.choice((0.0, dice.uniform(0, 3))) for _ in targets),
    )


def _cut(dice: random.Random, number: int) -> Step:
    members = dice.sample(NUMBERS, len(NUMBERS))
    if dice.random() < SELDOM:
        one, other = sorted(dice.sample(range(1, len(members)), 2))
        groups = (members[:one], members[one:other], members[other:])
    else:
        at = dice.randint(1, len(members) - 1)
        groups = (members[:at], members[at:])  # type: ignore[assignment]
    made = tuple(tuple(sorted(group)) for group in groups)
    return Step(number=number, kind="cut", groups=made, seconds=_while(dice))


def _while(dice: random.Random) -> float:
    """Return seconds in which the members notice a cut, or do not."""
    return dice.choice((dice.uniform(1, 4), dice.uniform(8, 15)))


def _deaf(dice: random.Random, number: int) -> Step:
    one, *others = dice.sample(NUMBERS, dice.randint(2, len(NUMBERS)))
    return Step(
        number=number, kind="deaf", targets=(one,), groups=(tuple(others),), seconds=_while(dice)
    )


def _remove(dice: random.Random, number: int) -> Step:
    one, by = dice.sample(NUMBERS, 2)
    how = dice.choice(("kill", "stop"))
    return Step(number=number, kind="remove", targets=(one,), by=by, how=how)


def _full(dice: random.Random, number: int) -> Step:
    restarted = int(dice.random() < HALF)
    how = dice.choice(("kill", "stop"))
    return Step(
        number=number,
        kind="full",
        targets=_some(dice, 2),
        by=restarted,
        how=how,
        seconds=dice.uniform(5, 12),
    )


def _clock(dice: random.Random, number: int) -> Step:
    offset = dice.choice((-1, 1)) * dice.choice((5, 120, 3600, 30 * 86400))
    return replace(_full(dice, number), kind="clock", offset=offset)


def _simple(kind: str, most: int) -> Callable[[random.Random, int], Step]:
    def made(dice: random.Random, number: int) -> Step:
        targets = _some(dice, most)
        return Step(number=number, kind=kind, targets=targets, seconds=_while(dice))

    return made


KINDS: dict[str, tuple[int, Callable[[random.Random, int], Step]]] = {
    "end": (10, _end),
    "restart": (1, _simple("restart", len(NUMBERS))),
    "link": (2, _simple("link", 2)),
    "cut": (3, _cut),
    "deaf": (2, _deaf),
    "hang": (2, _simple("hang", 2)),
    "remove": (2, _remove),
    "leave": (2, _simple("leave", 1)),
    "full": (2, _full),
    "clock": (2, _clock),
    "slow": (2, lambda dice, number: replace(_full(dice, number), kind="slow")),
}
"""Each kind of fault: how often it comes, and what makes one."""


def plan(seed: int, kinds: tuple[str, ...] = tuple(KINDS)) -> Iterator[Step]:
    """Yield steps without end."""
    dice = random.Random(seed)  # noqa: S311 - the same dice from the same seed
    weights = [KINDS[kind][0] for kind in kinds]
    number = 0
    while True:
        number += 1
        kind = dice.choices(kinds, weights)[0]
        yield KINDS[kind][1](dice, number)


def may_start_another_cluster(step: Step) -> bool:
    """Tell whether a second cluster may come of it: an empty primary without DNS starts one."""
    return PRIMARY in step.wiped and step.names != "yes"
