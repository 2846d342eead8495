"""A measurement: series of runs side by side, what they are compared with, and the target."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, TypeVar

from console import say

from bench import figures
from bench.figures import BenchmarkError, Ratio, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OURS = "ours"
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What `subject` may be at most: times the `reference`, or without one, in its own unit."""

    at_most: float
    reference: str | None = None
    subject: str = OURS
    every_run: bool = False
    """Not the median counts but the largest run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """Something that was measured."""

    key: str
    """A word for programs, such as `start.container.started`."""
    title: str
    unit: str
    """Of the values: s, ms, us, MiB; empty for plain numbers."""
    series: Mapping[str, list[float]]
    """The runs of each thing that was measured, by its name, in the order of the rounds."""
    target: Target | None = None
    reference: str | None = None
    """What the others are compared with where there is no target."""
    note: str = ""

    @property
    def compared_with(self) -> str | None:
        """The series that the ratios are to."""
        return self.target.reference if self.target else self.reference

    def summaries(self) -> dict[str, Summary]:
        """Return what each series comes to. Raises BenchmarkError where nothing was measured."""
        if not self.series:
            raise BenchmarkError(f"{self.title}: nothing was measured")
        return {
            name: figures.summary(values, f"{self.title}, {name}")
            for name, values in self.series.items()
        }

    def ratio(self, name: str) -> Ratio | None:
        """Return how many times the reference a series is; None for the reference itself."""
        reference = self.compared_with
        if reference is None or name == reference:
            return None
        return figures.ratio(
            self.series[name], self.series[reference], f"{self.title}, {name} / {reference}"
        )

    def is_met(self) -> bool | None:
        """Tell whether the target is met; None without one."""
        if self.target is None:
            return None
        if self.target.reference is not None:
            found = self.ratio(self.target.subject)
            return found is not None and found.value <= self.target.at_most
        values = self.summaries()[self.target.subject]
        value = values.most if self.target.every_run else values.median
        return value <= self.target.at_most


def interleaved(
    what: str,
    variants: Mapping[str, Callable[[], T]],
    rounds: int,
    shown: Callable[[T], str],
    *,
    warm_up: bool = True,
) -> dict[str, list[T]]:
    """Run all variants once in each round, A B C D A B C D ..., and return their results.

    A round before the first, which fills the caches, does not count.
    """
    found: dict[str, list[T]] = {name: [] for name in variants}
    for number in range(0 if warm_up else 1, rounds + 1):
        began = time.monotonic()
        results = {name: run() for name, run in variants.items()}
        if number:
            for name, result in results.items():
                found[name].append(result)
        words = "  ".join(f"{name} {shown(result)}" for name, result in results.items())
        which = f"{number}/{rounds}" if number else "warm-up"
        say(f"    {what} {which}: {words}  ({time.monotonic() - began:.1f} s)")
    return found
