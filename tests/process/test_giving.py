"""Root gives the member's folders away, and nothing that lies outside of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from member_entrypoint.files import users
from member_entrypoint.places import Places

if TYPE_CHECKING:
    from pathlib import Path

USER = users.User(54321, 54322)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def give(*folders: Path) -> None:
    """Give all of them, to the end."""
    for _ in users.change_owner(map(str, folders), USER, Places("/")):
        pass


def owner(path: Path) -> tuple[int, int]:
    """Return who has a file, or a link and not what it leads to."""
    found = path.lstat()
    return found.st_uid, found.st_gid


@needs_root
def test_all_below_a_folder_is_given(tmp_path: Path) -> None:
    """Folders that miss are made, links are given themselves; what another user has too."""
    data, missing = tmp_path / "data", tmp_path / "missing"
    (data / "deep/er").mkdir(parents=True)
    (data / "deep/er/file").write_text("")
    (data / "deep/link").symlink_to("er")
    (data / "foreign").write_text("")
    os.chown(data / "foreign", 1234, 1234)
    give(data, missing)
    assert {owner(path) for path in (data, missing, *data.rglob("*"))} == {USER}


@needs_root
def test_nothing_is_given_through_a_link(tmp_path: Path) -> None:
    """Neither through a symbolic one, to a folder or a file, nor through a second name."""
    data, outside = tmp_path / "data", tmp_path / "outside"
    data.mkdir()
    outside.mkdir()
    (outside / "file").write_text("")
    (outside / "second").write_text("")
    (data / "to-folder").symlink_to(outside)
    (data / "to-file").symlink_to(outside / "file")
    (data / "hard").hardlink_to(outside / "second")
    give(data)
    assert {owner(path) for path in (outside, *outside.iterdir())} == {(0, 0)}


@needs_root
def test_what_was_given_is_not_given_again(tmp_path: Path) -> None:
    """The next start only looks; a group that somebody chose since stays."""
    file = tmp_path / "file"
    file.write_text("")
    give(tmp_path)
    os.chown(file, -1, 1234)
    give(tmp_path)
    assert owner(file) == (USER.uid, 1234)


@pytest.mark.parametrize(
    ("passwd", "user"),
    [
        ("root:x:0:0::/root:/bin/sh\nmongooseim:*:5222:5223::/:/bin/sh\n", users.User(5222, 5223)),
        ("mongooseimx:*:1:1::/:/bin/sh\n", None),
        ("mongooseim:broken\n", None),
        (None, None),
    ],
)
def test_the_user_is_the_one_that_the_image_has(
    tmp_path: Path, passwd: str | None, user: users.User | None
) -> None:
    """So an image made from ours can give it another number."""
    if passwd is not None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/passwd").write_text(passwd)
    assert users.image_user(Places(str(tmp_path))) == user
