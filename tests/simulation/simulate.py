"""Searches longer than the tests do: each scenario deeper and deeper, then at random with five.

MINUTES=10 SEED=7 python3 tests/simulation/simulate.py      as `make simulate` does

Prints what was seen, and the shortest sequence that breaks something, ready to be pasted into
test_sequences.py; ends with status 1 then. The seed of each random run is printed with it.
"""

from __future__ import annotations

import os
import random
import sys
import time
from multiprocessing import Pool

from brain import Real
from scenarios import EVERYTHING, PARTITIONS, SCENARIOS, UNSEEN
from search import at_random, formed, shortened
from world import Node, Rules, World

FIVE = 5
LENGTH = 250
"""Steps of a random sequence."""
BATCH = 20
"""Sequences for each process between two lines of progress."""
SHARE = 0.5
"""Of the time: for the exhaustive part."""
NAMES = ("docker", "fixed", "healthy")


def say(text: str) -> None:
    """Print a line of progress over the last one, or one line each where nobody looks."""
    end = "\r" if sys.stdout.isatty() else "\n"
    sys.stdout.write(f"{text[:100]:<100}{end}")
    sys.stdout.flush()


def deeper(task: tuple[str, float]) -> tuple[str, str, int, bool]:
    """Search one scenario two acts deeper than the tests, for at most so many seconds."""
    name, seconds = task
    scenario = SCENARIOS[name]._replace(depth=SCENARIOS[name].depth + 2)
    found = scenario.search(Real(), seconds)
    return name, str(found), found.states, bool(found.wrong)


def random_rules(dice: random.Random) -> Rules:
    """Return a random kind of world with five nodes."""
    names = dice.choice(NAMES)
    every = UNSEEN if names == "healthy" else EVERYTHING
    holds = dice.random() < SHARE
    if dice.random() < SHARE / 2:
        every, holds = PARTITIONS | {"hook", "write"}, True
        # Two that start while neither is in DNS run apart, which the model does not know.
        names = "docker" if names == "healthy" else names
    return Rules(
        FIVE,
        names=names,
        leaves=dice.random() < SHARE,
        discards=False,
        silence=dice.choice(("doubt", "outage")),
        holds=holds,
        acts=every if dice.random() < SHARE else every - {"alone", "silence"},
    )


def run_random(seed: int) -> tuple[int, str]:
    """Try one random sequence; return how many steps it had, and what is wrong, in words."""
    dice = random.Random(seed)  # noqa: S311 - the same dice from the same seed
    rules, brain = random_rules(dice), Real()
    fresh = dice.random() < SHARE
    begin = World((Node(),) * FIVE) if fresh else formed(rules, brain)
    words, world = at_random(rules, brain, begin, dice, LENGTH)
    if not world.wrong:
        return len(words), ""
    short = shortened(rules, brain, begin, words)
    lines = "\n".join(f"        {text!r}," for text in short)
    return len(words), f"seed {seed}, {rules}, fresh={fresh}: {world.wrong}\n{lines}"


def main() -> int:
    """Search for MINUTES, from SEED on; return 1 if something was found."""
    minutes = float(os.environ.get("MINUTES") or 5)
    first = int(os.environ.get("SEED") or time.time())
    began = time.monotonic()
    end = began + 60 * minutes
    workers = os.cpu_count() or 1
    share = 60 * minutes * SHARE * workers / len(SCENARIOS)
    states = steps = sequences = 0
    with Pool(workers) as pool:
        tasks = [(name, share) for name in SCENARIOS]
        for number, (name, text, seen, wrong) in enumerate(pool.imap(deeper, tasks), 1):
            states += seen
            say(f"{number}/{len(tasks)} {name}: {text}")
            if wrong:
                sys.stdout.write(f"\n{name}: {text}\n")
                return 1
        while time.monotonic() < end:
            seeds = range(first + sequences, first + sequences + BATCH * workers)
            for length, wrong_words in pool.imap_unordered(run_random, seeds):
                steps, sequences = steps + length, sequences + 1
                if wrong_words:
                    sys.stdout.write(f"\n{wrong_words}\n")
                    return 1
            left = max(0.0, end - time.monotonic())
            say(f"{sequences} random sequences of five, {steps} steps, {left:.0f} s left")
    took = time.monotonic() - began
    sys.stdout.write(
        f"\nnothing is wrong: {states} states of two and three nodes, {sequences} random sequences "
        f"of five ({steps} steps) from seed {first} on, in {took:.0f} s\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
