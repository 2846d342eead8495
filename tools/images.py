"""Builds the two images, and a release of the sample server for the member image."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import base_images
from console import ROOT, run
from docker_cli import docker
from sources import BRANCH, SAMPLE_SERVER, make_repository

if TYPE_CHECKING:
    from pathlib import Path

IMAGE_TIMEOUT = 900.0
"""Seconds that an image, or the release of the sample server, may take to build."""


def build(tag: str, folder: Path, *build_args: str, dockerfile: str = "Dockerfile") -> str:
    """Build an image from a folder; return its name. Raises ToolError."""
    run(
        [
            *("docker", "build", "--force-rm", "-f", str(folder / dockerfile), "-t", tag),
            *(f"--build-arg={build_arg}" for build_arg in build_args),
            str(folder),
        ],
        what=f"the image {tag}",
        timeout=IMAGE_TIMEOUT,
    )
    return tag


def builder_image(tag: str) -> str:
    """Build the builder image from the sources as they are; return its name. Raises ToolError."""
    return build(tag, ROOT, *base_images.arguments(), dockerfile="Dockerfile.builder")


def sample_release(builder_image: str, cache: Path) -> Path:
    """Return a tarball of the sample server; build it if the server or the builder has changed.

    `cache` is a folder that nobody else uses.
    """
    tarballs = cache / "tarballs"
    image = docker("image", "inspect", "--format={{.Id}}", builder_image)
    key = hashlib.sha256(f"{image} {digest(SAMPLE_SERVER)}".encode()).hexdigest()[:16]
    tarball = tarballs / f"{key}.tar.gz"
    if not tarball.exists():
        shutil.rmtree(tarballs, ignore_errors=True)
        tarballs.mkdir(parents=True)
        source = cache / "source"
        make_repository(source)
        docker(
            *("run", "--rm", f"--volume={source}:/source:ro", f"--volume={tarballs}:/builds"),
            *(f"--env=TARBALL_NAME={key}", builder_image),
            *("/build.sh", "sample", "file:///source", BRANCH),
            timeout=IMAGE_TIMEOUT,
        )
    return tarball


def member_image(tag: str, base: str, tarball: Path) -> str:
    """Build the member image on `base` with the release in `tarball`; return its name."""
    copy = ROOT / "member" / f"{tag.replace('/', '-')}.tar.gz"
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(tarball, copy)
    try:
        return build(
            tag,
            ROOT,
            f"BASE_IMAGE={base}",
            f"TARBALL={copy.relative_to(ROOT)}",
            dockerfile="Dockerfile.member",
        )
    finally:
        copy.unlink()


def digest(folder: Path) -> str:
    """Return a hash of the names, modes and contents of the files that the builder gets."""
    found = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"_build", ".git"})
        for name in sorted(files):
            path = os.path.join(parent, name)
            mode = os.stat(path).st_mode
            found.update(f"{os.path.relpath(path, folder)} {mode:o}\n".encode())
            with open(path, "rb") as file:
                found.update(file.read())
    return found.hexdigest()
