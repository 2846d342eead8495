"""The hosts file: what it has for a name, and the lines that an operator adds to it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.network import names
from member_entrypoint.network.hosts_file import Entry, add_hosts, find, lines_to_add
from member_entrypoint.network.names import Answer
from member_entrypoint.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return places with an empty `/member`, and without a hosts file."""
    found = Places(str(tmp_path))
    Path(found.member).mkdir()
    Path(found.hosts).parent.mkdir()
    return found


def test_a_name_has_the_addresses_of_all_its_lines(tmp_path: Path) -> None:
    """In all files; the name is the first one beside its first address."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"# caf\xe9\n10.0.0.1 First second # third\n\n")
    other.write_text("::1 second\n10.0.0.300 second\n10.0.0.3\n")
    paths = (str(one), str(tmp_path / "missing"), str(other))
    assert find("SECOND", *paths) == Entry(("10.0.0.1", "::1"), "First")
    assert find("third", *paths) == Entry((), "")


def test_an_address_and_a_name_of_the_hosts_file_ask_no_name_server(places: Places) -> None:
    """There is none here."""
    Path(places.hosts).write_text("10.0.0.1 db.local db\n")
    assert names.look_up("::1", places, 1.0) == Answer(("::1",), "::1", "", from_hosts=True)
    assert names.look_up("db", places, 1.0) == Answer(
        ("10.0.0.1",), "db.local", "", from_hosts=True
    )


@pytest.mark.parametrize(
    ("have", "wanted", "added"),
    [
        ("10.0.0.1 a\n", None, ""),
        ("10.0.0.1 a\n", "", ""),
        ("10.0.0.1 a\n", "# a note\n", ""),
        ("10.0.0.1 a\n", "10.0.0.1\ta\n", ""),
        ("10.0.0.1 a\n", "10.0.0.2 a\n", "10.0.0.2 a\n"),
        ("10.0.0.1 a\n", "10.0.0.1 a b", "10.0.0.1 a b\n"),
        ("10.0.0.1 a", "10.0.0.2 b\n", "\n10.0.0.2 b\n"),
        ("10.0.0.1 a\n", "10.0.0.2 b\n\n# c\n10.0.0.3 c", "10.0.0.2 b\n# c\n10.0.0.3 c\n"),
        ("", "10.0.0.2 b\n", "10.0.0.2 b\n"),
        (None, "10.0.0.2 b\n", "10.0.0.2 b\n"),
    ],
)
def test_what_the_hosts_file_does_not_say_is_added(
    have: str | None, wanted: str | None, added: str, places: Places
) -> None:
    """However it says it; on lines of its own. None stands for a file that is not there."""
    if have is not None:
        Path(places.hosts).write_text(have)
    if wanted is not None:
        Path(places.member, "hosts").write_text(wanted)
    assert lines_to_add(places) == added


def test_a_hosts_file_that_is_made_can_be_read_by_all(places: Places) -> None:
    """And written by root only."""
    Path(places.member, "hosts").write_text("10.0.0.2 b\n")
    before = os.umask(0)
    try:
        add_hosts(places)
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(places.hosts).stat().st_mode) == 0o644


def test_a_hosts_file_that_cannot_be_written_is_an_error_with_the_ways_out(
    tmp_path: Path,
) -> None:
    """Here because its folder is not there."""
    places = Places(str(tmp_path))
    Path(places.member).mkdir()
    Path(places.member, "hosts").write_text("10.0.0.2 b\n")
    said = f"{places.hosts} cannot be written (No such file or directory; uid {os.geteuid()}, "
    with pytest.raises(ConfigurationError, match=re.escape(said)) as refusal:
        add_hosts(places)
    assert "--add-host, extra_hosts in Compose, or hostAliases" in str(refusal.value)
