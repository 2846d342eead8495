"""Root works only in folders, and reads only files, that no other user can have put there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import eventually

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import folders, users
from member_entrypoint.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = users.User(54321, 54322)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Provide a folder that all users may walk through; pytest's own is for its user alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        yield Path(folder)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Provide an image with our user in it, and a /run where everybody may make folders."""
    made = Places(str(tmp_path))
    (tmp_path / "etc").mkdir()
    Path(made.passwd).write_text(f"mongooseim:*:{USER.uid}:{USER.gid}:::\n")
    for folder in (made.data, made.log, made.member, made.run):
        Path(folder).mkdir(parents=True)
    (tmp_path / "run").chmod(0o1777)
    os.chown(made.run, *USER)
    return made


def change_owner(places: Places) -> None:
    """Do what root does before it gives up being root."""
    for _ in users.change_owner((places.data, places.log, places.run), USER, places):
        pass


@pytest.mark.parametrize("target", ["/etc", "relative"])
def test_a_link_in_the_place_of_run_is_refused(places: Places, tmp_path: Path, target: str) -> None:
    """`mv /run/mongooseim /run/was; ln -s /etc /run/mongooseim`, then a restart."""
    victim = tmp_path / ("etc" if target == "/etc" else "run/relative")
    victim.mkdir(exist_ok=True)
    (victim / "shadow").write_text("root")
    Path(places.run).rename(f"{places.run}.was")
    Path(places.run).symlink_to(target)
    os.chown(places.run, *USER, follow_symlinks=False)
    with pytest.raises(ConfigurationError, match="run/mongooseim is not the folder that it should"):
        change_owner(places)
    assert (victim / "shadow").stat().st_uid == 0


@pytest.mark.parametrize("kind", ["file", "fifo"])
def test_a_thing_that_is_no_folder_is_refused(places: Places, kind: str) -> None:
    """In one line that names it."""
    os.rmdir(places.run)
    if kind == "file":
        Path(places.run).write_text("")
    else:
        os.mkfifo(places.run)
    with pytest.raises(ConfigurationError, match="'mongooseim' in it is no folder"):
        change_owner(places)


def test_a_folder_of_a_third_user_is_refused(places: Places) -> None:
    """In /run everybody may make it; the volumes may be anybody's."""
    os.chown(places.data, 1234, 1234)
    change_owner(places)
    os.chown(places.run, 1234, 1234)
    with pytest.raises(ConfigurationError, match="it belongs to uid 1234"):
        change_owner(places)


def test_a_link_that_only_root_can_have_made_is_followed(places: Places, tmp_path: Path) -> None:
    """An image made from ours may keep its data elsewhere."""
    os.rmdir(places.data)
    (tmp_path / "data").mkdir()
    Path(places.data).symlink_to("/data")
    change_owner(places)
    assert (tmp_path / "data").stat().st_uid == USER.uid


