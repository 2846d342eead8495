"""The commands of the README, in the order of its reader.

What a reader has and these machines may lack is stood in for by a `docker` that is found first:
images of a registry (`docker build` gets the base images that the tests have), and MongooseIM on
GitHub (git in the builder finds the sample server there).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import base_images
import pytest
from console import ROOT, wait_for
from docker_cli import docker, docker_result
from documents import Reader, commands
from sources import make_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGES = ("mongooseim", "mongooseim:6.8.0", "mongooseim-builder")
CONTAINERS = ("mongooseim-builder", "mongooseim-1", "mongooseim-2", "first-node", "second-node")
VOLUMES = ("mongooseim-1", "mongooseim-2")
NETWORK = "mim_cluster"
PATIENCE = 90.0
"""Seconds in which a member answers, or has joined."""
SHIM = """\
#!/usr/bin/env bash
# Stands in for a registry, and for GitHub; everything else is the real docker.
case "$1 $*" in
    'build '*) set -- build {bases} "${{@:2}}" ;;
    'run '*' mongooseim-builder') set -- run {source} "${{@:2}}" ;;
esac
exec {docker} "$@"
"""


@pytest.fixture
def reader(tmp_path: Path, docker_engine: None) -> Iterator[Reader]:  # noqa: ARG001 - for its effect
    """Provide a reader in a copy of this repository; what the commands make is removed."""
    names = docker("ps", "--all", "--format={{.Names}}").split()
    if set(names) & set(CONTAINERS):
        pytest.skip("containers with the names of the README are on this machine")
    before = {name: _image(name) for name in IMAGES}
    copy, tools, source = (tmp_path / name for name in ("repository", "tools", "source"))
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    make_repository(source)
    subprocess.run(["git", "-C", str(source), "tag", "6.8.0"], check=True)
    _write_shim(tools / "docker", source)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "VOLUMES": str(copy / "volumes")}
    try:
        yield Reader(copy, variables, timeout=600)
    finally:
        docker_result("rm", "--force", "--volumes", *CONTAINERS)
        docker_result("volume", "rm", "--force", *VOLUMES)
        docker_result("network", "rm", NETWORK)
        for name, former in before.items():
            # `make demo` removes what it made; a reader's own images stay.
            if former:
                docker("tag", former, name)
            else:
                docker_result("image", "rm", "--force", name)


def _image(name: str) -> str:
    done = docker_result("image", "inspect", "--format={{.Id}}", name)
    return done.stdout.strip() if done.returncode == 0 else ""


def _write_shim(path: Path, source: Path) -> None:
    bases = [f"--build-arg={argument}" for argument in base_images.arguments()]
    given = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "url.file:///github.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/esl/MongooseIM",
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }
    options = [f"--volume={source}:/github:ro", *(f"--env={k}={v}" for k, v in given.items())]
    real = shutil.which("docker")
    assert real
    path.parent.mkdir()
    path.write_text(SHIM.format(bases=shlex.join(bases), source=shlex.join(options), docker=real))
    path.chmod(0o755)


@pytest.mark.timeout(900, func_only=True)
def test_the_commands_of_the_readme(reader: Reader) -> None:
    """Each succeeds as it stands there; what asks a member is asked until it is up."""
    name = "test_the_commands_of_the_readme"
    (labelled,) = commands("image.md", name)
    for command in (
        *commands("../README.md", name),
        *commands("health.md", name),
        *commands("status.md", name),
        labelled,
    ):
        asks = command.startswith("docker exec mongooseim-") or " check" in command
        if asks:
            assert wait_for(lambda it=command: reader.does(it), timeout=PATIENCE), command  # type: ignore[misc]
        else:
            assert reader.does(command), command
        if command == "make demo":
            assert reader.does("make demo-clean")
    labels = json.loads(
        docker("image", "inspect", "--format={{json .Config.Labels}}", "mongooseim:6.8.0")
    )
    for label in ("version", "revision", "created"):
        assert labels[f"org.opencontainers.image.{label}"], labels
