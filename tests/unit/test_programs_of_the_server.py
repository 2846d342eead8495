"""A program of the release goes on as its copy in the server's folder, however it is called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from member_images import Image


@pytest.mark.parametrize("way", ["path", "PATH", "relative", "name", "link", "CDPATH"])
def test_a_program_goes_on_in_the_servers_folder(tmp_path: Path, way: str) -> None:
    """Where `etc` is what the server reads; the release's own may be somebody's mount."""
    image = Image(tmp_path / "root")
    program = Path(image.release.root, "bin/mongooseimctl")
    script = '#!/bin/bash\nreadlink -f "$0"; echo "$1"\n'
    program.write_text(script.replace("\n", "\n" + program.read_text().splitlines()[1] + "\n", 1))
    image.start()
    (tmp_path / "link").symlink_to(program)
    root = Path(image.release.root)
    cases: dict[str, tuple[list[str], Path, dict[str, str]]] = {
        "path": ([str(program)], tmp_path, {}),
        "PATH": (["sh", "-c", 'mongooseimctl "$1"', "sh"], tmp_path, {}),
        "relative": (["bin/mongooseimctl"], root, {}),
        "name": (["bash", "mongooseimctl"], program.parent, {}),
        "link": ([str(tmp_path / "link")], tmp_path, {}),
        "CDPATH": (["bin/mongooseimctl"], root, {"CDPATH": str(root)}),
    }
    words, folder, more = cases[way]
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", **more}
    done = subprocess.run(
        [*words, "a b"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{os.path.realpath(image.release.control_script)}\na b\n"
