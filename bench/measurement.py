"""A measurement: series of runs, the reference that they are compared with, and the target."""

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
    """The limit for `subject`: a multiple of `reference`, or without one, a value in its unit."""

    at_most: float
    reference: str | None = None
    subject: str = OURS
    every_run: bool = False
    """Whether the limit is for the largest run instead of the median."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """The runs of one measurement, and how they are judged."""

    key: str
    """An identifier, such as `start.container.started`."""
    title: str
    unit: str
    """The unit of the values: s, ms, us, MiB; empty for plain numbers."""
    series: Mapping[str, list[float]]
    """The runs of each variant by its name, in the order of the rounds."""
    target: Target | None = None
    reference: str | None = None
    """The series that others are compared with if there is no target."""
    note: str = ""

    @property
    def compared_with(self) -> str | None:
        """The series that is the reference of the ratios."""
        return self.target.reference if self.target else self.reference

    def summaries(self) -> dict[str, Summary]:
        """Return the summary of each series. Raises BenchmarkError if nothing was measured."""
        if not self.series:
            raise BenchmarkError(f"{self.title}: nothing was measured")
        return {
            name: figures.summary(values, f"{self.title}, {name}")
            for name, values in self.series.items()
        }

    def ratio(self, name: str) -> Ratio | None:
        """Return the ratio of a series to the reference; None for the reference itself."""
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

    With `warm_up`, a first round fills the caches; its results are dropped.
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
