"""What the member's user can put into the release's own `etc` hurts no start that follows."""

from __future__ import annotations

import codecs
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from member_images import Image

from member_entrypoint.files import record

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10  # seconds in which a read that does not end is known


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """End a test that waits for ever."""
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("kind", ["fifo", "device", "link", "large", "folder"])
def test_a_record_that_is_no_record_is_none(tmp_path: Path, kind: str) -> None:
    """Root reads it: from a pipe or a device it would read for ever."""
    path = tmp_path / ".shown"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "link":
            (tmp_path / "other").write_text("1 name\0")
            path.symlink_to("other")
        case "large":
            path.touch()
            os.truncate(path, record.LARGEST + 1)
        case _:
            path.mkdir()
    assert record.read(str(path)) is None


def let_all_walk_through(path: Path) -> None:
    """Open a folder of pytest's, which is for its user alone."""
    for each in (path, *path.parents):
        if "pytest-of-" in str(each):
            each.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has what others may not read")
def test_a_file_of_roots_counts_and_is_named_once(tmp_path: Path) -> None:
    """A mongooseim.toml with the mode 0600, by `docker cp`: status 78; also a large file."""
    let_all_walk_through(tmp_path)
    image = Image(tmp_path / "root")
    (tmp_path / "root/etc").mkdir()
    Path(image.places.passwd).write_text("mongooseim:*:54321:54321:::\n")
    os.chown(image.etc, 54321, 54321)
    assert image.start() == []
    secret = image.etc / "app.config"
    secret.write_text("[{roots, []}].\n")
    secret.chmod(0o600)
    os.truncate(image.etc / "vm.args", 0)
    (image.etc / "large").touch()
    os.truncate(image.etc / "large", 1 << 33)
    (image.etc / "vm.args").write_text("-sname x\n-setcookie y\n")
    changed = {each.split()[0].rpartition("/")[2] for each in image.start()}
    assert changed == {"app.config", "large", "vm.args"}
    assert "roots" in image.read("app.config")
    assert image.start() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_change_is_named_to_another_user_too(tmp_path: Path) -> None:
    """Who may make files in the release's etc, as in /tmp, and replace none."""
    image = Image(tmp_path / "root")
    os.chown(image.etc, 54321, 54321)
    let_all_walk_through(tmp_path)
    image.etc.chmod(0o1777)  # as the image has it
    for path in (image.places.run, image.places.data, image.places.log):
        os.makedirs(path)
        os.chown(path, 4321, 4321)
    codecs.lookup("ascii")  # that user may not import it
    child = os.fork()
    if child == 0:
        os.setresuid(4321, 4321, 4321)
        status = 1
        try:
            first = image.start()
            (image.etc / "new.pem").write_text("key")
            named = [each.split()[0].rpartition("/")[2] for each in image.start()]
            status = 0 if (first, named, image.start()) == ([], ["new.pem"], []) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
