"""Dependencies are compiled once, by a real rebar3, as long as nothing changes for them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from builder_tools import DEADLINE
from tarballs import content

if TYPE_CHECKING:
    from pathlib import Path

    from builder_tools import Result
    from rebar_tools import Site

ROUNDS = int(os.environ.get("BUILDER_KILLS", "6"))
ALL = "compiled dependencies 4 of 4"


def kept(site: Site) -> list[Path]:
    """Return the files of compiled dependencies."""
    return sorted((site.workshop.builds / ".cache" / "compiled").glob("*.tar"))


def compiled(result: Result) -> set[str]:
    """Return what rebar3 compiled in a build that must have succeeded."""
    assert result.status == 0, result.output
    return {line.split()[-1] for line in result.lines if line.startswith("===> Compiling ")}


def test_the_next_commit_compiles_only_itself(site: Site) -> None:
    """And its tarball is that of a build that uses no cache."""
    assert compiled(site.build()) == {"alpha", "beta", "delta", "gamma", "mongooseim"}
    (first,) = kept(site)
    site.change()
    nearby = site.build(network=False)
    assert compiled(nearby) == {"mongooseim"}
    assert any(ALL in line for line in nearby.said)
    fresh = site.build("--no-cache")
    assert compiled(fresh) == {"alpha", "beta", "delta", "gamma", "mongooseim"}
    assert nearby.tarball.read_bytes() == fresh.tarball.read_bytes()
    packed = content(nearby.tarball)
    assert packed["mongooseim/lib/gamma-1.0.0/priv/gamma.so"].startswith(b"\x7fELF")
    assert kept(site) == [first]


@pytest.mark.parametrize("change", ["rebar.config", "rebar.config.script", "CFLAGS", "TMPDIR"])
def test_what_was_compiled_for_another_build_is_not_used(site: Site, change: str) -> None:
    """Another configuration, another option of the compiler, another path: all is compiled."""
    assert site.build().status == 0
    variables: dict[str, str] = {}
    if change.startswith("rebar"):
        path = site.project.main.folder / change
        text = path.read_text() if path.exists() else "CONFIG.\n"
        path.write_text(f"{text}%% another\n")
        site.commit = site.project.main.commit()
    else:
        (site.workshop.folder / "other").mkdir()
        values = {"CFLAGS": "-O1", "TMPDIR": str(site.workshop.folder / "other")}
        variables = {change: values[change]}
    result = site.build(network=True, **variables)
    assert compiled(result) > {"alpha", "beta", "delta", "gamma"}
    assert len(kept(site)) == 2


def test_a_build_that_failed_keeps_nothing(site: Site) -> None:
    """Nor does one without a cache."""
    source = site.project.main.folder / "src" / "mongooseim.erl"
    text = source.read_text()
    source.write_text("nonsense\n")
    site.commit = site.project.main.commit()
    assert site.build().status == 1
    source.write_text(text)
    site.commit = site.project.main.commit()
    assert site.build("--no-cache").status == 0
    assert kept(site) == []


def test_damaged_files_are_removed_and_old_ones_when_there_are_too_many(site: Site) -> None:
    """All together have 2 GiB at most; what has not its checksum is never unpacked."""
    assert site.build().status == 0
    (path,) = kept(site)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"x")
    for age, name in enumerate(("newer", "older"), 1):
        other = path.with_name(f"{name}.tar")
        with other.open("wb") as file:
            file.truncate(2**30)
        os.utime(other, (0, 10**9 - age))
    result = site.build()
    assert "the cached compiled dependencies are damaged" in result.said
    assert compiled(result) > {"alpha", "beta", "delta", "gamma"}
    assert [file.name for file in kept(site)] == [kept(site)[0].name, "newer.tar"]
    assert compiled(site.build()) == {"mongooseim"}


def test_a_disk_without_room_for_them_does_not_end_a_build(site: Site) -> None:
    """It is said, and nothing unfinished stays."""
    folder = site.workshop.builds / ".cache" / "compiled"
    folder.mkdir(parents=True)
    script = (
        f'mount -t tmpfs -o size=64k none {folder} && {{ "$@"; s=$?; ls -A {folder}; exit $s; }}'
    )
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
    result = site.workshop.finish(site.start(prefix=prefix))
    assert result.status == 0, result.output
    said = [line for line in result.said if "compiled dependencies are not kept" in line]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert result.lines[-1].endswith("is ready")


def test_the_cache_is_never_wrong_after_builds_that_were_killed(site: Site) -> None:
    """Whatever moment they were killed at, the next build's tarball is that without a cache."""
    began = time.monotonic()
    expected = site.build("--no-cache").tarball.read_bytes()
    length = time.monotonic() - began
    seed = random.randrange(2**32)  # noqa: S311 - printed when the test fails
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)  # noqa: S311
    for number in range(ROUNDS):
        if number % 3 == 0:
            for path in kept(site):  # so that this build keeps them again
                path.unlink()
        started = site.start(stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, length * 1.2))
        os.killpg(started.pid, signal.SIGKILL)
        started.wait(timeout=DEADLINE)
    result = site.build()
    assert result.status == 0, result.output
    assert result.tarball.read_bytes() == expected
    assert "damaged" not in result.output
    assert [file.suffix for file in kept(site)[0].parent.iterdir()] == [".tar"]
    assert compiled(site.build()) == {"mongooseim"}
