"""Measures how fast the simulation of clusters goes on: how much of it CI can afford."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from brain import Real
from scenarios import SCENARIOS

from bench.figures import BenchmarkError
from bench.measurement import Measurement, interleaved

if TYPE_CHECKING:
    from bench.shop import Shop

NAMES = ("two, everything", "three, hooks")
SECONDS = 60.0
MOST_ROUNDS = 3


def measure(bench: Shop) -> list[Measurement]:
    """Try all sequences of some worlds with the decision as it is."""
    rounds = bench.fewer(MOST_ROUNDS)
    variants = {name: partial(search, name) for name in NAMES}
    series = interleaved("simulation", variants, rounds, lambda speed: f"{speed:.0f} states/s")
    return [
        Measurement(
            key="simulation.speed",
            title="states that the simulation tries in a second",
            unit="1/s",
            series=series,
            note="one core; from each state all members are started again, and settle",
        )
    ]


def search(name: str) -> float:
    """Return how many states of a world are tried in a second."""
    found = SCENARIOS[name].search(Real(), seconds=SECONDS)
    if found.wrong:
        raise BenchmarkError(f"the simulation found something: {found}")
    return found.states / found.seconds
