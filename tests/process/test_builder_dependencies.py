"""Dependencies of a build by a real rebar3: fetched once, and always the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rebar_tools import Site

FETCHED = [
    "/alpha/git-upload-pack",
    "/gamma/git-upload-pack",
    "/packages/beta",
    "/packages/delta",
    "/tarballs/beta-1.0.0.tar",
    "/tarballs/delta-1.0.0.tar",
]


def test_the_second_build_of_a_lock_needs_no_network(site: Site) -> None:
    """Neither for repositories nor for packages, and it makes the same tarball."""
    first = site.build()
    assert first.status == 0, first.output
    assert site.requests() == FETCHED
    for compiled in (True, False):
        if not compiled:
            site.forget_compiled()
        second = site.build(network=False)
        assert second.status == 0, second.output
        assert any("git repositories 3 of 3" in line for line in second.said)
        assert any("Hex packages 2 of 2" in line for line in second.said)
        assert "Download error" not in second.output
        assert first.tarball.read_bytes() == second.tarball.read_bytes()
    site.forget_compiled()
    assert site.build().status == 0
    assert site.requests() == []


def test_without_a_cache_the_tarball_is_the_same(site: Site) -> None:
    """The cache changes nothing but the time that a build takes."""
    cached = [site.build() for _ in range(2)]
    fresh = site.build("--no-cache")
    assert site.requests() == FETCHED
    packed = {result.tarball.read_bytes() for result in (*cached, fresh)}
    assert len(packed) == 1


def test_a_new_commit_of_a_dependency_is_fetched(site: Site) -> None:
    """Only the repository whose commit the cache does not have is asked."""
    assert site.build().status == 0
    site.project.alpha.write("src/more.erl", "-module(more).\n")
    site.project.commits["alpha"] = site.project.alpha.commit()
    site.lock()
    result = site.build()
    assert result.status == 0, result.output
    assert site.requests() == ["/alpha/git-upload-pack"]
    assert any("git repositories 1 of 3" in line for line in result.said)
    assert any("Hex packages 2 of 2" in line for line in result.said)


def test_a_damaged_package_is_fetched_again(site: Site) -> None:
    """What does not have the checksum of the lock is not given to rebar3."""
    first = site.build()
    site.requests()
    site.forget_compiled()
    (package,) = (site.workshop.builds / ".cache" / "rebar3").rglob("beta-1.0.0.tar")
    package.write_bytes(b"nonsense")
    second = site.build()
    assert second.status == 0, second.output
    assert "/tarballs/beta-1.0.0.tar" in site.requests()
    assert first.tarball.read_bytes() == second.tarball.read_bytes()


def test_a_package_that_the_cache_does_not_have_is_fetched(site: Site) -> None:
    """Questions that the cache cannot answer go to the repository, with its answer."""
    assert site.build().status == 0
    site.requests()
    site.forget_compiled()
    for etag in (site.workshop.builds / ".cache" / "rebar3").rglob("*.etag"):
        etag.unlink()  # so rebar3 asks for a package as if it had none
    result = site.build()
    assert result.status == 0, result.output
    assert site.requests() == ["/tarballs/beta-1.0.0.tar", "/tarballs/delta-1.0.0.tar"]


def test_a_dependency_that_cannot_be_fetched_is_left_to_rebar3(site: Site) -> None:
    """Its own words end the build; ours name the address."""
    site.project.alpha.folder.rename(site.project.alpha.folder.with_name("away"))
    result = site.build()
    assert result.status == 1
    address = f"http://{site.git.address}/alpha"
    assert any(line.startswith(f"{address} is left to rebar3: ") for line in result.said)
    assert "compilation failed: make rel ended with status 2" in result.said[-2]


def test_the_configuration_of_git_that_was_given_stays(site: Site) -> None:
    """Ours is added to what GIT_CONFIG_COUNT has."""
    given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "builder.test"}
    result = site.build(GIT_CONFIG_VALUE_0="given", network=True, **given)
    assert result.status == 0, result.output
    assert "builder.test: given" in result.lines


def test_a_proxy_is_asked_as_without_us(site: Site) -> None:
    """The program that answers for the Hex repository is not behind the proxy."""
    assert site.build().status == 0
    site.requests()
    site.forget_compiled()
    result = site.build(http_proxy=site.packages.url)
    assert result.status == 0, result.output
    assert "/tarballs/beta-1.0.0.tar" in site.requests()


def test_what_tools_read_names_the_dependencies(site: Site) -> None:
    """Files beside the tarball: its provenance, and the applications of the release."""
    tarball = site.build().tarball
    stem = str(tarball).removesuffix(".tar.gz")
    statement = json.loads(Path(f"{stem}.provenance.json").read_text())
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    assert statement["subject"] == [{"name": tarball.name, "digest": {"sha256": digest}}]
    used = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    by_name = {one["name"]: one["digest"] for one in used}
    assert by_name["p"] == {"gitCommit": site.commit}
    assert by_name["alpha"] == {"gitCommit": site.project.commits["alpha"]}
    package = (site.project.hex / "tarballs" / "beta-1.0.0.tar").read_bytes()
    assert by_name["beta"] == {"sha256": hashlib.sha256(package).hexdigest()}
    materials = json.loads(Path(f"{stem}.cdx.json").read_text())
    found = {one["name"]: one["version"] for one in materials["components"]}
    assert {"alpha", "beta", "delta", "gamma", "mongooseim", "kernel"} <= found.keys()
    assert found["gamma"] == "1.0.0"
