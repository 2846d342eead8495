"""A release tarball is put in its place whole, or refused naming the entry."""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from tarball_tools import PROGRAMS, World, link, special, tarball

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.places import Places
from member_entrypoint.release.active import find
from member_entrypoint.release.tarball import install


def test_a_release_is_found_where_it_was_installed(tmp_path: Path) -> None:
    """With what changes at run time moved out of it."""
    places = Places(str(tmp_path))
    inside = link("mongooseim/releases/current", "../bin")
    installed = install(tarball(tmp_path / "r.tar.gz", inside), "new", places, places)
    assert (installed.erts, installed.version) == ("9.1", "3.7.1")
    assert find(places.release) == installed
    assert Path(installed.pristine, "vm.args").read_text() == "-sname x\n"
    assert os.readlink(installed.etc) == os.path.join(places.run, "etc")
    assert Path(places.release, "etc/vm.args").read_text() == "-sname x\n"
    for folder, log in ((places.release, places.log), (installed.server, places.log_now)):
        assert os.readlink(os.path.join(folder, "log")) == log
        assert os.readlink(os.path.join(folder, "var")) == os.path.join(places.run, "var")
    assert sorted(os.listdir(os.path.dirname(places.release))) == ["mongooseim", "new"]


@pytest.mark.parametrize(
    "hostile",
    [
        [special("mongooseim/../../evil")],
        [special("/etc/evil")],
        [special("other/file")],
        [special("mongooseim-evil")],
        [link("mongooseim/a", "/etc")],
        [link("mongooseim/a", "../../etc")],
        [link("mongooseim/a", "../../etc/passwd", tarfile.LNKTYPE)],
        [link("mongooseim/a", "."), special("mongooseim/a/b")],
        [link("mongooseim/a", "bin/.."), link("mongooseim/a/b", "..")],
        [special("mongooseim/null", tarfile.CHRTYPE)],
        [special("mongooseim/pipe", tarfile.FIFOTYPE)],
    ],
)
def test_an_entry_that_leaves_its_folder_is_refused(
    tmp_path: Path, hostile: list[tarfile.TarInfo]
) -> None:
    """Nothing is unpacked then, inside or outside."""
    places = Places(str(tmp_path / "root"))
    path = tarball(tmp_path / "r.tar.gz", *hostile)
    with pytest.raises(ConfigurationError, match=r"its entry .* (is|leaves)"):
        install(path, "new", places, places)
    assert not os.path.exists(places.release)
    assert os.listdir(tmp_path / "root/usr/lib") == []
    assert sorted(os.listdir(tmp_path)) == ["r.tar.gz", "root"]


def test_the_releases_programs_become_the_members_user_first(tmp_path: Path) -> None:
    """One line more, after the first; the rest, and what is no shell script, as it was."""
    places = Places(str(tmp_path))
    installed = install(tarball(tmp_path / "r.tar.gz"), "new", places, places)
    for program in (installed.start_script, installed.control_script):
        first, ours, *rest = Path(program).read_text().splitlines()
        assert (first, rest) == ("#!/bin/sh", [])
        assert os.path.exists(ours.rpartition(" . ")[2])
        assert subprocess.run([program], check=True, capture_output=True).stdout == b""
    assert Path(installed.erl).read_text() == "#!/bin/sh\n"


def test_another_user_than_the_tarballs_can_read_the_release(tmp_path: Path) -> None:
    """A release that was built with a narrow umask, for a user that is not ours."""
    places = Places(str(tmp_path))
    private = special("mongooseim/lib/private")
    private.mode, private.uid = 0o600, 4321
    program = special("mongooseim/lib/program")
    program.mode = 0o700
    install(tarball(tmp_path / "r.tar.gz", private, program), "new", places, places)
    found = [os.stat(os.path.join(places.release, "lib", name)) for name in ("private", "program")]
    assert [stat.S_IMODE(each.st_mode) for each in found] == [0o644, 0o755]
    assert {each.st_uid for each in found} == {os.geteuid()}


@pytest.mark.parametrize("missing", [*PROGRAMS, "releases/start_erl.data", "etc/vm.args"])
def test_a_tarball_that_is_no_release_is_refused(tmp_path: Path, missing: str) -> None:
    """An image without a server is not built."""
    places = Places(str(tmp_path))
    with pytest.raises(ConfigurationError):
        install(tarball(tmp_path / "r.tar.gz", without=missing), "new", places, places)
    assert not os.path.exists(places.release)


