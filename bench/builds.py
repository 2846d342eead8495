"""Measures the builder: packing a release, and the second build of the same commit."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sources import BRANCH, make_repository

from bench import shop
from bench.figures import BenchmarkError
from bench.measurement import OURS, Measurement, Target, interleaved

if TYPE_CHECKING:
    from containers import Container

    from bench.shop import Shop

MEGABYTES = 300
PACKING_ROUNDS = 5
CORES = "0,1"
TAR = "tar czfh"
TREE = "/tree"
FIRST, SECOND = "first build", "second build"
BUILDS = "/builds"
BUILD_TIMEOUT = 600.0
"""Seconds that a build, or packing, may take."""
BUILD = ("/build.sh", "sample", "file:///source", BRANCH)


def measure_packing(bench: Shop) -> list[Measurement]:
    """Pack the same tree with the builder, and with the command of the shell version."""
    commands = {
        OURS: ("python3", "-I", "/bench/pack.py", f"{TREE}/mongooseim", BUILDS, "ours.tar.gz"),
        TAR: ("tar", "czfh", f"{BUILDS}/theirs.tar.gz", "-C", TREE, "mongooseim"),
    }
    with shop.containers(bench) as cluster:
        container = shop.make(
            cluster,
            ("/usr/bin/builder-init",),
            image=bench.builder,
            # No volumes, because those of the two commands may be on different disks.
            options=(f"--cpuset-cpus={CORES}",),
        )
        container.start()
        made = ("/bench/make_tree.py", f"{TREE}/mongooseim", str(MEGABYTES))
        shop.timed(container, "python3", "-I", *made)
        variants = {
            name: partial(shop.timed, container, *command, timeout=BUILD_TIMEOUT)
            for name, command in commands.items()
        }
        found = interleaved(
            "packing",
            variants,
            bench.fewer(PACKING_ROUNDS),
            lambda spent: f"{spent.wall:.1f} s",
            warm_up=False,
        )
        _check_tarballs(container)
    return [
        Measurement(
            key="builder.packing",
            title=f"packing {MEGABYTES} MB on 2 cores",
            unit="s",
            series={name: [one.wall for one in each] for name, each in found.items()},
            target=Target(reference=TAR, at_most=0.5),
            note="the builder's time includes the hash, and that all of it is on the disk",
        ),
        Measurement(
            key="builder.packing.cpu",
            title=f"CPU time of packing {MEGABYTES} MB",
            unit="s",
            series={name: [one.cpu for one in each] for name, each in found.items()},
            reference=TAR,
        ),
    ]


def _check_tarballs(container: Container) -> None:
    """Raise BenchmarkError unless both tarballs contain the same files."""
    script = 'for f in ours theirs; do tar tzf "$0/$f.tar.gz" | sort | sha256sum; done'
    done = container.exec("bash", "-o", "pipefail", "-ec", script, BUILDS, timeout=BUILD_TIMEOUT)
    hashes = done.stdout.split("\n")[:2]
    if done.returncode != 0 or hashes[0] != hashes[1]:
        raise BenchmarkError(f"the two tarballs differ:\n{done.stdout}{done.stderr}")


def measure_builds(bench: Shop) -> list[Measurement]:
    """Build the sample server twice in a row, the first time with an empty cache."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, shop.containers(bench) as cluster:
        source = Path(folder, "source")
        make_repository(source)
        container = shop.make(
            cluster,
            ("/usr/bin/builder-init",),
            image=bench.builder,
            volumes=(f"{source}:/source:ro",),
        )
        container.start()
        variants = {
            FIRST: partial(_build, container, empty=True),
            SECOND: partial(_build, container, empty=False),
        }
        found = interleaved("builds", variants, bench.runs, lambda took: f"{took:.1f} s")
    return [
        Measurement(
            key="builder.second",
            title="the sample server built twice",
            unit="s",
            series=found,
            reference=FIRST,
            note="nearly all of it is the compiler; the cache saves what comes over the network",
        )
    ]


def _build(container: Container, *, empty: bool) -> float:
    """Build, remove the tarball but not the cache, and return how many seconds the build took."""
    if empty:
        container.exec("rm", "-rf", f"{BUILDS}/.cache")
    elif container.exec("test", "-d", f"{BUILDS}/.cache").returncode != 0:
        raise BenchmarkError("the first build left no cache")
    took = shop.timed(container, *BUILD, timeout=BUILD_TIMEOUT).wall
    removed = container.exec("bash", "-c", f"rm {BUILDS}/mongooseim-sample-*.tar.gz*")
    if removed.returncode != 0:
        raise BenchmarkError(f"a build left no tarball: {removed.stderr}")
    return took
