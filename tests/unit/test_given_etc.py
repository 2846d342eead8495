"""What operators put into the release's own `etc` counts, is never changed, and shows the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from member_images import NODE, Image
from tarball_tools import tarball

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files.whole import write_whole
from member_entrypoint.release import given_etc, rendering, server_root
from member_entrypoint.release.tarball import install

MINE = "-sname other\n-setcookie mine\n+K true\n"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Provide such an image, not started yet."""
    return Image(tmp_path / "root")


def state(path: Path) -> tuple[object, ...]:
    """Return all that could be changed of a file."""
    found = path.lstat()
    return (path.read_bytes(), found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns)


def test_a_file_of_the_operators_counts_and_stays_as_it_is(image: Image) -> None:
    """As in the shell images; name and cookie are the container's all the same."""
    (image.etc / "vm.args").write_text(MINE)
    (image.etc / "vm.args").chmod(0o604)
    before = state(image.etc / "vm.args")
    assert image.start() == []
    assert image.read("vm.args") == f"+K true\n-sname {NODE}\n-setcookie mine\n"
    assert state(image.etc / "vm.args") == before
    assert image.operators() == ["vm.args"]
    assert image.unread() == []


def test_member_wins_and_it_is_said(image: Image) -> None:
    """Of two files of the operator's, the one that does not count is named."""
    (image.etc / "vm.args").write_text(MINE)
    Path(image.places.member, "vm.args").write_text("-setcookie members\n")
    image.start()
    assert "-setcookie members" in image.read("vm.args")
    assert image.unread() == [
        f"nobody reads {image.etc}/vm.args: {image.places.member}/vm.args counts"
    ]


def test_what_is_the_releases_shows_what_the_server_reads(image: Image) -> None:
    """In the folder where operators look; and is no operator's file at the next start."""
    for _ in range(3):
        assert image.start(CLUSTER_COOKIE="c1") == []
        assert (image.etc / "vm.args").read_text() == image.read("vm.args")
        assert image.operators() == []
    assert image.start(CLUSTER_COOKIE="c2") == []
    assert "-setcookie c2" in (image.etc / "vm.args").read_text()
    assert not (image.etc / "vm.args").stat().st_mode & 0o077


def test_what_is_edited_or_copied_there_counts_at_the_next_start(image: Image) -> None:
    """`docker exec ... sed -i`, `docker cp`; a warning says where to keep it."""
    image.start()
    (image.etc / "app.config").write_text("[{kernel, []}].\n")
    (image.etc / "server.pem").write_text("key")
    keep = (
        "was changed in this container since its last start, and counts as configuration now; "
        "a new container will not have it: mount it there"
    )
    names = ("app.config", "server.pem")
    assert image.start() == [f"{image.etc / name} {keep}" for name in names]
    assert "kernel" in image.read("app.config")
    assert image.read("server.pem") == "key"
    assert image.start() == []
    assert image.operators() == list(names)
    assert (image.etc / "app.config").read_text() == "[{kernel, []}].\n"


def test_a_start_that_is_killed_leaves_nothing_that_counts_as_the_operators(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an old cookie of ours would be taken for one that somebody chose."""
    image.start(CLUSTER_COOKIE="c1")

    class KilledError(Exception):
        pass

    def killed(path: str, data: bytes, mode: int) -> None:
        write_whole(path, data, mode)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(given_etc, "write_whole", killed)
        with pytest.raises(KilledError):
            image.start(CLUSTER_COOKIE="c2")
    assert image.operators() == []
    image.start()
    assert "-setcookie mongooseim" in image.read("vm.args")


def test_a_folder_that_cannot_be_written_shows_what_the_release_has(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only root; nothing is said, since nothing is lost."""
    before = state(image.etc / "vm.args")
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: mode != os.W_OK or path != str(image.etc))
        assert image.start() == []
    assert state(image.etc / "vm.args") == before
    assert sorted(os.listdir(image.etc)) == ["app.config", "vm.args"]


def test_what_scripts_write_there_is_read_and_put_back(image: Image) -> None:
    """Bootstrap scripts that know the folder by its well-known path; the next start is the same."""
    image.start()
    (image.etc / "old.ini").write_text("as it was")
    before = given_etc.contents(image.release)
    (image.etc / "app.config").write_text("rendered")
    (image.etc / "old.ini").write_text("changed")
    (image.etc / "new.ini").write_text("new")
    rendering.take_in(image.release, image.places, before)
    assert image.read("app.config") == "rendered"
    assert (image.read("old.ini"), image.read("new.ini")) == ("changed", "new")
    assert given_etc.contents(image.release) == before
    (image.etc / "old.ini").unlink()
    assert image.start() == []
    assert image.operators() == []
    assert image.read("app.config") == (image.etc / "app.config").read_text()


