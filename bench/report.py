"""Writes the results: data as JSON, a table in Markdown, and plots as text and PNG."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import run
from docker_cli import docker

from bench import ROOT
from bench.measurement import Measurement, Target
from bench.plot import draw, text_plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Ratio
    from bench.shop import Shop

DATA, TABLE, TEXT_PLOT, PICTURE = "results.json", "results.md", "plot.txt", "plot.png"
DIGITS = 3
METHOD = (
    "Ratios are those of the medians; in brackets are the quartiles of the ratios within each"
    " round. All variants run once in each round, one after the other."
)


def machine() -> dict[str, Any]:
    """Return the conditions that the figures depend on, without the identity of the machine."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "docker": docker("version", "--format", "{{.Server.Version}}"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _commit() -> str:
    """Return the measured commit, with `-dirty` if files differ from it."""
    describe = ("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*")
    return run(describe, what="the measured commit").strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write(
    folder: Path, bench: Shop, conditions: dict[str, Any], measurements: Sequence[Measurement]
) -> None:
    """Write all results into `folder`, and replace those of an earlier run.

    Raises BenchmarkError, before anything is written, if a measurement is empty.
    """
    about = {**conditions, "runs": bench.runs, "release": bench.release}
    data = [_data(measurement) for measurement in measurements]
    files = {
        DATA: json.dumps({"about": about, "measurements": data}, indent=1) + "\n",
        TABLE: table(about, measurements),
        TEXT_PLOT: text_plot(measurements),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        Path(folder, name).write_text(text, encoding="utf-8")
    draw(measurements, Path(folder, PICTURE))


def _data(measurement: Measurement) -> dict[str, Any]:
    target = measurement.target
    return {
        "key": measurement.key,
        "title": measurement.title,
        "unit": measurement.unit,
        "series": dict(measurement.series),
        "summary": {name: each._asdict() for name, each in measurement.summaries().items()},
        "compared_with": measurement.compared_with,
        "ratio": {
            name: found._asdict()
            for name in measurement.series
            if (found := measurement.ratio(name)) is not None
        },
        "target": dataclasses.asdict(target) if target else None,
        "met": measurement.is_met(),
        "note": measurement.note,
    }


def read(data: dict[str, Any]) -> tuple[dict[str, Any], list[Measurement]]:
    """Return the conditions and the measurements from the JSON data."""
    names = ("key", "title", "unit", "series", "note")
    measurements = [
        Measurement(
            **{name: each[name] for name in names},
            target=Target(**each["target"]) if each["target"] else None,
            reference=each["compared_with"],
        )
        for each in data["measurements"]
    ]
    return data["about"], measurements


def table(about: dict[str, Any], measurements: Sequence[Measurement]) -> str:
    """Return the results in Markdown: targets first, then all that was measured."""
    lines = [
        "# What the entrypoint costs",
        "",
        made(about),
        "",
        METHOD,
        "",
        "## Targets",
        "",
        *target_table(measurements),
        "",
        "## All measurements",
        "",
        "| what | of | median | quartiles | least to most | runs | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for measurement in measurements:
        lines += _rows(measurement)
    notes = [f"- {each.title}: {each.note}." for each in measurements if each.note]
    return "\n".join([*lines, "", *notes, ""])


def made(about: dict[str, Any]) -> str:
    """Return the line that says when and how the results were made."""
    return (
        f"Made by `make bench` from commit {about['commit']} on {about['when']},"
        f" {about['runs']} runs, with {about['release']};"
        f" {about['cores']} cores ({about['processor']}), Linux {about['kernel']},"
        f" Docker {about['docker']}, load {about['load_before']} before."
    )


def target_table(measurements: Sequence[Measurement]) -> list[str]:
    """Return the lines of the table of targets."""
    return [
        "| what | measured | target | met |",
        "| --- | --- | --- | --- |",
        *(target_row(measurement) for measurement in measurements if measurement.target),
    ]


def target_row(measurement: Measurement) -> str:
    """Return the row of the targets' table."""
    target = measurement.target
    if target is None:
        raise ValueError(measurement.key)
    found = measurement.ratio(target.subject) if target.reference else None
    if found is not None:
        measured = f"{_ratio(found)} of {target.reference}"
        limit = f"{target.at_most:g}"
    else:
        summary = measurement.summaries()[target.subject]
        value = summary.most if target.every_run else summary.median
        measured = f"{number(value)}{_unit(measurement)}{' at most' if target.every_run else ''}"
        limit = f"{target.at_most:g}{_unit(measurement)}"
    met = "yes" if measurement.is_met() else "**no**"
    return f"| {measurement.title} | {measured} | {limit} | {met} |"


def _rows(measurement: Measurement) -> list[str]:
    rows = []
    title = measurement.title
    for name, each in measurement.summaries().items():
        found = measurement.ratio(name)
        words = _ratio(found) if found else "1" if name == measurement.compared_with else ""
        rows.append(
            f"| {title} | {name} | {number(each.median)}{_unit(measurement)}"
            f" | {number(each.lower)} to {number(each.upper)}"
            f" | {number(each.least)} to {number(each.most)} | {each.runs} | {words} |"
        )
        title = ""
    return rows


def _ratio(found: Ratio) -> str:
    return f"{number(found.value)} ({number(found.lower)} to {number(found.upper)})"


def _unit(measurement: Measurement) -> str:
    return f" {measurement.unit}" if measurement.unit else ""


def number(value: float) -> str:
    """Return a number with three significant digits, and no exponent."""
    if value == 0:
        return "0"
    places = DIGITS - 1
    while places and abs(value) >= 10 ** (DIGITS - places):
        places -= 1
    while abs(value) < 10 ** (DIGITS - 1 - places) and places < 2 * DIGITS:
        places += 1
    return f"{value:.{places}f}"