def test_what_is_mounted_in_a_folder_keeps_its_owner(places: Places, tmp_path: Path) -> None:
    """A folder and a single file that the operator mounted, on the same file system, too."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "key.pem").write_text("")
    (tmp_path / "one").write_text("")
    Path(places.run, "certs").mkdir()
    Path(places.run, "one").write_text("")
    run = "".join(
        f"mount --bind {source} {places.run}/{name} && "
        for source, name in ((theirs, "certs"), (tmp_path / "one", "one"))
    )
    code = (
        "import sys; from member_entrypoint.files import users; "
        "from member_entrypoint.places import Places; p = Places(sys.argv[1]); "
        f"[None for _ in users.change_owner((p.run,), users.User{tuple(USER)}, p)]"
    )
    command = f'{run} exec "$0" -c "$1" "$2"'
    program = ["unshare", "--mount", "sh", "-c", command, sys.executable, code, places.root]
    subprocess.run(program, check=True)
    assert {path.stat().st_uid for path in (theirs, theirs / "key.pem", tmp_path / "one")} == {0}


def test_a_file_that_is_exchanged_meanwhile_is_not_given(places: Places, tmp_path: Path) -> None:
    """What is changed is what was looked at: a descriptor, not a name."""
    secret, stop, ready = tmp_path / "secret", tmp_path / "stop", tmp_path / "ready"
    secret.write_text("")
    child = os.fork()
    if child == 0:
        file, other = Path(places.run, "file"), Path(places.run, "other")
        while not stop.exists():
            file.write_text("")
            os.symlink(secret, other)
            os.replace(other, file)
            os.unlink(file)
            ready.touch()
        os._exit(0)
    try:
        eventually(ready.exists, "it is exchanged")
        for _ in range(300):
            change_owner(places)
            assert secret.stat().st_uid == 0
    finally:
        stop.touch()
        os.waitpid(child, 0)


@pytest.mark.parametrize("links_protected", [True, False])
def test_a_file_of_root_in_a_folder_of_the_members_may_be_a_second_name(
    places: Places,
    links_protected: bool,  # noqa: FBT001
) -> None:
    """Where the kernel lets anybody make one, it can be gone before it is counted."""
    file, inside = Path(places.run, "file"), Path(places.run, "roots/file")
    inside.parent.mkdir()
    for each in (file, inside):
        each.write_text("")
    top = folders.open_made(places.root, places.run)
    folders.change_owner(top, *USER, links_protected=links_protected)
    os.close(top)
    assert file.stat().st_uid == (USER.uid if links_protected else 0)
    assert inside.stat().st_uid == inside.parent.stat().st_uid == USER.uid


def read(path: Path, places: Places) -> str:
    """Read a file of the operator's, as root does."""
    with open(users.open_to_read(str(path), places), encoding="utf-8") as file:
        return file.read()


def test_root_reads_what_only_root_may_read(places: Places) -> None:
    """A Docker secret, through the links of a ConfigMap."""
    folder = Path(places.member, "..data")
    folder.mkdir()
    (folder / "vm.args").write_text("-setcookie x")
    (folder / "vm.args").chmod(0o400)
    Path(places.member, "vm.args").symlink_to("..data/vm.args")
    assert read(Path(places.member, "vm.args"), places) == "-setcookie x"


def test_root_reads_a_file_of_another_user_that_is_not_the_members(places: Places) -> None:
    """A person's own folder, mounted from a host."""
    path = Path(places.member, "vm.args")
    path.write_text("-setcookie x")
    path.chmod(0o600)
    for each in (path, path.parent):
        os.chown(each, 1000, 1000)
    assert read(path, places) == "-setcookie x"


@pytest.mark.parametrize("way", ["own folder", "own link", "open folder", "group's folder"])
def test_root_reads_nothing_for_the_member_that_the_member_can_have_put_there(
    places: Places, tmp_path: Path, way: str
) -> None:
    """`ln -s /etc/shadow /member/vm.args` shows the member nothing, not in an error either."""
    secret = tmp_path / "etc/shadow"
    secret.write_text("root:secret")
    secret.chmod(0o600)
    link = Path(places.member, "vm.args")
    link.symlink_to(secret)
    match way:
        case "own folder":
            os.chown(places.member, *USER)
        case "own link":
            os.chown(link, *USER, follow_symlinks=False)
        case "open folder":
            os.chmod(places.member, 0o777)  # noqa: S103 - what is wrong
        case _:
            os.chown(places.member, 0, USER.gid)
            os.chmod(places.member, 0o775)  # noqa: S103 - what is wrong
    with pytest.raises(PermissionError, match="only root may read it") as refusal:
        read(link, places)
    assert "secret" not in str(refusal.value)
    secret.chmod(0o644)
    assert read(link, places) == "root:secret"


def test_root_is_root_again_after_it_has_read(places: Places) -> None:
    """With its groups."""
    before = (os.geteuid(), os.getegid(), os.getgroups())
    path = Path(places.member, "vm.args")
    path.write_text("x")
    assert read(path, places) == "x"
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


