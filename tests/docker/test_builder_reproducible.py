"""The same commit gives the same tarball, wherever and whenever it is built."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from builder_site import ADDRESSES, Site, build, fetched, ready
from sources import BRANCH
from tarballs import content

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> set[str]:
    """Return the names of what is not the same in both."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def test_a_release_built_twice_is_the_same_in_every_byte(
    site: Site, sample_tarball: Path, tmp_path: Path
) -> None:
    """At another time, in another container, of another name and time zone, on one core only.

    The sample server is compiled with the option `deterministic`; OTP writes no time into boot
    scripts any more, and the tarball's entries have the time of the commit.
    """
    options = ("--hostname=other", "--cpuset-cpus=0")
    second = site.builder(options=options, env={"TZ": "Pacific/Auckland"})
    name = ready(build(second, "sample", ADDRESSES["file"], BRANCH))
    tarball = fetched(second, name, tmp_path)
    assert differing(content(sample_tarball), content(tarball)) == set()
    assert sample_tarball.read_bytes() == tarball.read_bytes()


def test_what_differs_without_deterministic_is_where_it_was_compiled(
    site: Site, tmp_path: Path
) -> None:
    """The compiler then notes the paths of its sources; those are the same in every container.

    They are others when a second build runs at the same time, or with another TMPDIR.
    """
    tarballs = []
    one, other = site.builder(), site.builder()
    for builder, env in ((one, {}), (other, {}), (other, {"TMPDIR": "/run"})):
        name = ready(build(builder, "p", ADDRESSES["file"], "undeterministic", **env))
        tarballs.append(fetched(builder, name, tmp_path))
    first, second, elsewhere = tarballs
    assert first.read_bytes() == second.read_bytes()
    beam = "mongooseim/bin/mongooseim_toml.beam"
    assert differing(content(first), content(elsewhere)) == {beam}
    here, there = (chunks(content(tarball)[beam]) for tarball in (first, elsewhere))
    assert differing(here, there) == {"CInf", "Dbgi"}  # compile_info, debug_info
    path = b"/mongooseim-builder-0/1/source/src/mongooseim_toml.erl"
    assert b"/tmp" + path in here["CInf"]
    assert b"/run" + path in there["CInf"]


def chunks(beam: bytes) -> dict[str, bytes]:
    """Return the chunks of a BEAM file: FOR1, size, BEAM, then name, size, data, each padded."""
    found = {}
    position = 12
    while position < len(beam):
        name, size = struct.unpack_from(">4sI", beam, position)
        found[name.decode()] = beam[position + 8 : position + 8 + size]
        position += 8 + (size + 3) // 4 * 4
    return found