def test_a_damaged_tarball_is_refused(tmp_path: Path) -> None:
    """Cut in the middle, as by a copy that failed."""
    places = Places(str(tmp_path))
    path = Path(tarball(tmp_path / "r.tar.gz"))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ConfigurationError, match="cannot be unpacked"):
        install(str(path), "new", places, places)
    assert not os.path.exists(places.release)


def test_an_installed_release_is_replaced_whole(tmp_path: Path) -> None:
    """By another of the same name, as when an image is derived from a member image."""
    world = World(tmp_path / "root")
    world.install(tarball(tmp_path / "r.tar.gz", special("mongooseim/first")))
    world.install(tarball(tmp_path / "r.tar.gz", special("mongooseim/second")))
    assert not (world.release / "first").exists()
    assert (world.release / "second").exists()
    names = ["mongooseim", "mongooseim-image", "new", "victim"]
    assert sorted(os.listdir(world.folder)) == names


def test_what_an_interrupted_start_left_is_removed(tmp_path: Path) -> None:
    """A process that was killed could not do it."""
    world = World(tmp_path / "root")
    (world.folder / "new.unpacking/mongooseim/bin").mkdir(parents=True)
    (world.folder / "new.unpacking/mongooseim/bin/erl").symlink_to("../../../victim")
    before = world.snapshot()
    world.install(tarball(tmp_path / "r.tar.gz"))
    victim = str(world.folder / "victim/secret")
    assert world.snapshot()[victim] == before[victim]
    assert not (world.folder / "new.unpacking").exists()
    assert not (world.release / "bin/erl").is_symlink()


def test_a_link_is_not_unpacked_into(tmp_path: Path) -> None:
    """Nor what it leads to removed."""
    world = World(tmp_path / "root")
    (world.folder / "new.unpacking").symlink_to("victim")
    before = world.snapshot()
    with pytest.raises(ConfigurationError, match=r"new\.unpacking is not a folder: remove it"):
        world.install(tarball(tmp_path / "r.tar.gz"))
    assert world.snapshot() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_unpacked_into(tmp_path: Path) -> None:
    """Whoever owns it could change what is in it."""
    world = World(tmp_path / "root")
    (world.folder / "new.unpacking").mkdir()
    os.chown(world.folder / "new.unpacking", 4321, 4321)
    before = world.snapshot()
    with pytest.raises(ConfigurationError, match=r"new\.unpacking belongs to user 4321"):
        world.install(tarball(tmp_path / "r.tar.gz"))
    assert world.snapshot() == before


def test_programs_that_are_moved_away_make_no_release(tmp_path: Path) -> None:
    """That is found out before the release becomes the active one."""
    world = World(tmp_path / "root")
    in_log = special("mongooseim/log/erl")
    in_log.mode = 0o755
    program = link("mongooseim/erts-9.1/bin/erl", "../../log/erl")
    path = tarball(tmp_path / "r.tar.gz", in_log, program, without="erts-9.1/bin/erl")
    before = world.snapshot()
    with pytest.raises(ConfigurationError, match=r"has no program .*/bin/erl"):
        world.install(path)
    assert world.snapshot() == before


def test_a_start_script_without_end_is_refused(tmp_path: Path) -> None:
    """It would be read into memory as a whole."""
    world = World(tmp_path / "root")
    path = tmp_path / "r.tar.gz"
    script = b"#!/bin/sh\n" + b"#" * (2 << 20)
    with tarfile.open(tarball(path)) as archive:
        found = [(each, archive.extractfile(each)) for each in archive]
        contents = [(each, file.read() if file else b"") for each, file in found]
    with tarfile.open(path, "w:gz") as archive:
        for entry, content in contents:
            whole = script if entry.name == "mongooseim/bin/mongooseim" else content
            entry.size = len(whole)
            archive.addfile(entry, io.BytesIO(whole))
    before = world.snapshot()
    with pytest.raises(ConfigurationError, match="is a script of more than 1 MiB"):
        world.install(str(path))
    assert world.snapshot() == before
