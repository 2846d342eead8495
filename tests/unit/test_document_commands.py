"""The documents: whose commands are run, by which test; and what kubectl makes of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from documents import DOCS, Reader, blocks, commands
from manifests import KUBERNETES, kubectl

TESTS = Path(__file__).resolve().parents[1]
DRAWN = {"architecture.md"}  # its blocks are pictures
PAGES = ["../README.md", *sorted({path.name for path in DOCS.glob("*.md")} - DRAWN)]
NO_SERVER = "--server=http://127.0.0.1:1"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run_or_says_why_not(page: str) -> None:
    """The comment before a block names a test that reads it, or the reason."""
    found = blocks(page)
    for block in found:
        assert block.is_marked, f"{page}: {block.lines[0]!r} has {block.comment!r} before it"
    for test in {block.run_by for block in found} - {""}:
        (source,) = (
            text
            for path in TESTS.rglob("test_*.py")
            if f"def {test}(" in (text := path.read_text(encoding="utf-8"))
        )
        assert page in source, f"{test} does not read {page}"


def test_the_commands_before_the_cluster(tmp_path: Path) -> None:
    """A cookie is made, and the manifests of the overlay are shown with it."""
    folder = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, folder, ignore=shutil.ignore_patterns("cookie"))
    path = f"{Path(kubectl()).parent}{os.pathsep}{os.environ['PATH']}"
    reader = Reader(folder, {**os.environ, "PATH": path})
    made = commands("kubernetes.md", "test_the_commands_before_the_cluster")
    assert len(made) == 2
    for command in made:
        assert reader.does(command), command
    assert len((folder / "base" / "cookie").read_text()) == 65


def kubectl_commands() -> list[str]:
    """Return all commands of the page that kubectl takes, also those within a sentence."""
    text = (TESTS.parent / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    inline = re.findall(r"`(kubectl [^`]+)`", " ".join(text.split()))
    lines = [line for block in blocks("kubernetes.md") for line in block.lines]
    return [line for line in [*lines, *inline] if re.match(r"kubectl \w+ \S", line)]


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the folder of the manifests with a cookie in it."""
    folder = tmp_path_factory.mktemp("manifests") / "kubernetes"
    shutil.copytree(KUBERNETES, folder)
    (folder / "base" / "cookie").write_text("a-cookie-of-the-tests\n")
    return folder


@pytest.mark.parametrize("command", sorted(set(kubectl_commands())))
def test_kubectl_understands_every_command(command: str, overlay: Path) -> None:
    """Nothing is wrong with it but that there is no cluster here."""
    words = shlex.split(command)[1:]
    done = subprocess.run(
        [kubectl(), *words] if words[0] == "kustomize" else [kubectl(), NO_SERVER, *words],
        cwd=overlay,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if words[0] == "kustomize":
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert "refused" in done.stderr, done.stderr
