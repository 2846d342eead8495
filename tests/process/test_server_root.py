"""What comes into a release later, as root gives it to the server."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from releases import FakeRelease

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.places import Places
from member_entrypoint.release import server_root

if TYPE_CHECKING:
    from collections.abc import Iterator

UID = 54321


@pytest.fixture
def release() -> Iterator[Path]:
    """Provide a release that all users may walk through, in an image with our user."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        FakeRelease(root, Path("/usr/bin/python3"))
        (root / "etc/passwd").write_text(f"mongooseim:*:{UID}:{UID}:::\n")
        yield root / "usr/lib/mongooseim-image"


def bring_up_to_date(release: Path) -> list[str]:
    """Do what each start does."""
    return server_root.bring_up_to_date(str(release), Places(str(release.parents[2])))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to show")
@pytest.mark.parametrize("way", ["link", "file"])
def test_no_copy_shows_what_only_root_may_read(release: Path, way: str) -> None:
    """A link in a `bin` that is mounted from a folder of the member's; a key in it."""
    secret = release.parent / "shadow" if way == "link" else release / "bin/key"
    secret.write_text("secret")
    secret.chmod(0o600)
    if way == "link":
        (release / "bin/key").symlink_to(secret)
    assert bring_up_to_date(release) == []
    assert (release / ".server/bin/key").is_symlink()
    (release / "bin/mongooseimctl").unlink()
    (release / "bin/mongooseimctl").symlink_to(secret)
    with pytest.raises(ConfigurationError, match="mongooseimctl cannot be read by the member's"):
        bring_up_to_date(release)


def test_a_release_that_was_not_unpacked_by_us_is_refused(release: Path) -> None:
    """A folder that is mounted on all of it, a volume that an older image filled."""
    shutil.rmtree(release / ".server")
    with pytest.raises(ConfigurationError, match="was not unpacked by this image"):
        bring_up_to_date(release)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may have groups")
def test_root_reads_with_the_groups_that_the_member_keeps(release: Path) -> None:
    """`--group-add`: what the server can read is read, in a folder of the member's, too."""
    path = release / "etc/vm.args"
    path.write_text("-setcookie x\n")
    os.chown(path.parent, UID, UID)
    os.chown(path, 1, 4321)
    path.chmod(0o640)
    places = Places(str(release.parents[2]))
    groups = os.getgroups()
    os.setgroups([0, 4321])
    try:
        os.close(users.open_as_member(str(path), places))
    finally:
        os.setgroups(groups)
    with pytest.raises(PermissionError):
        users.open_as_member(str(path), places)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change owners")
def test_a_file_of_etc_with_a_second_name_is_not_given(release: Path) -> None:
    """A tarball whose equal files are one: a program would be the member's, that root calls."""
    os.link(release / "bin/mongooseimctl", release / "etc/tool")
    for name in ("log", "var"):
        (release / name).unlink()
    server_root.lay_out(str(release), Places(str(release.parents[2])))
    assert (release / "etc/vm.args").stat().st_uid == UID
    assert (release / "bin/mongooseimctl").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_programs_are_copied_out_of_a_folder_that_is_roots_alone(release: Path) -> None:
    """As a tarball is unpacked; a program that only its owner may read is one, too."""
    shutil.rmtree(release / ".server/bin")
    (release / "bin/mongooseimctl").chmod(0o700)
    for name in ("log", "var"):
        (release / name).unlink()
    release.chmod(0o700)
    server_root.lay_out(str(release), Places(str(release.parents[2])))
    release.chmod(0o755)
    for _ in range(2):
        for name in ("mongooseim", "mongooseimctl"):
            assert not (release / ".server/bin" / name).is_symlink()
            assert (release / ".server/bin" / name).is_file()
        assert bring_up_to_date(release) == []
