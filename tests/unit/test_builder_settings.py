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
from builder_entrypoint.settings import read_settings
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
    ("given", "expected"),
    [
        ("../x", str(Path.cwd().parent / "x")),
        ("a/b:c", str(Path.cwd() / "a" / "b:c")),
        ("/a/../b", "/b"),
        ("https://host/x/../y", "https://host/x/../y"),
        ("git@host:x/../y", "git@host:x/../y"),
        ("host:x", "host:x"),
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


def test_all_errors_are_said_at_once() -> None:
    """Three mistakes are three lines."""
    with pytest.raises(ConfigurationError) as raised:
        read_settings(["p", "-r"], {"TARBALL_NAME": "a/b", "SOURCE_DATE_EPOCH": "x"})
    assert len(str(raised.value).splitlines()) == 3


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
