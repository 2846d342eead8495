"""What bootstrap scripts do in the release's own `etc` is undone before the next start."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from member_images import Image

from member_entrypoint.release import given_etc, rendering

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Provide an image that has been started."""
    made = Image(tmp_path / "root")
    (made.etc / "template").write_text("operator's")
    (made.etc / "template").chmod(0o640)
    (tmp_path / "elsewhere").write_text("linked")
    (made.etc / "link").symlink_to(tmp_path / "elsewhere")
    assert made.start() == []
    return made


def test_what_a_script_moves_away_comes_back(image: Image) -> None:
    """`mv template mongooseim.toml`: the operator's file was gone after the first start."""
    before = given_etc.contents(image.release)
    (image.etc / "template").rename(image.etc / "mongooseim.toml")
    rendering.take_in(image.release, image.places, before)
    assert image.read("mongooseim.toml") == "operator's"
    assert given_etc.contents(image.release) == before
    assert (image.etc / "template").stat().st_mode & 0o777 == 0o640


def test_a_link_that_a_script_replaces_is_a_link_again(image: Image) -> None:
    """As `sed -i` does."""
    before = given_etc.contents(image.release)
    (image.etc / "link").unlink()
    (image.etc / "link").write_text("edited")
    rendering.take_in(image.release, image.places, before)
    assert image.read("link") == "edited"
    assert (image.etc / "link").is_symlink()
    assert (image.etc / "link").read_text() == "linked"


def test_a_folder_that_a_script_makes_is_seen_in_the_same_start(image: Image) -> None:
    """And not only in the next one."""
    before = given_etc.contents(image.release)
    (image.etc / "certs").mkdir()
    (image.etc / "certs/ca.pem").write_text("ca")
    rendering.take_in(image.release, image.places, before)
    assert image.read("certs/ca.pem") == "ca"
    assert image.start() == []
    assert image.read("certs/ca.pem") == "ca"


MOUNTED = """
import os, sys
from pathlib import Path
from member_entrypoint.places import Places
from member_entrypoint.release import active, given_etc, rendering
places = Places(sys.argv[1])
release = active.find(places.release)
before = given_etc.contents(release)
for name in ("template", "vm.args"):
    Path(release.given_etc, name).write_text("written")
rendering.take_in(release, places, before)
print(Path(release.etc, "template").read_text(), Path(release.given_etc, "template").read_text())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("what", ["etc/template", ""], ids=["one file", "the release"])
def test_what_is_mounted_there_is_not_put_back(image: Image, tmp_path: Path, what: str) -> None:
    """It is the operator's; `Device or resource busy` ended the start."""
    at = os.path.join(image.release.root, what)
    theirs = tmp_path / "theirs"
    subprocess.run(["cp", "-a", f"{at}/." if not what else at, theirs], check=True)
    command = 'mount --bind "$0" "$1" && exec "$2" -c "$3" "$4"'
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", command, theirs, os.path.realpath(at)),
            *(sys.executable, MOUNTED, image.places.root),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("written written\n", 0), done.stderr
    assert (image.etc / "template").read_text() == "operator's"
