"""What others put into the server's own `etc` is kept, named, or refused; never lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from member_images import Image

from member_entrypoint.release import rendering


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Provide an image that has been started."""
    made = Image(tmp_path / "root")
    (made.etc / "certs").mkdir()
    assert made.start() == []
    return made


def test_a_link_that_somebody_put_there_is_kept_and_named(image: Image, tmp_path: Path) -> None:
    """It was lost without a word; those that we made ourselves come and go."""
    link = Path(image.release.etc, "app.config")
    link.unlink()
    link.symlink_to(tmp_path / "own.config")
    (image.etc / "certs").rmdir()
    (warning,) = image.start()
    assert "etc/app.config was edited" in warning
    kept = Path(image.places.run, "etc.edited/app.config")
    assert os.readlink(kept) == str(tmp_path / "own.config")
    assert not os.path.lexists(os.path.join(image.release.etc, "certs"))


def test_what_was_kept_before_makes_way(image: Image) -> None:
    """A file for a folder, a folder for a file: `Not a directory`, status 78."""
    thing = Path(image.release.etc, "thing")
    for make in (thing.touch, thing.mkdir, thing.mkdir, thing.touch):
        make()
        (warning,) = image.start()
        assert "etc/thing was edited" in warning
    assert Path(image.places.run, "etc.edited/thing").is_file()


def test_a_folder_of_bootstrap_scripts_is_no_edit(image: Image) -> None:
    """They make it at each start."""
    for _ in range(2):
        Path(image.release.etc, "made").mkdir()
        rendering.note(image.release)
        assert image.start() == []
        assert not Path(image.release.etc, "made").exists()


def test_a_folder_without_a_record_is_kept(image: Image) -> None:
    """In a volume on /run/mongooseim after a power cut: `Is a directory`, status 78, for ever."""
    Path(image.release.etc, "made").mkdir()
    os.unlink(os.path.join(image.places.run, "etc.written"))
    assert image.start() == []
    assert Path(image.places.run, "etc.edited/made").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_mount_in_a_folder_of_it_is_refused(image: Image) -> None:
    """Before the folder is moved, with what an operator has mounted in it."""
    target = Path(image.release.etc, "own/certs")
    target.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from member_entrypoint.places import Places; "
        "from member_entrypoint.release import active, rendering; p = Places(sys.argv[1]); "
        "rendering.write(active.find(p.release), p, rendering.Rendered({}, {}))"
    )
    command = 'mount --bind /etc "$0" && exec "$1" -c "$2" "$3"'
    words = ["unshare", "--mount", "sh", "-c", command]
    done = subprocess.run(
        [*words, os.path.realpath(target), sys.executable, code, image.places.root],
        check=False,
        capture_output=True,
        text=True,
    )
    assert f"{image.places.run}/etc/own/certs is a mount, and the files there" in done.stderr
    assert target.is_dir()