def test_a_circle_of_links_ends(places: Places) -> None:
    """As the kernel ends it."""
    for name, other in (("a", "b"), ("b", "a")):
        Path(places.member, name).symlink_to(other)
    with pytest.raises(OSError, match="Too many levels"):
        folders.can_be_replaced_by(*USER, f"{places.member}/a")


THEIRS, OTHERS = USER.uid, 0
STICKY = 0o1777


@pytest.mark.parametrize(
    ("folder", "entry", "file", "expected"),
    [
        ((OTHERS, 0o755), (OTHERS, 0o755), OTHERS, False),
        ((OTHERS, 0o755), (THEIRS, 0o755), OTHERS, True),  # they may write in the inner one
        ((OTHERS, 0o755), (OTHERS, 0o755), THEIRS, True),
        ((THEIRS, 0o755), (OTHERS, 0o755), OTHERS, True),
        ((OTHERS, 0o777), (OTHERS, 0o755), OTHERS, True),
        ((OTHERS, STICKY), (OTHERS, 0o755), OTHERS, False),
        ((OTHERS, STICKY), (THEIRS, 0o755), OTHERS, True),
        ((THEIRS, STICKY), (OTHERS, 0o755), OTHERS, True),
        ((OTHERS, 0o755), (OTHERS, STICKY), OTHERS, False),
    ],
)
def test_who_can_replace_a_file(
    tmp_path: Path, folder: tuple[int, int], entry: tuple[int, int], file: int, *, expected: bool
) -> None:
    """As the kernel has it: by the owner of the folders on the way, their mode, and the file's."""
    inner = tmp_path / "folder/entry"
    inner.mkdir(parents=True)
    (inner / "file").write_text("")
    os.chown(inner / "file", file, 0)
    for path, (owner, mode) in ((inner, entry), (inner.parent, folder)):
        os.chown(path, owner, 0)
        path.chmod(mode)
    assert folders.can_be_replaced_by(*USER, str(inner / "file")) is expected


def test_what_is_mounted_in_a_folder_of_theirs_cannot_be_replaced(tmp_path: Path) -> None:
    """A mount point cannot be renamed or removed; but its whole folder might be."""
    theirs = tmp_path / "folder/etc"
    theirs.mkdir(parents=True)
    (theirs / "file").write_text("")
    os.chown(theirs, *USER)
    program = (
        "import sys; from member_entrypoint.files import folders;"
        f"print(folders.can_be_replaced_by(*{tuple(USER)}, sys.argv[1]))"
    )
    script = 'mount --bind /etc/hostname "$1/file" && "$2" -c "$3" "$1/file"'
    words = ("sh", str(theirs), sys.executable, program)

    def ask() -> str:
        command = ["unshare", "--mount", "sh", "-c", script, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert folders.can_be_replaced_by(*USER, str(theirs / "file"))
    assert ask() == "False"
    os.chown(theirs.parent, *USER)
    assert ask() == "True"


@pytest.mark.parametrize("what", ["file", "link", "second name", "another's"])
def test_root_reads_what_was_copied_into_a_folder_of_the_members(places: Places, what: str) -> None:
    """`docker cp` of a file with the mode 0600 into the release's etc; no link, no second name."""
    etc = Path(places.release, "etc")
    etc.mkdir(parents=True)
    secret, path = Path(places.root, "etc/shadow"), etc / "vm.args"
    secret.write_text("-setcookie x")
    secret.chmod(0o600)
    match what:
        case "link":
            path.symlink_to(secret)
        case "second name":
            os.link(secret, path)
        case _:
            secret.rename(path)
    if what == "another's":
        os.chown(path, 1234, 1234)
    os.chown(etc, *USER)
    if what in {"file", "another's"}:
        assert read(path, places) == "-setcookie x"
    else:
        with pytest.raises(PermissionError, match="only root may read it"):
            read(path, places)
