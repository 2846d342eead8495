"""A tarball that is damaged, lies about itself or never ends is refused with one line."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tarball_tools import World, folder, link, special, tarball

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.release import links
from member_entrypoint.release.archive import DamagedError, Reader
from member_entrypoint.release.unpacking import LIMITS, Limits, unpack

BLOCK = 512


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a member image with a release, and with what must not change."""
    return World(tmp_path / "root")


def unzipped(path: Path, *, ended: bool = True) -> bytes:
    """Return a good release archive, which may be without its end."""
    archive = gzip.decompress(Path(tarball(path)).read_bytes())
    return archive if ended else archive.rstrip(b"\0") + bytes(-len(archive.rstrip(b"\0")) % BLOCK)


def header(
    name: str = "mongooseim/a",
    kind: bytes = tarfile.REGTYPE,
    *,
    size: int = 0,
    follows: bytes = b"",
) -> bytes:
    """Return the header of an entry that says that it has `size` bytes, and what follows it."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT) + follows + bytes(-len(follows) % BLOCK)


def long_name(name: str) -> bytes:
    """Return the header of a long name for the next entry."""
    return header("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=len(name), follows=name.encode())


def attribute(record: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return the header of attributes of the next entry, or of all."""
    return header("attributes", kind, size=len(record), follows=record)


LIES = {
    "a file that is longer than the archive": header(size=1 << 20),
    "a file of 5 GiB": header(size=5 << 30),
    "a file of less than nothing": header(size=-BLOCK),
    "a file of less than nothing, by attribute": attribute(b"14 size=-1024\n") + header(),
    "a long name of 1 TiB": header("a", tarfile.GNUTYPE_LONGNAME, size=1 << 40) + header(),
    "a long name of less than nothing": header("a", tarfile.GNUTYPE_LONGNAME, size=-1) + header(),
    "a long link of 1 TiB": header("a", tarfile.GNUTYPE_LONGLINK, size=1 << 40) + header(),
    "attributes of 1 TiB": header("a", tarfile.XHDTYPE, size=1 << 40) + header(),
    "attributes longer than they say": attribute(b"999 path=mongooseim/a\n") + header(),
    "attributes of no length": attribute(b"0 path=mongooseim/a\n") + header(),
    "a thousand long names for one entry": long_name("mongooseim/a") * 1000 + header(),
    "a long name that leads out": long_name("mongooseim/" + "../" * 60 + "evil") + header(),
    "an attribute that leads out": attribute(b"24 path=mongooseim/../a\n") + header(),
    "an attribute of all that leads out": attribute(b"24 path=mongooseim/../a\n", b"g") + header(),
    "a thousand attributes of all": b"".join(
        attribute(b"11 a%03d=bc\n" % number, b"g") + header() for number in range(1000)
    ),
    "a sparse file of 1 TiB": attribute(
        b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n35 GNU.sparse.realsize=1099511627776\n"
    )
    + header(size=BLOCK, follows=b"1\n0\n512\n"),
    "a sparse file without its map": attribute(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")
    + header(),
    "a header with a wrong sum": b"x" + header()[1:],
    "half a header": header()[:256],
    "no header": b"\xff" * BLOCK,
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_header_that_lies_is_refused(tmp_path: Path, world: World, lie: bytes) -> None:
    """It is not believed: nothing of that size is read, and nothing is left."""
    before = world.snapshot()
    path = tmp_path / "r.tar.gz"
    path.write_bytes(gzip.compress(unzipped(path, ended=False) + lie + bytes(2 * BLOCK)))
    with pytest.raises(ConfigurationError) as raised:
        world.install(str(path))
    assert len(str(raised.value).splitlines()) == 1
    assert world.snapshot() == before


def cut(archive: bytes) -> bytes:
    """Cut the compressed file."""
    return gzip.compress(archive)[:-60]


def cut_before_compression(archive: bytes) -> bytes:
    """Cut the archive at the end of an entry."""
    return gzip.compress(archive.rstrip(b"\0") + bytes(-len(archive.rstrip(b"\0")) % BLOCK))


def changed(archive: bytes) -> bytes:
    """Change one byte in the middle."""
    packed = bytearray(gzip.compress(archive))
    packed[len(packed) // 2] ^= 0x10
    return bytes(packed)


def wrong_sum(archive: bytes) -> bytes:
    """Change the checksum of the compressed file, which comes last."""
    packed = bytearray(gzip.compress(archive))
    packed[-8] ^= 1
    return bytes(packed)


def rubbish_at_the_end(archive: bytes) -> bytes:
    """Add what is no gzip."""
    return gzip.compress(archive) + b"rubbish"


def two_archives(archive: bytes) -> bytes:
    """Add a whole archive: `tar` would not read it."""
    return gzip.compress(archive) + gzip.compress(archive)


def not_compressed(archive: bytes) -> bytes:
    """Leave out gzip."""
    return archive


def nothing(_archive: bytes) -> bytes:
    """Leave out all."""
    return b""


def only_zeros(archive: bytes) -> bytes:
    """Have an archive without entries."""
    return gzip.compress(bytes(len(archive)))


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        cut_before_compression,
        changed,
        wrong_sum,
        rubbish_at_the_end,
        two_archives,
        not_compressed,
        nothing,
        only_zeros,
    ],
)
def test_a_damaged_file_is_refused(
    tmp_path: Path, world: World, damage: Callable[[bytes], bytes]
) -> None:
    """Nothing is changed then, and nothing is left."""
    before = world.snapshot()
    path = tmp_path / "r.tar.gz"
    path.write_bytes(damage(unzipped(path)))
    with pytest.raises(ConfigurationError) as raised:
        world.install(str(path))
    assert len(str(raised.value).splitlines()) == 1
    assert world.snapshot() == before


def test_an_archive_may_be_compressed_in_pieces(tmp_path: Path, world: World) -> None:
    """As pigz and bgzip write it: that is one archive."""
    path = tmp_path / "r.tar.gz"
    archive = unzipped(path)
    pieces = [archive[at : at + 1000] for at in range(0, len(archive), 1000)]
    path.write_bytes(b"".join(gzip.compress(piece) for piece in pieces) + bytes(100))
    assert world.install(str(path)).version == "3.7.1"


def test_what_is_no_file_is_refused(tmp_path: Path, world: World) -> None:
    """A named pipe is not waited for; Docker makes a folder where a mounted file is missing."""
    os.mkfifo(tmp_path / "pipe")
    before = world.snapshot()
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigurationError, match="is a folder, a pipe or a device, not a file"):
            world.install(str(path))
    assert world.snapshot() == before


