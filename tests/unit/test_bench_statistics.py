"""The benchmark's arithmetic, and that it does not report what it has not measured."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import ROOT, figures, plot, quote, report
from bench.engine_api import seconds
from bench.figures import BenchmarkError
from bench.measurement import Measurement, Target, interleaved
from bench.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMES = st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1, max_size=30)
SHOP = Shop(runs=2, builder="", member="", release="a release")
ABOUT = {
    "when": "now",
    "commit": "0123abc",
    "cores": 2,
    "processor": "a processor",
    "kernel": "6.1",
    "docker": "20.10",
    "load_before": 0.1,
}


def measured(target: Target | None = None, **series: Sequence[float]) -> Measurement:
    """Return a measurement with these series."""
    lists = {name: list(values) for name, values in series.items()}
    return Measurement(key="k", title="something", unit="s", series=lists, target=target)


def test_a_summary_has_median_quartiles_and_extremes() -> None:
    """Known values, in any order."""
    found = figures.summary([5.0, 1.0, 4.0, 2.0, 3.0], "runs")
    assert found == figures.Summary(least=1, lower=2, median=3, upper=4, most=5, runs=5)


@given(TIMES)
def test_the_parts_of_a_summary_are_in_order(values: list[float]) -> None:
    """Whatever was measured, one run included."""
    found = figures.summary(values, "runs")
    parts = found[:5]
    assert all(one <= other or math.isclose(one, other) for one, other in itertools.pairwise(parts))


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_rounds() -> None:
    """The rounds are 2, 2, 2 and 4 times the reference."""
    found = figures.ratio([2.0, 4.0, 6.0, 16.0], [1.0, 2.0, 3.0, 4.0], "runs")
    assert found == figures.Ratio(value=2.0, lower=2.0, upper=2.5)


@given(TIMES)
def test_the_ratio_of_something_to_itself_is_one(values: list[float]) -> None:
    """And has no spread."""
    assert figures.ratio(values, values, "runs") == figures.Ratio(1.0, 1.0, 1.0)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.2, 2.0])
def test_the_exponent_of_a_power_law_is_found(power: float) -> None:
    """1 is linear growth."""
    sizes = [2, 4, 8, 16]
    values = [3.0 * size**power for size in sizes]
    assert figures.exponent(sizes, values, "growth") == pytest.approx(power)


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.inf], [1.0, -0.1]])
def test_what_is_no_measurement_is_refused(values: list[float]) -> None:
    """Nothing, not a number, infinite, negative."""
    with pytest.raises(BenchmarkError, match="runs"):
        figures.summary(values, "runs")
    with pytest.raises(BenchmarkError, match="runs"):
        figures.ratio([1.0], values, "runs")
    with pytest.raises(BenchmarkError, match="runs"):
        figures.exponent([2, 4], values, "runs")


def test_there_is_no_ratio_to_nothing() -> None:
    """A reference that took no time was not measured."""
    with pytest.raises(BenchmarkError, match="0"):
        figures.ratio([1.0, 1.0], [0.0, 1.0], "runs")


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (None, None),
        (Target(reference="bare", at_most=2.0), True),
        (Target(reference="bare", at_most=1.9), False),
        (Target(at_most=2.0), True),
        (Target(at_most=2.0, every_run=True), False),
        (Target(at_most=3.0, every_run=True), True),
        (Target(subject="bare", at_most=0.9), False),
    ],
)
def test_a_target_is_met_or_not(target: Target | None, met: bool | None) -> None:  # noqa: FBT001 - a table
    """Ratio of the medians; the median alone; each of the runs."""
    assert measured(target, ours=[1.0, 2.0, 3.0], bare=[1.0, 1.0, 1.0]).is_met() is met


def test_all_variants_run_in_each_round_and_the_first_does_not_count() -> None:
    """A B A B ..., with one round before that only warms up."""
    calls: list[str] = []

    def variant(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = interleaved("x", {"A": lambda: variant("A"), "B": lambda: variant("B")}, 2, str)
    assert calls == ["A", "B", "A", "B", "A", "B"]
    assert found == {"A": [3, 5], "B": [4, 6]}


def test_a_run_that_fails_ends_the_measuring() -> None:
    """It is not left out, and what was measured before is not reported."""
    runs = iter([1.0, 1.0])

    def fails_the_third_time() -> float:
        for value in runs:
            return value
        raise BenchmarkError("the VM did not start")

    with pytest.raises(BenchmarkError, match="the VM did not start"):
        interleaved("x", {"A": fails_the_third_time}, 5, str)


def test_nothing_is_written_when_one_measurement_is_empty(tmp_path: Path) -> None:
    """Neither the good ones: results are whole or not there."""
    good, empty = measured(ours=[1.0, 2.0]), measured(ours=[])
    for bad in ([good, empty], [good, measured()]):
        with pytest.raises(BenchmarkError, match="nothing was measured"):
            report.write(tmp_path / "results", SHOP, ABOUT, bad)
        assert not (tmp_path / "results").exists()


def test_table_and_plot_say_what_was_measured() -> None:
    """Title, each series, ratio, and whether the target is met."""
    missed = measured(Target(reference="bare", at_most=1.5), ours=[2.0, 2.0], bare=[1.0, 1.0])
    text = report.table({**ABOUT, "runs": 2, "release": "a release"}, [missed])
    assert "| something | 2.00 (2.00 to 2.00) of bare | 1.5 | **no** |" in text
    assert "|  | bare | 1.00 s | 1.00 to 1.00 | 1.00 to 1.00 | 2 | 1 |" in text
    picture = plot.text_plot([missed]).splitlines()
    assert [line.split()[-1] for line in picture if line.startswith("  ")][:2] == ["2", "1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (1.0, "1.00"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1e4, "10000"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    """And no exponent."""
    assert report.number(value) == text


def test_times_of_the_engine_are_read_to_the_nanosecond() -> None:
    """With any number of digits, or none."""
    assert seconds("1970-01-01T00:01:00.500000000Z") == 60.5
    assert seconds("1970-01-01T00:01:00Z") == 60.0
    with pytest.raises(BenchmarkError):
        seconds("yesterday")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"RUNS": "0"}, "RUNS=0"),
        ({"RUNS": "many"}, "RUNS=many"),
        ({"ONLY": "start,jion"}, "there is no jion"),
        ({"RELEASE": "/nowhere.tar.gz"}, "RELEASE=/nowhere.tar.gz"),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it(variables: dict[str, str], says: str) -> None:
    """Status 1 and one line, before anything is measured."""
    done = subprocess.run(
        [sys.executable, "-m", "bench"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_raw_data_have_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that anybody can compute what we did not."""
    monkeypatch.setattr(report, "draw", lambda *_: None)  # needs matplotlib
    report.write(tmp_path, SHOP, ABOUT, [measured(ours=[1.0, 2.0])])
    data = json.loads((tmp_path / report.DATA).read_text())
    assert data["measurements"][0]["series"] == {"ours": [1.0, 2.0]}
    assert data["about"]["runs"] == 2


def test_results_are_read_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever quotes them says what was measured."""
    monkeypatch.setattr(report, "draw", lambda *_: None)
    target = Target(reference="bare", at_most=1.5)
    written = measured(target, ours=[1.0, 2.0], bare=[1.0, 1.0])
    report.write(tmp_path, SHOP, ABOUT, [written])
    _, found = report.read(json.loads((tmp_path / report.DATA).read_text()))
    assert report.target_table(found) == report.target_table([written])


def test_the_documents_quote_the_results() -> None:
    """What it says was measured is what is in bench/results."""
    results = ROOT / "bench" / "results" / report.DATA
    page = (ROOT / "docs" / "performance.md").read_text()
    if results.exists():
        assert quote.quoted(page, results) == page
