"""`docker stop` of a builder, idle or in the middle of a build."""

from __future__ import annotations

import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest
from builder_site import (
    ADDRESSES,
    BUILD,
    PROMPT,
    Site,
    build,
    fetched,
    has_processes,
    listing,
    ready,
    runs,
)

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Container


def test_docker_stop_ends_a_builder_with_a_shell_in_it_at_once(builder: Container) -> None:
    """As `docker exec -it NAME bash` has it: a shell that takes no notice of SIGTERM."""
    command = ["docker", "exec", "-i", builder.name, "bash", "-i"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as shell:
        try:
            builder.wait_for(partial(runs, builder, "bash -i"), what="shell")
            assert builder.stop() < PROMPT
            assert builder.exit_status() == 0
            shell.communicate(timeout=BUILD)
        finally:
            builder.remove()


def test_docker_stop_ends_a_builder_that_idles_at_once(builder: Container) -> None:
    """With status 0; and nothing that `docker exec` left behind stays a zombie until then."""
    assert builder.exec("sh", "-c", "sleep 0.1 & sleep 0.2 &").returncode == 0
    builder.wait_for(partial(has_processes, builder, 1), what="end of what docker exec left")
    assert builder.stop() < PROMPT
    assert builder.exit_status() == 0


@pytest.mark.parametrize(("branch", "busy_with"), [("endless", "sleep 600"), ("huge", "pigz -n")])
def test_docker_stop_during_a_build_leaves_nothing(
    site: Site, tmp_path: Path, branch: str, busy_with: str
) -> None:
    """Neither while it compiles nor while it packs; the next build finds all in order."""
    volume = f"{site.volume()}:/builds"
    first = site.builder(builds=volume)
    command = ["docker", "exec", "-i", first.name, "/build.sh", "p", ADDRESSES["file"], branch]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as building:
        try:
            first.wait_for(partial(runs, first, busy_with), timeout=BUILD, what=busy_with)
            partial_file = any(name.startswith(".mongooseim-builder-") for name in listing(first))
            assert partial_file == (branch == "huge")
            assert first.stop() < PROMPT
            assert first.exit_status() == 0
            output = building.communicate(timeout=BUILD)[0].decode()
        finally:
            first.remove()
    assert building.returncode == 1
    assert "stopped by SIGTERM" in output
    second = site.builder(builds=volume)
    assert listing(second) == {".cache", "build.log"}
    log = fetched(second, "build.log", tmp_path).read_text()
    assert log == output
    name = ready(build(second, "p", ADDRESSES["file"], "v1"))
    assert listing(second) > {".cache", "build.log", name}
