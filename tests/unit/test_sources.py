"""Which files of the operator are read, which are refused, and which nobody reads."""

import os
from pathlib import Path

import pytest

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.places import Places
from member_entrypoint.release import sources
from member_entrypoint.release.active import Release


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Provide an image whose release has a mongooseim.toml, and an empty `/member`."""
    made = Places(str(tmp_path))
    Path(made.member).mkdir(parents=True)
    add_pristine(made, "mongooseim.toml", "vm.args", "app.config")
    return made


def release(places: Places) -> Release:
    """Return the release of the image."""
    return Release(places.release, "1", "1")


def add_pristine(places: Places, *names: str) -> None:
    """Give the release configuration files."""
    folder = Path(release(places).pristine)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("release's")


def names(places: Places) -> list[str]:
    """Return the names of all files that are rendered."""
    return sorted(sources.find(release(places), places).files)


@pytest.mark.parametrize("name", sources.TAKEN_FROM_MEMBER)
def test_a_folder_with_the_name_of_a_file_is_refused(places: Places, name: str) -> None:
    """Docker makes one for a bind source that does not exist."""
    Path(places.member, name).mkdir()
    with pytest.raises(ConfigurationError, match=rf"/member/{name} is a folder, and should be a f"):
        names(places)


def test_a_link_that_leads_nowhere_is_refused(places: Places) -> None:
    """Ignored, the server would run with another configuration than the one that was meant."""
    Path(places.member, "vm.args").symlink_to("/nowhere/vm.args")
    with pytest.raises(ConfigurationError, match=r"vm.args is a link to '/nowhere/vm.args'"):
        names(places)


def test_other_files_in_member_are_left_alone(places: Places) -> None:
    """Certificates, for example; whatever they are."""
    Path(places.member, "server.pem").mkdir()
    Path(places.member, "other").symlink_to("/nowhere")
    assert names(places) == ["app.config", "mongooseim.toml", "vm.args"]
    assert sources.unread(release(places), places, None) == []


@pytest.mark.parametrize("name", ["mongooseim.cfg", "ejabberd.cfg"])
def test_a_configuration_that_the_release_does_not_read_is_warned_of(
    places: Places, name: str
) -> None:
    """The warning says what is read."""
    Path(places.member, name).write_text("")
    said = f"nobody reads {places.member}/{name}: this release reads mongooseim.toml"
    assert sources.unread(release(places), places, None) == [said]


def test_the_format_that_is_asked_for_is_read(places: Places) -> None:
    """MONGOOSEIM_CONFIG_FORMAT=cfg, with both files in /member."""
    for name in ("mongooseim.cfg", "mongooseim.toml"):
        Path(places.member, name).write_text("")
    said = f"nobody reads {places.member}/mongooseim.toml: this release reads mongooseim.cfg"
    assert sources.unread(release(places), places, "cfg") == [said]


def test_an_old_release_takes_its_old_file_from_member(places: Places) -> None:
    """Before MongooseIM 3.2 it was `ejabberd.cfg`."""
    Path(release(places).pristine, "mongooseim.toml").unlink()
    add_pristine(places, "ejabberd.cfg")
    path = Path(places.member, "ejabberd.cfg")
    path.write_text("operator's")
    assert "ejabberd.cfg" in names(places)
    assert sources.find(release(places), places).files["ejabberd.cfg"] == str(path)
    assert sources.unread(release(places), places, None) == []


def test_a_byte_order_mark_is_no_part_of_a_text(places: Places) -> None:
    """The VM would take it for the beginning of the first flag."""
    path = Path(places.member, "vm.args")
    path.write_bytes(b"\xef\xbb\xbf-sname x")
    assert sources.read_text(str(path), places) == "-sname x"


def test_a_file_without_end_is_refused(places: Places) -> None:
    """It would be read into memory as a whole, at each start."""
    path = Path(places.member, "mongooseim.toml")
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(ConfigurationError, match=r"mongooseim.toml has more than 16 MiB"):
        sources.read(str(path), places)
