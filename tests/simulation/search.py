"""Looks for the shortest sequence of steps that breaks a property: breadth first, or at random."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from acts import acts, starts
from properties import judged_at_rest, judged_where_it_stands
from steps import steps, steps_of
from world import Node, Rules, World, goes_down

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from steps import Brain

LONGEST_SETTLING = 600
"""Steps that members take at most until nothing changes any more."""
ACT = 0.15
ROUNDS = 3
"""How often all containers that ended are started again before it is judged."""
RESTS = "all are started, DNS answers"


class Found(NamedTuple):
    """What a search has seen: how much, how long it took, and what is wrong, with its sequence."""

    states: int
    sequences: int
    seconds: float
    wrong: str = ""
    sequence: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in words; a sequence is ready to be pasted into test_sequences.py."""
        speed = self.states / max(self.seconds, 0.001)
        text = f"{self.states} states, {self.sequences} sequences, {speed:.0f} states/s"
        lines = [f"        {words!r}," for words in self.sequence]
        return "\n".join([f"{text}: {self.wrong}", *lines]) if self.wrong else text


def settle(rules: Rules, brain: Brain, world: World) -> tuple[World, list[str]]:
    """Let all members go on, in turns, until nothing changes; return the world and the steps."""
    words: list[str] = []
    seen = {world}
    turn = still = 0
    while still < rules.size and len(words) < LONGEST_SETTLING:
        for text, after in steps_of(rules, brain, world, turn % rules.size):
            if after not in seen:
                words.append(text)
                world = after
                seen.add(world)
                still = -1
                break
        if world.wrong:
            return world, words
        turn, still = turn + 1, still + 1
    if still < rules.size or any(after != world for _, after in steps(rules, brain, world)):
        world = world._replace(wrong="the members never come to rest")
    return world, words


def recover(rules: Rules, brain: Brain, world: World) -> tuple[World, list[str]]:
    """Repair DNS and the network, restart the losing side, start all containers.

    They settle after each of it; returns what is wrong then.
    """
    world, words = settle(rules, brain, world._replace(silent=False, cut=-1))
    world = judged_where_it_stands(rules, world)
    for _ in range(ROUNDS):
        away = [me for me, node in enumerate(world.nodes) if not node.up]
        lose = losing(rules, brain, world)
        if world.wrong or not (away or lose):
            break
        for me in lose:
            world = goes_down(world, me)
        for me in (*away, *lose):
            world = starts(world, me)
        words.append(RESTS)
        world, more = settle(rules, brain, world)
        words += more
    return judged_at_rest(rules, world), words


def losing(rules: Rules, brain: Brain, world: World) -> list[int]:
    """Return those that serve on the losing side of a partition: they say that, and how it ends."""
    serving = [me for me, node in enumerate(world.nodes) if node.serves and not node.alone]
    return [me for me in serving if brain.loses(rules, world, me)]


def formed(rules: Rules, brain: Brain) -> World:
    """Return the world in which all members were started one after the other, and serve."""
    world = World((Node(),) * rules.size)
    for me in range(rules.size):
        world, _ = settle(rules, brain, starts(world, me))
    world, _ = settle(rules, brain, world)
    return judged_at_rest(rules, world)


def replay(rules: Rules, brain: Brain, world: World, words: Sequence[str]) -> World:
    """Take the steps with these words; `RESTS` is `recover`. Raises KeyError for no such step."""
    after, taken = follow(rules, brain, world, words)
    if not after.wrong and len(taken) < len(words):
        raise KeyError(next(text for text in words if text not in taken))
    return after


def follow(
    rules: Rules, brain: Brain, world: World, words: Sequence[str]
) -> tuple[World, list[str]]:
    """Take those of the steps with these words that are possible; return which these were."""
    taken = []
    for text in words:
        if world.wrong:
            break
        if text == RESTS:
            world, _ = recover(rules, brain, world)
        else:
            possible = [*steps(rules, brain, world), *acts(rules, world, brain)]
            after = dict(reversed(possible)).get(text)
            if after is None:
                continue
            world = after
        taken.append(text)
    return world, taken


class Exhaustive:
    """Every interleaving with up to so many acts of the operator, the shortest first."""

    def __init__(self, rules: Rules, brain: Brain, begin: World) -> None:
        """Begin with one world."""
        self._rules, self._brain = rules, brain
        self._parents: dict[World, tuple[World | None, str]] = {begin: (None, "")}
        self._level = [begin]
        self._sequences = 0
        self._began = time.monotonic()

    def run(
        self, depth: int, *, seconds: float = 1e9, tell: Callable[[str], None] | None = None
    ) -> Found:
        """Search to `depth` acts, for at most so many seconds; stop at what is wrong.

        From each state, all containers are started again, and the members settle.
        """
        for done in range(depth + 1):
            following: list[World] = []
            for world in self._level:  # it grows meanwhile
                if time.monotonic() - self._began > seconds:
                    return self._found()
                if tell and len(self._parents) % 5000 == 0:
                    tell(f"{done} acts: {self._found()}")
                found = self._follow(world, following, acting=done < depth)
                if found:
                    return found
            self._level = following
        return self._found()

    def _follow(self, world: World, following: list[World], *, acting: bool) -> Found | None:
        for text, after in steps(self._rules, self._brain, world):
            if self._is_new(world, text, after):
                if after.wrong:
                    return self._found(after)
                self._level.append(after)
        rested, words = recover(self._rules, self._brain, world)
        if rested.wrong:
            return self._found(world, RESTS, wrong=f"{rested.wrong}, after: {'; '.join(words)}")
        if acting:
            for text, after in acts(self._rules, world, self._brain):
                if self._is_new(world, text, after):
                    if after.wrong:
                        return self._found(after)
                    following.append(after)
        return None

    def _is_new(self, world: World, text: str, after: World) -> bool:
        self._sequences += 1
        if after in self._parents:
            return False
        self._parents[after] = (world, text)
        return True

    def _found(self, world: World | None = None, *more: str, wrong: str = "") -> Found:
        words: list[str] = list(reversed(more))
        at = world
        while at is not None:
            at, text = self._parents[at]
            words.append(text)
        wrong = wrong or (world.wrong if world else "")
        seconds = time.monotonic() - self._began
        sequence = tuple(reversed(words))[1:] if world else ()
        return Found(len(self._parents), self._sequences, seconds, wrong, sequence)


def at_random(
    rules: Rules, brain: Brain, begin: World, dice: random.Random, length: int
) -> tuple[list[str], World]:
    """Take up to `length` random steps, one of seven an act; then recover.

    Returns the words, and the world with what is wrong in it.
    """
    world, words = begin, []
    for _ in range(length):
        possible = list(steps(rules, brain, world))
        if not possible or dice.random() < ACT:
            possible = list(acts(rules, world, brain))
        text, world = dice.choice(possible)
        words.append(text)
        if world.wrong:
            return words, world
    world, _ = recover(rules, brain, world)
    return [*words, RESTS], world


def shortened(rules: Rules, brain: Brain, begin: World, words: list[str]) -> list[str]:
    """Return a part of a sequence that still ends in something wrong, as short as can be found."""
    size = max(1, len(words) // 2)
    while size:
        at, before = 0, len(words)
        while at < len(words):
            world, shorter = follow(rules, brain, begin, words[:at] + words[at + size :])
            if world.wrong:
                words = shorter
            else:
                at += size
        if size > 1 or len(words) == before:
            size //= 2
    return words
