"""The arithmetic of the benchmark: summaries of runs, ratios, and growth.

Invalid measurements (none, not a number, negative) raise BenchmarkError.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

from console import ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence


class BenchmarkError(ToolError):
    """A measurement failed."""


class Summary(NamedTuple):
    """The summary of several runs, in their unit."""

    least: float
    lower: float
    """The first quartile."""
    median: float
    upper: float
    """The third quartile."""
    most: float
    runs: int


class Ratio(NamedTuple):
    """How many times as large as the reference a value is."""

    value: float
    """The ratio of the medians."""
    lower: float
    """The first quartile of the ratios within each round; `value` if there are no rounds."""
    upper: float
    """The third quartile of the same."""


def summary(values: Sequence[float], what: str) -> Summary:
    """Return the summary of the runs; `what` names them in errors."""
    checked(values, what)
    lower, upper = _quartiles(values)
    return Summary(min(values), lower, statistics.median(values), upper, max(values), len(values))


def ratio(values: Sequence[float], reference: Sequence[float], what: str) -> Ratio:
    """Return the ratio of `values` to `reference`; both are in the order of their rounds."""
    checked(values, what)
    checked(reference, f"{what}, the reference")
    if min(reference) == 0:
        raise BenchmarkError(f"{what}: the reference has a run of 0, so there is no ratio")
    value = statistics.median(values) / statistics.median(reference)
    if len(values) != len(reference):
        return Ratio(value, value, value)
    rounds = [one / other for one, other in zip(values, reference, strict=True)]
    return Ratio(value, *_quartiles(rounds))


def exponent(sizes: Sequence[float], values: Sequence[float], what: str) -> float:
    """Return k of the power law `values ~ sizes ** k` that fits best; 1 is linear growth.

    The fit is by least squares of the logarithms.
    """
    checked(values, what)
    if len(sizes) != len(values) or len(set(sizes)) < 2 or min(*sizes, *values) <= 0:  # noqa: PLR2004
        raise BenchmarkError(f"{what}: growth needs values above 0 for at least two sizes")
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(value) for value in values]
    ).slope


def checked(values: Sequence[float], what: str) -> None:
    """Raise BenchmarkError if there are no measurements, or invalid ones."""
    if not values:
        raise BenchmarkError(f"{what}: nothing was measured")
    for value in values:
        if not math.isfinite(value) or value < 0:
            raise BenchmarkError(f"{what}: {value} is not a valid measurement")


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper
