"""No tarball changes anything outside of its own folder, whatever it says."""

import os
import stat
import tarfile
from pathlib import Path

import pytest
from tarball_tools import World, folder, link, special, tarball

from member_entrypoint.errors import ConfigurationError

Entries = list[tarfile.TarInfo]
HARD = tarfile.LNKTYPE


def attributed(name: str, **attributes: str) -> tarfile.TarInfo:
    """Return an empty file with PAX attributes, which are believed before its header."""
    entry = special(name)
    entry.pax_headers = attributes
    return entry


DEEP = "mongooseim/x/y/z"
# `short` looks deep and leads to the top: what goes on from there is further out than it looks.
SHORT = [folder(DEEP), link(f"{DEEP}/short", "../../..")]
OUT = [*SHORT, link(f"{DEEP}/out", "short/../../victim")]
LEADS_OUT = {
    "a link over a link": OUT,
    "a link over a link that comes later": [folder(DEEP), OUT[-1], SHORT[-1]],
    "a link over a link, to all of the disk": [*SHORT, link(f"{DEEP}/out", "short/../../../..")],
    "a hard link over a link": [*OUT, link("mongooseim/a", f"{DEEP}/out/secret", HARD)],
    "a hard link over a link, then a file": [
        *OUT,
        link("mongooseim/a", f"{DEEP}/out/secret", HARD),
        special("mongooseim/a"),
    ],
    "a hard link to a link that leads out": [*OUT, link("mongooseim/a", f"{DEEP}/out", HARD)],
    "a file through a link, its name with ./": [*OUT, special(f"./{DEEP}/out/evil")],
    "a file through a link, its name with //": [*OUT, special("mongooseim//x/y/z/out/evil")],
    "a file through a link, its name with /./": [*OUT, special("mongooseim/./x/y/z/out/secret")],
    "a folder through a link": [*OUT, folder(f"./{DEEP}/out/evil")],
    "a link through a link": [*OUT, link(f"./{DEEP}/out/evil", "bin")],
    "a link over a name that comes later": [link("mongooseim/x/a", "b/../../.."), *SHORT[:1]],
    "a link back from a name that is not there": [link("mongooseim/x/a", "no/../../bin")],
    "a link back from a file": [link("mongooseim/x/a", "../bin/mongooseim/../..")],
    "a link back from log, which is replaced": [link("mongooseim/x/a", "../log/../bin")],
    "an absolute link": [link("mongooseim/a", "/etc/passwd")],
    "an absolute hard link": [link("mongooseim/a", "/etc/passwd", HARD)],
    "the first folder as a link": [link("mongooseim", "victim")],
    "the first folder as a link, with ./": [link("./mongooseim/.", "../victim")],
}
MAKES_NO_SENSE = {
    "a folder replaced by a link": [folder("mongooseim/a"), link("mongooseim/a", "bin")],
    "a folder with content replaced by a link": [folder(DEEP), link("mongooseim/x", "bin")],
    "a folder replaced by a file": [folder("mongooseim/a"), special("mongooseim/a")],
    "a link replaced by a file": [link("mongooseim/a", "bin"), special("mongooseim/a")],
    "a link replaced by a folder": [link("mongooseim/a", "bin"), folder("mongooseim/a")],
    "a link replaced by a link": [link("mongooseim/a", "bin"), link("mongooseim/a", "lib")],
    "a file replaced by a link": [special("mongooseim/a"), link("mongooseim/a", "bin")],
    "a file replaced by a folder": [special("mongooseim/a"), folder("mongooseim/a")],
    "a file replaced by a hard link": [
        special("mongooseim/a"),
        link("mongooseim/a", "mongooseim/bin/mongooseim", HARD),
    ],
    "a file in a file": [special("mongooseim/bin/mongooseim/a")],
    "a link to itself": [link("mongooseim/a", "a")],
    "links in a circle": [link("mongooseim/a", "b/c"), link("mongooseim/b", "a/d")],
    "a link to nothing": [link("mongooseim/a", "")],
    "a hard link to a file that comes later": [
        link("mongooseim/a", "mongooseim/b", HARD),
        special("mongooseim/b"),
    ],
    "a hard link to a folder": [link("mongooseim/a", "mongooseim/bin", HARD)],
    "a hard link to a link": [
        link("mongooseim/a", "bin/mongooseim"),
        link("mongooseim/b", "mongooseim/a", HARD),
    ],
    "a name that goes back": [special("mongooseim/bin/../a")],
    "a name of more than 1,000 bytes": [special("mongooseim/" + "long/" * 199)],
    "a name in more than 64 folders": [special("mongooseim/" + "a/" * 64 + "b")],
    "a link of more than 1,000 bytes": [link("mongooseim/a", "./" * 500 + "bin")],
    "a name with a zero byte": [attributed("mongooseim/a", path="mongooseim/a\0b")],
    "a device": [special("mongooseim/a", tarfile.BLKTYPE)],
    "a pipe": [special("mongooseim/a", tarfile.FIFOTYPE)],
    "a sparse file": [special("mongooseim/a", tarfile.GNUTYPE_SPARSE)],
}
HOSTILE = {**LEADS_OUT, **MAKES_NO_SENSE}


@pytest.fixture(params=["with tarfile's filter", "without tarfile's filter"])
def filtered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test on the Python of today, and as on one that has no filters (Debian 12)."""
    if request.param == "without tarfile's filter":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python's tarfile has no filters")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a member image with a release, and with what must not change."""
    return World(tmp_path / "root")


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_entry_is_refused(tmp_path: Path, world: World, hostile: Entries) -> None:
    """Nothing is changed then: not outside, nor in the active release, and nothing is left."""
    before = world.snapshot()
    with pytest.raises(ConfigurationError):
        world.install(tarball(tmp_path / "r.tar.gz", *hostile))
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("name", "reason"),
    {
        "a link over a link": "is a link to 'short/../../victim', outside of the release",
        "a link to itself": "is a link to 'a', which leads over more than 40 links",
        "a pipe": "is neither a file, a folder nor a link",
        "an absolute link": "is a link to '/etc/passwd', outside of the release",
        "the first folder as a link": "is not a folder",
        "a link replaced by a file": "is there twice, and not as a file each time",
        "a file in a file": "is, or is reached through, a link or a file that came before",
    }.items(),
)
def test_a_refusal_names_the_entry_on_one_line(
    tmp_path: Path,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    reason: str,
) -> None:
    """It says what is wrong with it, and what to do."""
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    path = tarball(tmp_path / "r.tar.gz", *HOSTILE[name])
    with pytest.raises(ConfigurationError) as raised:
        world.install(path)
    text = str(raised.value)
    refused = HOSTILE[name][-1].name
    assert text.startswith(f"{path} is not a release to be trusted: its entry {refused!r} {reason}")
    assert text.endswith("pack the folder of a release with tar --dereference")
    assert (len(text.splitlines()), raised.value.status) == (1, 78)


@pytest.mark.usefixtures("filtered")
def test_links_within_a_release_are_kept(tmp_path: Path, world: World) -> None:
    """As `tar` without --dereference packs them: to what comes later too, and over other links."""
    links = {
        "mongooseim/later": "lib/second",
        "mongooseim/lib/first": "../later/./third",
        "mongooseim/lib/second": "../erts-9.1//bin",
        "mongooseim/erts-9.1/bin/third": "erl",
        "mongooseim/bin/top": "..",
        "mongooseim/lib/settings": "../etc/vm.args",
        "mongooseim/lib/missing": "../priv/not/here",
    }
    entries = [link(name, target) for name, target in links.items()]
    hard = link("mongooseim/lib/hard", "./mongooseim//bin/mongooseim", HARD)
    world.install(tarball(tmp_path / "r.tar.gz", folder("./"), *entries, hard))
    parent = world.release.parent
    kept = {name: os.readlink(parent / name.replace("mongooseim", "new", 1)) for name in links}
    assert kept == links
    assert (world.release / "lib/first").read_text() == "#!/bin/sh\n"
    assert (world.release / "lib/hard").samefile(world.release / "bin/mongooseim")


