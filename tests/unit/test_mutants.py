"""What `make mutants` does with the code and with what mutmut tells it."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import mutants
import pytest
from console import ROOT
from mutants import Mutant, ended_by_time, undecorated

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = '''\
class Place:
    @property
    def name(self) -> str:
        """Its name."""
        return self.text.strip()

    @staticmethod
    def nowhere() -> str:
        return ""


@rule("a blank name", "waits",
      late=True)
def _blank(place):
    return place.name == " "

OTHER = 1
'''
UNDECORATED = '''\
class Place:
    def name(self) -> str:
        """Its name."""
        return self.text.strip()
    name = (property)(name)

    @staticmethod
    def nowhere() -> str:
        return ""


def _blank(place):
    return place.name == " "
_blank = (rule('a blank name', 'waits', late=True))(_blank)

OTHER = 1
'''


def test_decorators_are_applied_below_their_functions() -> None:
    """For mutmut leaves decorated functions as they are."""
    assert undecorated(SOURCE) == UNDECORATED


@pytest.mark.parametrize(
    ("removed", "added", "is_text"),
    [
        ('log("not there", 1)', 'log("XXnot thereXX", 1)', True),
        ('log("not there", 1)', 'log("NOT THERE", 1)', True),
        ('log("Not there")', 'log("not there")', True),
        ('log("not there", 1)', 'log("not there", None)', False),
        ('log("not there", 1)', "log(None, 1)", False),
        ('", ".join(names)', '"XX, XX".join(names)', False),
        ('values["name"]', 'values["XXnameXX"]', False),
        ('text["a"] + "b c"', 'text["A"] + "b c"', False),
    ],
)
def test_words_for_people_are_told_from_words_for_programs(
    removed: str, added: str, *, is_text: bool
) -> None:
    """A message may be put better without a test that fails; a key may not."""
    assert Mutant("a.py", "f", removed, added, "survived").is_text == is_text


def test_mutants_whose_tests_took_too_long_are_known(tmp_path: Path) -> None:
    """They are tried once more: the machine may have been busy."""
    noted = {"a.f_1": 0, "a.f_2": 1, "a.f_3": -24, "a.f_4": 36, "a.f_5": None}
    (tmp_path / "mutants").mkdir()
    (tmp_path / "mutants/a.py.meta").write_text(json.dumps({"exit_code_by_key": noted}))
    assert ended_by_time(tmp_path, ["a.py", "b.py"]) == ["a.f_3", "a.f_4"]


def test_the_table_has_each_module_once_and_nothing_that_is_gone() -> None:
    """Modules and tests are renamed."""
    table = tomllib.loads(mutants.TABLE.read_text())
    modules = [module for group in table["group"] for module in group["modules"]]
    assert len(modules) == len(set(modules))
    names = {*modules, *(test for group in table["group"] for test in group["tests"])}
    assert [name for name in sorted(names) if not (ROOT / name).is_file()] == []
    for entry in table["equivalent"]:
        assert entry["module"] in modules
        assert entry["why"]