def commented(name: str) -> tarfile.TarInfo:
    """Return an empty file with 5,000 bytes in its headers."""
    entry = special(name)
    entry.pax_headers = {"comment": "a" * 5000}
    return entry


SMALL = Limits(entries=12, size=20_000, name=100, depth=4)
BEYOND = {
    "entries": ("12 entries", [special(f"mongooseim/{n}") for n in range(13)]),
    "folders": ("12 entries", [special(f"mongooseim/{n}/b/c") for n in range(7)]),
    "size": ("20,000 bytes", [special(f"mongooseim/{n}", size=7000) for n in range(3)]),
    "headers": ("20,000 bytes", [commented(f"mongooseim/{n}") for n in range(4)]),
    "name": ("100 bytes", [special("mongooseim/" + "a" * 90)]),
    "depth": ("4 folders", [special("mongooseim/b/c/d/e")]),
    "link": ("100 bytes", [link("mongooseim/a", "./" * 51)]),
}


@pytest.mark.parametrize(("limit", "entries"), BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_a_limit_is_refused_with_the_limit(
    tmp_path: Path, limit: str, entries: list[tarfile.TarInfo]
) -> None:
    """The disk cannot be filled by a small file; the message has the limit, and what to do."""
    path = tmp_path / "r.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    into = tmp_path / "into"
    into.mkdir()
    descriptor = os.open(into, os.O_RDONLY)
    try:
        with pytest.raises(ConfigurationError, match=f"more than {limit}") as raised:
            unpack(str(path), str(into), descriptor, limits=SMALL)
    finally:
        os.close(descriptor)
    assert "build the tarball anew" in str(raised.value)


def test_a_release_is_far_from_the_limits(tmp_path: Path) -> None:
    """MongooseIM 6 has some 5,000 entries, 200 MB, names of 150 bytes in ten folders."""
    assert Limits(entries=200_000, size=4 << 30, name=1000, depth=64) == LIMITS
    path = tmp_path / "r.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for entry in (folder("mongooseim"), special("mongooseim/" + "a/" * 62 + "a" * 250)):
            archive.addfile(entry)
    into = tmp_path / "into"
    into.mkdir()
    descriptor = os.open(into, os.O_RDONLY)
    try:
        unpack(str(path), str(into), descriptor)
    finally:
        os.close(descriptor)
    assert (into / "mongooseim" / ("a/" * 62) / ("a" * 250)).is_file()


def test_links_that_take_too_long_are_refused(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some thousand long links over long links would be followed for hours."""
    monkeypatch.setattr(links, "MOST_STEPS", 500)
    entries = [link(f"mongooseim/{n}", "bin/../" * 100 + "bin") for n in range(3)]
    before = world.snapshot()
    with pytest.raises(ConfigurationError, match="links that lead through more than 500 names"):
        world.install(tarball(tmp_path / "r.tar.gz", *entries))
    assert world.snapshot() == before


def test_a_negative_size_is_not_taken_for_all_that_is_left(tmp_path: Path, world: World) -> None:
    """That is what a read of less than nothing means.

    A newer tarfile (Debian 13 has it: CVE-2025-8194) takes no such header for one.
    """
    path = tmp_path / "r.tar.gz"
    lie = LIES["a file of less than nothing"]
    path.write_bytes(gzip.compress(unzipped(path, ended=False) + lie + bytes(2 * BLOCK)))
    said = r"the size of 'mongooseim/a' is negative|has a bad header"
    with pytest.raises(ConfigurationError, match=said):
        world.install(str(path))


def test_nothing_is_read_twice() -> None:
    """A header that leads back would be met again, for ever."""
    reader = Reader(io.BytesIO(bytes(2000)), 2000)
    reader.seek(1000)
    with pytest.raises(DamagedError):
        reader.seek(999)
    assert reader.tell() == 1000
