"""Measures what the builder's cache saves, with a real rebar3; kills builds, and checks it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import rebar_tools
from builder_tools import Workshop
from console import say

from bench import ROOT
from bench.figures import BenchmarkError
from bench.measurement import Measurement, Target
from builder_entrypoint.links import check_links

if TYPE_CHECKING:
    from builder_tools import Result
    from rebar_tools import Site

    from bench.shop import Shop

ROUNDS = 3
KILLS = 30
MODULES = 60
"""Modules of a dependency; compiling them takes about as long as a small dependency in C."""
FILES = 50_000
FIRST, SECOND, NEARBY = "first build", "same commit again", "nearby commit"
INPUTS = tuple(
    f"tests/process/test_builder_{name}.py"
    for name in ("configuration", "failures", "progress", "repositories", "tarball")
)
"""The tests that have the inputs on which earlier versions failed."""


def measure(bench: Shop) -> list[Measurement]:
    """Build a project first, again, and after a change; then kill builds at random."""
    times: dict[str, list[float]] = {FIRST: [], SECOND: [], NEARBY: []}
    requests: dict[str, list[float]] = {FIRST: [], SECOND: [], NEARBY: []}
    wrong = 0
    for number in range(bench.fewer(ROUNDS)):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            workshop = Workshop(Path(folder))
            with rebar_tools.site(workshop, modules=MODULES) as site:
                _round(site, times, requests)
                if number == 0:
                    wrong = _kill(site)
            workshop.close()
    return [
        Measurement(
            key="builds.time",
            title="a project with dependencies, of which one has a NIF, built by rebar3",
            unit="s",
            series=times,
            target=Target(reference=FIRST, subject=NEARBY, at_most=0.4),
            note="git and Hex servers are on the same machine",
        ),
        Measurement(
            key="builds.network",
            title="requests to the servers of dependencies",
            unit="",
            series=requests,
            target=Target(subject=NEARBY, at_most=0, every_run=True),
        ),
        Measurement(
            key="builds.killed",
            title=f"wrong tarballs after {KILLS} builds that were killed at random",
            unit="",
            series={"wrong": [float(wrong)]},
            target=Target(subject="wrong", at_most=0),
        ),
    ]


def measure_links(bench: Shop) -> list[Measurement]:
    """Check the links of a release with many small files, and pack it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        release = Path(folder, "_build", "mongooseim")
        for number in range(FILES // 100):
            parent = release / str(number % 20) / str(number)
            parent.mkdir(parents=True)
            for name in range(100):
                (parent / str(name)).write_bytes(os.urandom(40))
        checking, packing = [], []
        command = f"tar --create --dereference -C {release.parent} mongooseim | pigz -n > /dev/null"
        for _ in range(bench.fewer(5)):
            began = time.monotonic()
            check_links(release, release.parent, lambda: None)
            middle = time.monotonic()
            subprocess.run(["/bin/sh", "-c", command], check=True)
            checking.append(middle - began)
            packing.append(time.monotonic() - middle)
    return [
        Measurement(
            key="builds.links",
            title=f"checking the links of {FILES:,} files",
            unit="s",
            series={"checking": checking, "packing": packing},
            target=Target(reference="packing", subject="checking", at_most=1.0),
        )
    ]


def check_inputs(_: Shop) -> list[Measurement]:
    """Run the tests of inputs that failed once. Raises BenchmarkError if one fails again."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *INPUTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    say(f"    inputs that failed once: {(done.stdout.splitlines() or ['?'])[-1]}")
    if done.returncode:
        raise BenchmarkError(done.stdout[-3000:])
    return []


def _round(site: Site, times: dict[str, list[float]], requests: dict[str, list[float]]) -> None:
    """Build three times and note what each took."""
    for name, took in times.items():
        if name == NEARBY:
            site.change()
        began = time.monotonic()
        result = _built(site.build())
        took.append(time.monotonic() - began)
        requests[name].append(len(site.requests()))
        said = [line for line in result.said if line.startswith(("time: ", "from the cache: "))]
        say(f"    {name}: {'; '.join(said)}")
    if _built(site.build("--no-cache")).tarball.read_bytes() != result.tarball.read_bytes():
        raise BenchmarkError("the tarball with the cache is not that without")
    site.requests()


def _kill(site: Site) -> int:
    """Kill builds at random moments; return after how many of them the next one was wrong."""
    began = time.monotonic()
    expected = _built(site.build("--no-cache")).tarball.read_bytes()
    length = time.monotonic() - began
    seed = random.randrange(2**32)  # noqa: S311 - printed
    say(f"    killing {KILLS} builds, seed {seed}")
    chance = random.Random(seed)  # noqa: S311
    compiled = site.workshop.builds / ".cache" / "compiled"
    wrong = 0
    for number in range(KILLS):
        if number % 3 == 0:
            for path in compiled.glob("*.tar"):
                path.unlink()
        started = site.start(stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, length * 1.2))
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        if number % 3 == 2:  # noqa: PLR2004 - the third of three
            wrong += _built(site.build()).tarball.read_bytes() != expected
    return wrong


def _built(result: Result) -> Result:
    if result.status:
        raise BenchmarkError(f"a build failed:\n{result.output[-3000:]}")
    return result
