"""Erlang/OTP from an image of another age than the builder's base."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import base_images
import images
import pytest
from builder_site import BUILD, ready
from console import ROOT, ToolError, one_at_a_time
from containers import OWNER_LABEL
from docker_cli import docker, docker_result
from sources import BRANCH, make_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = "mimtest-builder-old"
# Its crypto needs a library that no other image has, as that of old ones needs an old OpenSSL.
ERLANG = """\
FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev patchelf
RUN root=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().') \\
    && echo 'int old(void) {{ return 1; }}' > old.c \\
    && gcc -shared -fPIC -Wl,-soname,libold.so.1 -o /usr/lib/{file} old.c \\
    && patchelf --add-needed libold.so.1 $root/lib/crypto-*/priv/lib/crypto.so
"""


def erlang_image(folder: Path, file: str) -> str:
    """Build an image of such an Erlang/OTP; the library is in the file `file`."""
    base = base_images.ensure(base_images.BUILDER)
    (folder / "Dockerfile").write_text(ERLANG.format(base=base, file=file))
    return images.build(f"{OLD}-erlang", folder)


def builder_image(erlang: str) -> str:
    """Build a builder image with the Erlang/OTP of another one."""
    base = base_images.ensure(base_images.MEMBER)
    arguments = (f"ERLANG_IMAGE={erlang}", f"BASE_IMAGE={base}")
    return images.build(OLD, ROOT, *arguments, dockerfile="Dockerfile.builder")


@pytest.fixture
def removed(docker_engine: None) -> Iterator[None]:  # noqa: ARG001 - for its effect
    """Remove the images afterwards."""
    with one_at_a_time():
        yield
        for name in (OLD, f"{OLD}-erlang"):
            docker_result("image", "rm", "--force", name)


def test_a_release_carries_the_libraries_that_debian_lacks(tmp_path: Path, removed: None) -> None:  # noqa: ARG001
    """They are beside `lib`; what needs them finds them there, on the base of the member image."""
    image = builder_image(erlang_image(tmp_path, "libold.so.1"))
    source, builds = tmp_path / "source", tmp_path / "builds"
    builds.mkdir()
    make_repository(source)
    mounts = (f"--volume={source}:/source:ro", f"--volume={builds}:/builds")
    label = f"--label={OWNER_LABEL}={os.getpid()}"
    command = ("/build.sh", "sample", "file:///source", BRANCH)
    name = ready(docker_result("run", "--rm", label, *mounts, image, *command, timeout=BUILD))
    described = json.loads((builds / name.replace(".tar.gz", ".json")).read_text())
    assert described["shared_libraries"] == ["libold.so.1"]
    script = (
        f"mkdir /release && cd /release && tar xzf /builds/{name} "
        "&& ldd mongooseim/lib/crypto-*/priv/lib/crypto.so"
    )
    base = base_images.ensure(base_images.MEMBER)
    linked = docker("run", "--rm", label, mounts[1], base, "sh", "-ec", script)
    assert "otp-libraries/libold.so.1" in linked
    assert "not found" not in linked


def test_an_erlang_that_does_not_run_on_the_base_is_refused(
    tmp_path: Path,
    removed: None,  # noqa: ARG001
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what to do: an image that is too new for its C library fails in the same way."""
    erlang = erlang_image(tmp_path, "libelsewhere.so.1")
    with pytest.raises(ToolError):
        builder_image(erlang)
    assert "BASE_IMAGE must be a Debian that is at least as new" in capsys.readouterr().out
