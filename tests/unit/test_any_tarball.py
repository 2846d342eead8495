"""Whatever a tarball holds: outside of its folder nothing changes, and no link leads out."""

import gzip
import io
import os
import stat
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from tarball_tools import World, folder, link, special, tarball

from member_entrypoint.errors import ConfigurationError

EXAMPLES = int(os.environ.get("TARBALL_EXAMPLES", "200"))
KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)

names = st.lists(st.sampled_from(["a", "b", "c", "lib", "etc", ".", ""]), min_size=1, max_size=5)
hostile_names = st.lists(st.sampled_from(["a", "b", "lib", "..", "victim", "secret"]), max_size=5)
tops = st.sampled_from(
    ["mongooseim/", "mongooseim/", "./mongooseim/", "mongooseim//", "mongooseim/./"]
)
targets = st.lists(
    st.sampled_from(["a", "b", "c", "lib", "etc", "..", "..", "..", ".", "", "victim", "secret"]),
    min_size=1,
    max_size=8,
).map("/".join)


@st.composite
def entries(draw: st.DrawFn) -> tarfile.TarInfo:
    """Return an entry whose name is often that of another entry, or below it."""
    kind = draw(st.sampled_from(KINDS))
    # Seldom, since an archive with one such name is refused for it.
    parts = draw(hostile_names if draw(st.integers(0, 50)) == 50 else names)
    name = draw(tops) + "/".join(parts)
    target = draw(targets)
    if kind == tarfile.LNKTYPE:
        target = draw(tops) + (target if draw(st.booleans()) else "/".join(draw(names)))
    entry = link(name, target, kind) if kind in KINDS[2:] else special(name, kind)
    entry.mode = draw(st.sampled_from([0o644, 0o755, 0o4777, 0o2000, 0o1666]))
    return entry


def check(world: World, path: str) -> None:
    """Install the tarball `path`; fail if it reaches out, or is refused and leaves a trace."""
    before = world.snapshot()
    try:
        world.install(path)
    except ConfigurationError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - it need not be raised
        assert world.snapshot() == before
        event("refused")
        return
    event("unpacked")
    new = str(world.release)
    for where, folders, files in os.walk(new):
        for name in (*folders, *files):
            inside = os.path.join(where, name)
            mode = os.lstat(inside).st_mode
            if stat.S_ISLNK(mode):
                leads_to = os.path.realpath(inside) + "/"
                assert leads_to.startswith(
                    (f"{new}/", f"{world.places.run}/", f"{world.places.log}/")
                )
            elif inside == f"{new}/etc":
                assert mode & 0o7777 == 0o1777  # the member's own, unlike all else
            else:
                assert mode & 0o7022 == 0
    active = str(world.folder / "mongooseim")
    after = {
        name: kept
        for name, kept in world.snapshot().items()
        if name not in {new, active} and not name.startswith(f"{new}/")
    }
    del before[active]
    assert after == before


@pytest.mark.parametrize("filtered", [True, False])
@settings(max_examples=EXAMPLES, deadline=None)
@given(found=st.lists(entries(), min_size=1, max_size=10))
def test_no_archive_reaches_out_of_its_folder(
    filtered: bool,  # noqa: FBT001 - pytest gives it
    found: list[tarfile.TarInfo],
) -> None:
    """Random trees of files, folders and links: unpacked with all links inside, or refused."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as base:
        if not filtered:
            patch.delattr(tarfile, "data_filter", raising=False)
        world = World(Path(base, "root"))
        path = tarball(Path(base, "r.tar.gz"), *found)
        check(world, path)


def sample() -> bytes:
    """Return a release archive with all kinds of headers that are not refused."""
    long = "mongooseim/" + "long/" * 30
    commented = special(f"{long}b")
    commented.pax_headers = {"comment": "a", "mtime": "1.5"}
    extra = [folder("mongooseim/c"), link("mongooseim/d", "c"), special("mongooseim/e", size=9)]
    extra += [commented, link("mongooseim/f", f"{long}b", tarfile.LNKTYPE)]
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
            archive.addfile(special(f"{long}gnu"))
            archive.addfile(link("mongooseim/gnu", "./" * 80 + "bin"))
        gnu = file.getvalue().rstrip(b"\0")
    with tempfile.TemporaryDirectory() as base:
        rest = Path(tarball(Path(base, "r"), *extra)).read_bytes()
    return gnu + bytes(-len(gnu) % 512) + gzip.decompress(rest)


SAMPLE = sample()
FIELDS = {"name": 0, "mode": 100, "size": 124, "time": 136, "type": 156, "link": 157, "magic": 257}


@st.composite
def changes(draw: st.DrawFn) -> tuple[int, bytes]:
    """Return a place in the sample and bytes to be put there, often into a field of a header."""
    block = draw(st.integers(0, len(SAMPLE.rstrip(b"\0")) // 512)) * 512
    place = block + draw(st.sampled_from([*FIELDS.values()]) | st.integers(0, 511))
    return place, draw(
        st.sampled_from(
            [b"\x80", b"\xff" * 12, b"L", b"K", b"x", b"g", b"S", b"7777777", b"-1", b"\0"]
        )
        | st.binary(min_size=1, max_size=12)
    )


def with_sums(archive: bytearray) -> bytes:
    """Return the archive with right checksums, so that more than those is looked at."""
    for at in range(0, len(archive) - 511, 512):
        header = archive[at : at + 512]
        if header[257:262] == b"ustar":
            total = sum(header[:148]) + 8 * 32 + sum(header[156:])
            archive[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(archive)


def test_the_sample_can_be_unpacked(tmp_path: Path) -> None:
    """Else no damage to it would be seen."""
    path = tmp_path / "r.tar.gz"
    path.write_bytes(gzip.compress(with_sums(bytearray(SAMPLE))))
    assert World(tmp_path / "root").install(str(path)).version == "3.7.1"


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    changed=st.lists(changes(), max_size=4),
    length=st.just(len(SAMPLE)) | st.integers(0, len(SAMPLE)),
)
@example(changed=[(SAMPLE.index(b"9.1 3.7.1"), b"\0")], length=len(SAMPLE))
def test_no_damage_does_harm(changed: list[tuple[int, bytes]], length: int) -> None:
    """Headers with wrong bytes in them are read as something else, or refused with one line."""
    archive = bytearray(SAMPLE)
    for place, new in changed:
        archive[place : place + len(new)] = new
    with tempfile.TemporaryDirectory() as base:
        world = World(Path(base, "root"))
        path = Path(base, "r.tar.gz")
        path.write_bytes(gzip.compress(with_sums(archive)[:length], 1))
        check(world, str(path))
