"""Whom the file of CETS nodes lists, and what mongooseim.toml says of CETS."""

import os
from pathlib import Path

import pytest

from member_entrypoint import settings
from member_entrypoint.cluster.discovery import nodes_to_list
from member_entrypoint.places import Places
from member_entrypoint.release.active import Release
from member_entrypoint.release.cets import Cets, cets

INTERVAL = 10.0
FILE = '[internal_databases.cets]\n  backend = "file"\n  node_list_file = '


@pytest.mark.parametrize(
    ("known", "found", "expected"),
    [
        ({}, "ab", {"a": None, "b": None}),
        ({"a": None, "b": None}, "a", {"a": None, "b": 100.0}),
        ({"a": None, "b": 90.1}, "a", {"a": None, "b": 90.1}),
        ({"a": None, "b": 90.0}, "a", {"a": None}),
        ({"a": None, "b": 90.0}, "ab", {"a": None, "b": None}),
        ({"a": None}, "b", {"a": 100.0, "b": None}),
    ],
)
def test_who_is_missing_stays_for_an_interval(
    known: dict[str, float | None], found: str, expected: dict[str, float | None]
) -> None:
    """From the look on at which it was missed first; then it is dropped."""
    assert nodes_to_list(known, found, 100.0, INTERVAL) == expected


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (None, None),
        ("", None),
        ("# cets\n", None),
        ("[internal_databases.mnesia]\n", None),
        ("[internal_databases.cets]\n", Cets(only=True, node_list="")),
        ("[internal_databases]\n  cets = {}\n", Cets(only=True, node_list="")),
        (
            "[internal_databases.mnesia]\n[internal_databases.cets]\n",
            Cets(only=False, node_list=""),
        ),
        ('[internal_databases.cets]\n  backend = "rdbms"\n', Cets(only=True, node_list="")),
        (FILE + '"/run/nodes"\n', Cets(only=True, node_list="/run/nodes")),
        (FILE + '"nodes"\n', Cets(only=True, node_list="SERVER/nodes")),
        # what is wrong is for the server to say
        ('[general]\n  sm_backend = "cets"\n', None),
        ("internal_databases = 'cets'\n", None),
        ("[internal_databases.cets\n", None),
    ],
)
def test_cets_is_noticed(tmp_path: Path, toml: str | None, expected: Cets | None) -> None:
    """Without Mnesia beside it there is nothing to join."""
    (tmp_path / "member").mkdir()
    if toml is not None:
        (tmp_path / "member/mongooseim.toml").write_text(toml)
    places = Places(str(tmp_path))
    release = Release(places.release, "1", "1")
    Path(release.pristine).mkdir(parents=True)
    found = cets(release, places, settings.read({}))
    if found:
        found = found._replace(node_list=found.node_list.replace(release.server, "SERVER"))
    assert found == expected


def test_the_configuration_that_the_server_reads_is_the_one_that_counts(tmp_path: Path) -> None:
    """EJABBERD_CONFIG_PATH names it; with MONGOOSEIM_CONFIG_FORMAT=cfg it is no TOML."""
    elsewhere = tmp_path / "mongooseim.toml"
    elsewhere.write_text("[internal_databases.cets]\n")
    places = Places(os.fspath(tmp_path))
    release = Release(places.release, "1", "1")
    Path(release.pristine).mkdir(parents=True)
    named = {"EJABBERD_CONFIG_PATH": str(elsewhere)}
    assert cets(release, places, settings.read(named)) == Cets(True, "")  # noqa: FBT003
    other = {**named, "MONGOOSEIM_CONFIG_FORMAT": "cfg"}
    assert cets(release, places, settings.read(other)) is None