@pytest.mark.usefixtures("filtered")
def test_names_are_normalised(tmp_path: Path, world: World) -> None:
    """A name may begin with ./ or have more slashes than it needs; the later of two files stays."""
    first, second = special("mongooseim/lib/a"), special(".//mongooseim/./lib//a")
    first.mode, second.mode = 0o644, 0o755
    world.install(tarball(tmp_path / "r.tar.gz", first, second, folder("./mongooseim//lib/b/")))
    assert sorted(os.listdir(world.release / "lib")) == ["a", "b"]
    assert stat.S_IMODE((world.release / "lib/a").stat().st_mode) == 0o755


@pytest.mark.usefixtures("filtered")
def test_a_file_that_is_replaced_stays_under_its_other_names(tmp_path: Path, world: World) -> None:
    """A hard link of the archive keeps the content that it was made with."""
    first, later = special("mongooseim/lib/a"), special("mongooseim/lib/a")
    first.mode, later.mode = 0o755, 0o644
    kept = link("mongooseim/lib/kept", "mongooseim/lib/a", HARD)
    world.install(tarball(tmp_path / "r.tar.gz", first, kept, later))
    found = {each.name: each.stat() for each in (world.release / "lib").iterdir()}
    assert {name: (each.st_mode & 0o777, each.st_nlink) for name, each in found.items()} == {
        "a": (0o644, 1),
        "kept": (0o755, 1),
    }


@pytest.mark.usefixtures("filtered")
def test_no_permission_is_more_than_a_release_needs(tmp_path: Path, world: World) -> None:
    """No setuid, setgid or sticky bit; only the owner, who is who unpacks, may write."""
    modes = {"file": 0o6777, "program": 0o4711, "read-only": 0o1444, "private": 0o600}
    entries = []
    for name, mode in modes.items():
        entries.append(special(f"mongooseim/lib/{name}"))
        entries[-1].mode, entries[-1].uid, entries[-1].gid = mode, 4321, 4321
    entries.append(folder("mongooseim/lib/folder"))
    entries[-1].mode, entries[-1].uid = 0o7070, 4321
    world.install(tarball(tmp_path / "r.tar.gz", *entries))
    found = {each.name: each.stat() for each in (world.release / "lib").iterdir()}
    assert {name: oct(each.st_mode & 0o7777) for name, each in found.items()} == {
        "file": "0o755",
        "program": "0o755",
        "read-only": "0o444",
        "private": "0o644",
        "folder": "0o755",
    }
    assert {(each.st_uid, each.st_gid) for each in found.values()} == {(os.geteuid(), os.getegid())}


@pytest.mark.parametrize(
    ("time", "taken"), [("-1", 0), ("nan", 0), ("1e30", 1 << 33), ("inf", 1 << 33)]
)
def test_a_time_that_cannot_be_is_no_reason_to_refuse(
    tmp_path: Path, world: World, time: str, taken: int
) -> None:
    """The nearest that a file can have is taken, or 1970."""
    entry = attributed("mongooseim/lib/a", mtime=time)
    world.install(tarball(tmp_path / "r.tar.gz", entry))
    assert (world.release / "lib/a").stat().st_mtime == taken


def test_times_of_files_and_folders_are_those_of_the_tarball(tmp_path: Path, world: World) -> None:
    """So that the same tarball makes the same layer of an image."""
    entries = [folder("mongooseim/lib/a"), special("mongooseim/lib/a/b")]
    for entry in entries:
        entry.mtime = 1234567890
    world.install(tarball(tmp_path / "r.tar.gz", *entries))
    assert {(world.release / name).stat().st_mtime for name in ("lib/a", "lib/a/b")} == {1234567890}
