"""What was asked for: arguments, variables, defaults, and every error at once."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import builder_entrypoint
from builder_entrypoint.errors import ConfigurationError
from builder_entrypoint.settings import LONGEST_FILE_NAME, read_settings
from builder_entrypoint.texts import HELP

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "builder_entrypoint").glob("*.py"))


def test_defaults() -> None:
    """Without arguments and variables, MongooseIM's master branch is built into /builds."""
    settings = read_settings([], {})
    assert (settings.project, settings.repository, settings.commit) == (
        "MongooseIM",
        "https://github.com/esl/MongooseIM",
        "master",
    )
    assert settings.builds == Path("/builds")
    assert settings.log_file == Path("/builds/build.log")
    assert settings.cache == Path("/builds/.cache")
    assert settings.configure_arguments is None
    assert settings.stem("T") == "mongooseim-MongooseIM-master-T"
    assert settings.use_cache


def test_empty_values_are_as_good_as_none() -> None:
    """An argument or a variable that is set and empty leaves the default."""
    empty = dict.fromkeys(["BUILDS", "LOGFILE", "TARBALL_NAME", "ARCH", "SOURCE_DATE_EPOCH"], "")
    assert read_settings(["", "", ""], empty) == read_settings([], {})


def test_options_may_stand_anywhere() -> None:
    """`--no-cache` and `--dry-run` count before, between and after the arguments."""
    settings = read_settings(["--no-cache", "p", "/r", "--dry-run", "c"], {})
    assert (settings.project, settings.repository, settings.commit) == ("p", "/r", "c")
    assert not settings.use_cache
    assert settings.options == {"--dry-run"}


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], (False, False)),
        (["p"], (True, False)),
        (["", "/r"], (False, False)),
        (["", "", "c"], (False, True)),
    ],
)
def test_it_is_known_what_was_given(arguments: list[str], given: tuple[bool, bool]) -> None:
    """Without PROJECT, `--stop` means all; without COMMIT, the default branch will do."""
    settings = read_settings(arguments, {})
    assert (settings.project_given, settings.commit_given) == given


def test_submodules_can_be_left_out() -> None:
    """By an option, as the cache."""
    assert read_settings([], {}).submodules
    settings = read_settings(["--no-submodules"], {})
    assert (settings.submodules, settings.options) == (False, frozenset())


def test_folders_are_the_environments() -> None:
    """As absolute paths; the log is in the folder of the builds unless it has its own."""
    settings = read_settings([], {"BUILDS": "/b/../c"})
    assert (settings.builds, settings.log_file) == (Path("/c"), Path("/c/build.log"))
    assert read_settings([], {"LOGFILE": "/dev/../log"}).log_file == Path("/log")


def test_the_name_of_the_tarball_ends_with_the_architecture() -> None:
    """Of a given name, too; and an architecture may begin as it likes."""
    assert read_settings([], {"ARCH": "arm64"}).stem("T") == "mongooseim-MongooseIM-master-T-arm64"
    assert read_settings([], {"TARBALL_NAME": "X", "ARCH": "-v8"}).stem("T") == "X--v8"


@pytest.mark.parametrize(("variable", "epoch"), [("", 5), ("0", 0), ("99999999999", 99999999999)])
def test_the_time_of_the_entries_is_the_commits_unless_it_is_given(
    variable: str, epoch: int
) -> None:
    """Zero is a time as well."""
    assert read_settings([], {"SOURCE_DATE_EPOCH": variable}).epoch(5) == epoch


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["p\x7fq"], r"PROJECT p\x7fq contains control characters: none are allowed"),
        (["p", "r\n"], r"REPO r\n contains control characters: none are allowed"),
        (["p", "r", "a b"], "COMMIT a b contains white space: git allows none in names"),
        (["p", "r", "a\u2003b"], "COMMIT a\\u2003b contains white space: git allows none in names"),
        (
            ["a", "b", "c", "d"],
            "4 arguments are too many: allowed are [PROJECT [REPO [COMMIT]]]",
        ),
        (["--stop", "a", "b"], "2 arguments are too many: allowed are --stop [PROJECT]"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], said: str) -> None:
    """Each with what is wrong, on one line."""
    with pytest.raises(ConfigurationError) as raised:
        read_settings(arguments, {})
    assert str(raised.value) == said


