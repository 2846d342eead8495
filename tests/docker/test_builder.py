"""The builder image: the README's ways to a tarball, and the status of a build."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING

import pytest
from builder_site import (
    ADDRESSES,
    BUILD,
    SSH,
    Repository,
    Site,
    build,
    fetched,
    lines,
    listing,
    ready,
)
from containers import OWNER_LABEL, Container
from docker_cli import docker_result
from sources import BRANCH
from tarballs import content

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_NAME_SERVER = 15
"""What a build may take that asks no name server (seconds); each question would take 10."""


def otp_version(builder: Container) -> str:
    """Return what the Erlang in the image says of itself."""
    question = (
        'Path = [code:root_dir(), "releases", erlang:system_info(otp_release), "OTP_VERSION"],'
        "{ok, Text} = file:read_file(filename:join(Path)), io:put_chars(Text), halt()."
    )
    done = builder.exec("erl", "-noinput", "-eval", question)
    assert done.returncode == 0, done
    return done.stdout.strip()


@pytest.mark.parametrize("transport", ["file", "http", "ssh"])
def test_a_release_is_built_as_the_readme_says(
    builder: Container, repository: Repository, tmp_path: Path, transport: str
) -> None:
    """A container that idles, and `docker exec -i`; then all is in /builds, and fits together."""
    address = ADDRESSES[transport]
    done = build(builder, "sample", address, BRANCH)
    name = ready(done)
    assert re.fullmatch(rf"mongooseim-sample-{BRANCH}-\d{{4}}-\d\d-\d\d_\d{{6}}\.tar\.gz", name)
    assert lines(done)[0] == f"do_build: sample {BRANCH} {address}"
    stem = name.removesuffix(".tar.gz")
    endings = (".tar.gz", ".tar.gz.sha256", ".json", ".provenance.json", ".cdx.json")
    assert listing(builder) == {".cache", "build.log", *(f"{stem}{end}" for end in endings)}
    assert fetched(builder, "build.log", tmp_path).read_text() == done.stdout

    checked = builder.exec("sh", "-c", f"cd /builds && sha256sum --check --strict {name}.sha256")
    assert (checked.returncode, checked.stdout) == (0, f"{name}: OK\n")
    described = json.loads(fetched(builder, f"{stem}.json", tmp_path).read_text())
    commit = repository.commits[BRANCH]
    tarball = fetched(builder, name, tmp_path)
    expected = {
        "repository": address,
        "asked_for": BRANCH,
        "commit": commit,
        "otp_version": otp_version(builder),
        "mongooseim_version": "1.0.0",
        "size": tarball.stat().st_size,
    }
    assert expected.items() <= described.items()

    packed = content(tarball)
    assert "mongooseim/bin/mongooseim" in packed
    version = f"sample-{BRANCH}-{address}\n{commit[:7]}\n"
    assert packed["mongooseim/version"].decode() == version


def test_a_commit_goes_by_many_names(
    builder: Container, repository: Repository, tmp_path: Path
) -> None:
    """Branch with a slash, tag, short and full hash: the same files, and names that are files'."""
    commit = repository.commits["feature/x"]
    names = {
        "feature/x": "feature-x-217d2bf51f",
        "v1": "v1",
        commit[:7]: commit[:7],
        commit: commit,
    }
    contents = []
    for asked, shown in names.items():
        name = ready(build(builder, "p", ADDRESSES["http"], asked))
        assert name.startswith(f"mongooseim-p-{shown}-2")
        packed = content(fetched(builder, name, tmp_path))
        version = f"p-{asked}-{ADDRESSES['http']}\nv1\n"
        assert packed.pop("mongooseim/version").decode() == version
        contents.append(packed)
    assert all(packed == contents[0] for packed in contents)


def test_without_the_key_there_is_no_release_over_ssh(builder: Container) -> None:
    """The server refuses, nobody is asked, and the build says why."""
    done = build(builder, "p", ADDRESSES["ssh"], "v1", GIT_SSH_COMMAND=SSH.replace("/key", "/no"))
    assert done.returncode == 1
    assert "Permission denied (publickey" in done.stdout
    assert listing(builder) == {".cache", "build.log"}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("p", ADDRESSES["file"], "v1"), 0, " is ready"),
        (("p", ADDRESSES["file"], "nowhere"), 1, "has no branch, tag or commit nowhere"),
        (("p", "file:///nowhere", "master"), 1, "clone failed: git fetch from file:///nowhere"),
        (("p", ADDRESSES["file"], "broken"), 1, "make rel ended with status 2"),
        (
            ("p", ADDRESSES["file"], "--upload-pack=touch /tmp/p"),
            78,
            "is not an option of /build.sh",
        ),
        (("p", ADDRESSES["file"], "v1", "more"), 78, "4 arguments are too many"),
    ],
)
def test_docker_run_ends_with_the_builds_status(
    site: Site, arguments: tuple[str, ...], status: int, said: str
) -> None:
    """`docker run --rm ... /build.sh ...`; a build that fails leaves its log and nothing else."""
    volume = site.volume()
    labels = f"--label={OWNER_LABEL}={os.getpid()}"
    mounts = (f"--volume={site.repository.folder}:/source:ro", f"--volume={volume}:/builds")
    once = ("run", "--rm", labels, *mounts, site.image)
    done = docker_result(*once, "/build.sh", *arguments, timeout=BUILD)
    assert done.returncode == status, done
    assert said in done.stdout + done.stderr
    left = docker_result(*once, "ls", "--almost-all", "/builds").stdout.split()
    if status == 0:
        assert len(left) == 7
    else:
        assert set(left) <= {".cache", "build.log"}
        assert lines(done)[-1:] == (["build failed"] if status == 1 else [])


def test_a_second_build_needs_no_network(site: Site, repository: Repository) -> None:
    """Neither for the sources nor for packages, when the commit is named by its hash."""
    builder = site.builder()
    arguments = ("p", ADDRESSES["http"], repository.commits["packages"])
    first = build(builder, *arguments)
    assert "package: fetched" in first.stdout.splitlines()
    builder.disconnect(site.network)
    assert builder.exec("ls", "/sys/class/net").stdout.split() == ["lo"]
    began = time.monotonic()
    second = build(builder, *arguments)
    assert time.monotonic() - began < WITHOUT_NAME_SERVER
    names = [ready(done).removesuffix(".tar.gz") for done in (first, second)]
    assert names[0] != names[1]
    sums = builder.exec("sh", "-c", "cd /builds && cat *.sha256").stdout.split()
    assert sums[0] == sums[2]


@pytest.mark.parametrize(
    ("mode", "options", "why"),
    [
        ("ro", (), "cannot write into /builds: Read-only file system"),
        (
            None,
            ("--tmpfs=/builds:size=2m",),
            "cannot write the tarball into /builds: No space left",
        ),
        ("rw", ("--env=BUILDS=/nowhere",), "there is no folder /nowhere: mount a volume there"),
    ],
)
def test_a_folder_that_takes_no_tarball_is_status_2(
    site: Site, mode: str | None, options: tuple[str, ...], why: str
) -> None:
    """With the reason; and nothing half-written is left."""
    builds = f"{site.volume()}:/builds:{mode}" if mode else None
    builder = site.builder(builds=builds, options=options)
    done = build(builder, "p", ADDRESSES["file"], "noise")
    assert done.returncode == 2, done
    assert lines(done)[0] == f"do_build: p noise {ADDRESSES['file']}"
    assert lines(done)[-2].startswith(f"packing failed: {why}"), done
    assert lines(done)[-1] == "build failed"
    assert listing(builder) <= {".cache", "build.log"}