def test_folders_are_seen_and_files_are_copied(image: Image) -> None:
    """Certificates in a folder stay those of the operator; the server may write beside its own."""
    (image.etc / "certs").mkdir()
    (image.etc / "certs/server.pem").write_text("old")
    (image.etc / "extra.ini").write_bytes(b"\xef\xbb\xbfas it is")
    (image.etc / "large").write_bytes(bytes((1 << 20) + 1))
    (image.etc / "..2026_12_01").mkdir()
    image.start()
    (image.etc / "certs/server.pem").write_text("new")
    assert image.read("certs/server.pem") == "new"
    etc = Path(image.release.etc)
    assert (etc / "extra.ini").read_bytes() == b"\xef\xbb\xbfas it is"
    (etc / "extra.ini").write_text("the server's")
    assert (image.etc / "extra.ini").read_bytes() == b"\xef\xbb\xbfas it is"
    assert (etc / "large").is_symlink()
    assert not (etc / "..2026_12_01").exists()


def test_a_folder_with_the_name_of_a_configuration_is_refused(image: Image) -> None:
    """Docker makes one where the source of a mount does not exist."""
    (image.etc / "mongooseim.toml").mkdir()
    with pytest.raises(ConfigurationError, match=r"etc/mongooseim.toml is a folder, and should be"):
        image.start()


def test_a_configuration_there_that_the_release_does_not_read_is_warned_of(image: Image) -> None:
    """As for one in /member."""
    Path(image.release.pristine, "mongooseim.toml").write_text("")
    (image.etc / "mongooseim.cfg").write_text("")
    reads = "this release reads mongooseim.toml"
    assert image.unread() == [f"nobody reads {image.etc}/mongooseim.cfg: {reads}"]


def test_what_is_mounted_on_the_images_etc_counts_for_a_release_of_members(
    image: Image, tmp_path: Path
) -> None:
    """Docker has mounted it there before the other release became the active one."""
    (image.etc / "vm.args").write_text(MINE)
    other = install(tarball(tmp_path / "o.tar.gz"), "other", image.places, image.places)
    image.start(other)
    assert "+K true" in Path(other.etc, "vm.args").read_text()


def test_what_is_edited_in_the_servers_etc_is_kept_and_named(image: Image) -> None:
    """It was lost without a word."""
    image.start()
    etc = Path(image.release.etc)
    (etc / "app.config").write_text("[{edited, []}].\n")
    (etc / "new").mkdir()
    (etc / "new/file").write_text("put there")
    run = os.path.join(image.places.run, "etc")
    places = {"app.config": image.places.member, "new": image.etc}
    assert image.start() == [
        f"{run}/{name} was edited, and is written anew at each start: what it was is "
        f"{run}.edited/{name} now; to have it count, put it into {place}"
        for name, place in places.items()
    ]
    assert Path(f"{run}.edited/app.config").read_text() == "[{edited, []}].\n"
    assert Path(f"{run}.edited/new/file").read_text() == "put there"
    assert "{edited, []}" not in image.read("app.config")
    assert image.start() == []
    (etc / "new").mkdir()
    assert len(image.start()) == 1
    assert not Path(f"{run}.edited/new/file").exists()


def test_what_bootstrap_scripts_have_written_is_not_taken_for_an_edit(image: Image) -> None:
    """MongooseIM 6 renders templates into etc; they do so at each start."""
    image.start()
    etc = Path(image.release.etc)
    (etc / "vm.args").write_text("rendered from a template")
    (etc / "final_template_vars.config").write_text("#{}.")
    rendering.note(image.release)
    assert image.start() == []
    assert "template" not in image.read("vm.args")
    assert not (etc / "final_template_vars.config").exists()


def test_without_a_record_nothing_is_taken_for_an_edit(image: Image) -> None:
    """As in a volume on /run/mongooseim that an older version of this image wrote."""
    image.start()
    os.unlink(os.path.join(image.places.run, "etc.written"))
    Path(image.release.etc, "vm.args").write_text("older")
    assert image.start() == []


def test_what_comes_into_the_release_later_is_seen_by_the_server(image: Image) -> None:
    """By a derived image, a mount, or `docker cp`: folders as links, programs as copies."""
    root = Path(image.release.root)
    (root / "priv").mkdir()
    (root / "priv/cert").write_text("c")
    (root / "bin/mongooseimctl").write_text("#!/bin/bash\necho changed\n")
    (root / "bin/other").write_text("#!/bin/sh\n")
    (root / "templates").mkdir()
    assert image.start() == []
    server = Path(image.release.server)
    assert (server / "priv/cert").read_text() == "c"
    assert (server / "templates").is_dir()
    first, ours, rest = (server / "bin/mongooseimctl").read_text().splitlines()
    assert (first, rest) == ("#!/bin/bash", "echo changed")
    assert "as-member.sh" in ours
    assert os.access(server / "bin/other", os.X_OK)
    assert (root / "bin/mongooseimctl").read_text() == "#!/bin/bash\necho changed\n"


def test_what_the_server_will_not_see_is_named(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server's folder cannot be written: a read-only root, another user."""
    root = Path(image.release.root)
    (root / "certs").mkdir()
    (root / "bin/mongooseimctl").write_text("#!/bin/sh\necho changed\n")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or ".server" not in path)
    warnings = server_root.bring_up_to_date(str(root), image.places)
    assert [warning.split()[5] for warning in warnings] == [
        f"{root}/certs",
        f"{root}/bin/mongooseimctl",
    ]