@pytest.mark.parametrize("arguments", [["a b"], ["p", "a b"], ["--stop", "p"], ["--stop"]])
def test_right_arguments_are_taken(arguments: list[str]) -> None:
    """Only git's names have no blanks."""
    assert read_settings(arguments, {})


def test_who_asks_for_help_gets_it() -> None:
    """Whatever else is wrong."""
    assert read_settings(["--help", "-x"], {"ARCH": "a/b"}).options == {"--help"}
    assert read_settings(["-h"], {}).options == {"--help"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("../x", str(Path.cwd().parent / "x")),
        ("a/b:c", str(Path.cwd() / "a" / "b:c")),
        ("a/b:c/../d", str(Path.cwd() / "a" / "d")),
        ("/x:y/../z", "/z"),
        ("/a/../b", "/b"),
        ("https://host/x/../y", "https://host/x/../y"),
        ("git@host:x/../y", "git@host:x/../y"),
        ("host:x", "host:x"),
        ("host:x:y/../z", "host:x:y/../z"),
        ("host:x/../y:z", "host:x/../y:z"),
        (":x/../y", ":x/../y"),
    ],
)
def test_paths_become_absolute_and_addresses_stay(given: str, expected: str) -> None:
    """A colon before the first slash makes an address, as for git."""
    assert read_settings(["p", given], {}).repository == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TARBALL_NAME", "a/b"),
        ("TARBALL_NAME", "../x"),
        ("TARBALL_NAME", ".hidden"),
        ("TARBALL_NAME", "-x"),
        ("TARBALL_NAME", "a\nb"),
        ("TARBALL_NAME", "x" * 250),
        ("ARCH", "a/b"),
        ("SOURCE_DATE_EPOCH", "yesterday"),
        ("SOURCE_DATE_EPOCH", "-1"),
        ("SOURCE_DATE_EPOCH", "1" * 30),
        ("CONFIGURE_ARGS", "'open"),
    ],
)
def test_wrong_variables_are_named(variable: str, value: str) -> None:
    """The message names the variable and its value, on one line."""
    with pytest.raises(ConfigurationError) as raised:
        read_settings([], {variable: value})
    assert str(raised.value).startswith(f"{variable}=")
    assert "\n" not in str(raised.value)
    assert raised.value.status == 78


def test_a_name_may_be_as_long_as_is_allowed() -> None:
    """Counted in bytes, for file systems do."""
    name = "\u00e9" * (LONGEST_FILE_NAME // 2)
    assert read_settings([], {"TARBALL_NAME": name}).tarball_name == name
    with pytest.raises(ConfigurationError, match=r"is too long: 200 bytes are allowed"):
        read_settings([], {"TARBALL_NAME": f"{name}x"})


def test_all_errors_are_said_at_once() -> None:
    """Three mistakes are three lines."""
    with pytest.raises(ConfigurationError) as raised:
        read_settings(["p", "-r"], {"TARBALL_NAME": "a/b", "SOURCE_DATE_EPOCH": "x"})
    begins = [line.split()[0] for line in str(raised.value).splitlines()]
    assert begins == ["argument", "TARBALL_NAME=a/b", "SOURCE_DATE_EPOCH=x"]


def test_help_names_every_variable_and_status() -> None:
    """`--help` tells what can be set, and what comes back."""
    for word in ("BUILDS", "LOGFILE", "TARBALL_NAME", "ARCH", "CONFIGURE_ARGS"):
        assert word in HELP
    for status in ("0 ", "1 ", "2 ", "78 "):
        assert f"\n  {status}" in HELP


def test_version_is_that_of_the_distribution() -> None:
    """`--version` and the distribution's metadata have one source."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in pyproject["project"]["dynamic"]
    module, _, name = pyproject["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    assert getattr(importlib.import_module(module), name) == builder_entrypoint.VERSION


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__init__"])
def test_modules_can_be_imported_alone(module: str) -> None:
    """No module needs another to have been imported before it, and none warns."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import builder_entrypoint.{module}"
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", code], check=True, timeout=60)
