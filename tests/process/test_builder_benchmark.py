"""How fast packing is, beside the one command of the shell version.

BUILDER_BENCHMARK_MB=300 makes it a measurement; by default the tree is small and only the two
tarballs are compared.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING

from builder_tools import Workshop, content, tool
from test_builder_tarball import PACK

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTES = int(os.environ.get("BUILDER_BENCHMARK_MB", "3"))
ROUNDS = 3


def make_tree(folder: Path) -> Path:
    """Copy files of /usr/lib until the size is reached; return the folder."""
    release = folder / "mongooseim"
    size = 0
    for parent, _, names in os.walk("/usr/lib"):
        for name in sorted(names):
            source = os.path.join(parent, name)
            if size < MEGABYTES << 20 and os.path.isfile(source) and not os.path.islink(source):
                target = release / source.removeprefix("/usr/lib/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                size += target.stat().st_size
    return release


def test_packing_beside_tar(tmp_path: Path) -> None:
    """Both tarballs hold the same files; the ratio of the times is printed."""
    workshop = Workshop(tmp_path)
    release = make_tree(tmp_path)
    theirs, ours = tmp_path / "theirs.tar.gz", workshop.builds / "ours.tar.gz"
    shell = [tool("tar"), "czfh", str(theirs), "-C", str(tmp_path), "mongooseim"]
    python = [sys.executable, "-c", PACK, str(release), str(workshop.builds), ours.name]
    times: dict[str, list[float]] = {"tar czfh": [], "builder": []}
    for _ in range(ROUNDS if MEGABYTES > 10 else 1):
        for name, command in (("tar czfh", shell), ("builder", python)):
            began = time.monotonic()
            subprocess.run(command, env=workshop.environment(), check=True, timeout=600)
            times[name].append(time.monotonic() - began)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    sizes = f"{theirs.stat().st_size} and {ours.stat().st_size} bytes"
    ratio = seconds["builder"] / seconds["tar czfh"]
    print(f"packing {MEGABYTES} MB: {seconds}, {sizes}, ratio {ratio:.2f}")  # noqa: T201
    if MEGABYTES <= 10:
        assert content(ours) == content(theirs)
    with tarfile.open(ours) as one, tarfile.open(theirs) as other:
        assert sorted(one.getnames()) == sorted(other.getnames())
