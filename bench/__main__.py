"""Runs all measurements: `make bench`, or `python -m bench`.

    RUNS=15            rounds of quick measurements; slow ones have fewer, as the results say
    ONLY=start,join    only these measurements
    RELEASE=FILE       measure with this release instead of the sample server
    RESULTS=FOLDER     where to write; by default bench/results, with ONLY .cache/bench/results

These are variables of the environment, which make sets. If a measurement fails, nothing is written
and the exit status is 1.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from console import ToolError, ended, say, shown, step
from containers import remove_leftovers
from docker_cli import DockerError

from bench import (
    ROOT,
    builds,
    dependencies,
    formation,
    idle,
    init_work,
    join,
    life,
    probe,
    questions,
    report,
    shop,
    simulation,
    status,
    watcher,
)
from bench.figures import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measurement import Measurement
    from bench.shop import Shop

DEFAULT_RUNS = 15
PARTS: dict[str, tuple[Callable[[Shop], list[Measurement]], ...]] = {
    "start": (life.measure, life.measure_plain),
    "join": (join.measure,),
    "idle": (idle.measure, idle.measure_alone),
    "watcher": (watcher.measure,),
    "probe": (probe.measure,),
    "status": (status.measure,),
    "signals": (init_work.measure_signals,),
    "reaping": (init_work.measure_reaping,),
    "formation": (formation.measure,),
    "questions": (questions.measure,),
    "simulation": (simulation.measure,),
    "builder": (builds.measure_packing, builds.measure_builds),
    "builds": (dependencies.check_inputs, dependencies.measure, dependencies.measure_links),
}
"""The measurements, in the order of the report; `start` also measures the stop of containers."""
ALIASES = {"stop": "start"}


def parts(only: str) -> list[str]:
    """Return the requested parts; all if `only` is empty. Raises BenchmarkError."""
    requested = {ALIASES.get(word, word) for word in only.replace(",", " ").split()}
    if unknown := sorted(requested - set(PARTS)):
        raise BenchmarkError(
            f"ONLY={only}: there is no {', '.join(unknown)}; there are"
            f" {', '.join((*PARTS, *ALIASES))}"
        )
    return [part for part in PARTS if not requested or part in requested]


def runs(text: str) -> int:
    """Return the number of rounds in `text`. Raises BenchmarkError."""
    if not text.isdecimal() or int(text) == 0:
        raise BenchmarkError(f"RUNS={text}: a number above 0 is needed")
    return int(text)


def _main() -> None:
    wanted = parts(os.environ.get("ONLY", ""))
    number = runs(os.environ.get("RUNS") or str(DEFAULT_RUNS))
    release = os.environ.get("RELEASE")
    tarball = Path(release).expanduser().absolute() if release else None
    if tarball is not None and not tarball.is_file():
        raise BenchmarkError(f"RELEASE={release}: there is no such file")
    default = ROOT / "bench" / "results" if wanted == list(PARTS) else shop.CACHE / "results"
    folder = Path(os.environ.get("RESULTS") or default)
    if find_spec("matplotlib") is None:
        raise BenchmarkError("matplotlib is missing: run python3 tools/setup.py venv bench")
    shop.require_root()
    began = time.monotonic()
    try:
        remove_leftovers()
        conditions = report.machine()
        with step("The images"):
            bench = shop.set_up(number, tarball)
        measurements = []
        for part in wanted:
            with step(f"Measuring: {part}"):
                for measure in PARTS[part]:
                    measurements += measure(bench)
    except DockerError as error:
        raise ToolError(str(error)) from error
    report.write(folder, bench, conditions, measurements)
    say(f"\n{Path(folder, report.TEXT_PLOT).read_text(encoding='utf-8')}")
    for measurement in measurements:
        if measurement.target:
            say(report.target_row(measurement))
    say(f"\nMeasured in {time.monotonic() - began:.0f} s; the results are in {shown(folder)}")


if __name__ == "__main__":
    sys.exit(ended(_main))
