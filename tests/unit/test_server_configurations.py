"""The mongooseim.toml files in deploy/: what MongooseIM 6 wants together, by its documentation.

The rules are the tables of docs/mongooseim-toml.md; the sample server knows none of them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from member_entrypoint.diagnosis import backends as checked
from member_entrypoint.diagnosis import listeners
from member_entrypoint.diagnosis.toml import Toml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "mongooseim-toml.md").read_text(encoding="utf-8")
FILES = sorted((ROOT / "deploy").rglob("mongooseim.toml"))
NAMES = [str(path.relative_to(ROOT / "deploy").parent) for path in FILES]
INTERNAL = {"mnesia", "cets"}

Table = dict[str, Any]


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading, each as its cells without backquotes."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    assert len(found) > 5
    return [[cell.strip().replace("`", "") for cell in cells] for cells in found[1:]]


BACKENDS = {option: default for option, default, _ in rows("Backends")}
ALLOWED = {
    option: {default, *filter(None, re.split(r", ", others))}
    for option, default, others in rows("Backends")
}
GONE = [option for option, _ in rows("Gone")]


def tables_at(config: Any, path: list[str]) -> Iterator[Any]:
    """Yield what is at a path; of an array of tables, what each of them has there."""
    if isinstance(config, list):
        for each in config:
            yield from tables_at(each, path)
    elif not path:
        yield config
    elif isinstance(config, dict) and path[0] in config:
        yield from tables_at(config[path[0]], path[1:])


def backends(config: Table) -> dict[str, str]:
    """Return the backend of each option that counts, as the server sees it."""
    used: dict[str, str] = {}
    for option, default in BACKENDS.items():
        *path, key = option.split(".")
        if option in {"auth.internal", "auth.rdbms"}:
            used |= dict.fromkeys([option][: len(list(tables_at(config, [*path, key])))], default)
        elif path == ["general"]:
            used[option] = config["general"].get(key, default)
        else:
            for table in tables_at(config, path):
                used[option] = table.get(key, default)
    return used


def tls_sections(config: Any) -> Iterator[Table]:
    """Yield each `tls` table, wherever it is."""
    if isinstance(config, list):
        for each in config:
            yield from tls_sections(each)
    elif isinstance(config, dict):
        for key, value in config.items():
            if key == "tls":
                yield value
            else:
                yield from tls_sections(value)


def shapers(config: Table) -> set[str]:
    """Return the shapers that are named."""
    named = {
        listener["shaper"]
        for listeners in config.get("listen", {}).values()
        for listener in listeners
        if "shaper" in listener
    }
    named |= set(tables_at(config, ["s2s", "outgoing", "shaper"]))
    return named - {"none"}


def problems(config: Table) -> list[str]:
    """Return what MongooseIM 6 does not take, one line each."""
    found = [*domain_problems(config), *backend_problems(config), *tls_problems(config)]
    undefined = shapers(config) - config.get("shaper", {}).keys()
    found += [f"the shaper {name} is not defined" for name in undefined]
    found += [f"{option} is gone" for option in GONE if [*tables_at(config, option.split("."))]]
    return found


def domain_problems(config: Table) -> Iterator[str]:
    """Yield what is wrong with the domains."""
    general = config.get("general", {})
    if not general.get("default_server_domain"):
        yield "general.default_server_domain is missing"
    if not [*general.get("hosts", ()), *general.get("host_types", ())]:
        yield "general.hosts and general.host_types are empty"


def backend_problems(config: Table) -> Iterator[str]:
    """Yield which backends have no database."""
    databases = config.get("internal_databases", {"mnesia": {}})
    pool = any(tables_at(config, ["outgoing_pools", "rdbms", "default", "connection"]))
    for option, backend in backends(config).items():
        if backend not in ALLOWED[option]:
            yield f"{option} cannot be {backend}"
        if backend in INTERNAL - databases.keys():
            yield f"{option} is {backend}, and there is no [internal_databases.{backend}]"
        if backend.startswith("rdbms") and not pool:
            yield f"{option} is rdbms, and there is no [outgoing_pools.rdbms.default]"
    if (cets := databases.get("cets")) is not None:
        discovery = cets.get("backend", "rdbms")
        if discovery == "file" and not cets.get("node_list_file"):
            yield "internal_databases.cets has no node_list_file"
        if discovery == "rdbms" and not pool:
            yield "CETS wants [outgoing_pools.rdbms.default]"


def tls_problems(config: Table) -> Iterator[str]:
    """Yield what is wrong with certificates."""
    for tls in tls_sections(config):
        if tls.get("verify_mode", "peer") != "none" and "cacertfile" not in tls:
            yield "tls without cacertfile"
        if "certfile" in tls and tls.get("keyfile", tls["certfile"]) == tls["certfile"]:
            yield "certfile without keyfile"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_mongooseim_takes_the_configuration(path: Path) -> None:
    """None of the rules is broken."""
    assert problems(tomllib.loads(path.read_text(encoding="utf-8"))) == []


CETS = "".join(f'general.{each}_backend = "cets"\n' for each in ("sm", "component", "s2s"))
FILE = 'internal_databases.cets = { backend = "file", node_list_file = "nodes" }\n'
DOMAIN = 'general.default_server_domain = "localhost"\ngeneral.hosts = ["localhost"]\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('general.hosts = ["localhost"]', "default_server_domain is missing"),
        ('general.default_server_domain = "localhost"', "are empty"),
        (
            f"{DOMAIN}{CETS}{FILE}[auth.anonymous]\nprotocol = 'both'",
            "auth.anonymous.backend is mnesia",
        ),
        (f"{DOMAIN}{CETS}{FILE}[auth.internal]", "auth.internal is mnesia"),
        (f"{DOMAIN}{FILE}", "general.sm_backend is mnesia"),
        (
            f"{DOMAIN}{CETS}{FILE}[modules.mod_stream_management]",
            "mod_stream_management.backend is mnesia",
        ),
        (f"{DOMAIN}{CETS}{FILE}[modules.mod_muc]\nbackend = 'rdbms'", "online_backend is mnesia"),
        (
            f"{DOMAIN}[modules.mod_stream_management]\nbackend = 'cets'",
            "no [internal_databases.cets]",
        ),
        (f"{DOMAIN}[modules.mod_caps]", "no [internal_databases.cets]"),
        (f"{DOMAIN}[modules.mod_mam.pm]", "mod_mam.backend is rdbms"),
        (f"{DOMAIN}[modules.mod_roster]\nbackend = 'redis'", "cannot be redis"),
        (f"{DOMAIN}[auth.rdbms]", "auth.rdbms is rdbms"),
        (f"{DOMAIN}{CETS}internal_databases.cets.backend = 'file'", "no node_list_file"),
        (f"{DOMAIN}{CETS}[internal_databases.cets]", "CETS wants"),
        (f"{DOMAIN}[[listen.c2s]]\nport = 5222\nshaper = 'fast'", "fast is not defined"),
        (
            f"{DOMAIN}[[listen.c2s]]\ntls.certfile = 'c'\ntls.keyfile = 'k'",
            "tls without cacertfile",
        ),
        (
            f"{DOMAIN}[[listen.c2s]]\ntls.verify_mode = 'none'\ntls.certfile = 'c'",
            "without keyfile",
        ),
        (
            f"{DOMAIN}[[listen.c2s]]\ntls.verify_mode = 'none'\ntls.module = 'fast_tls'",
            "tls.module is gone",
        ),
        (f"{DOMAIN}[modules.mod_bosh]", "modules.mod_bosh is gone"),
        (f"{DOMAIN}general.max_fsm_queue = 1000", "general.max_fsm_queue is gone"),
    ],
    ids=range(20),
)
def test_what_breaks_a_rule_is_noticed(text: str, problem: str) -> None:
    """One configuration for each rule, with one mistake."""
    assert [each for each in problems(tomllib.loads(text)) if problem in each], problems(
        tomllib.loads(text)
    )


def test_check_knows_what_is_mnesia_by_default() -> None:
    """The same options as the page has."""
    known = {*checked.ALWAYS, *checked.IF_CONFIGURED, checked.NOTHING_ELSE}
    assert known == {option for option, default in BACKENDS.items() if default == "mnesia"}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f"{DOMAIN}{CETS}{FILE}", []),
        (f"{DOMAIN}[auth.internal]", []),
        (f"{DOMAIN}{FILE}[internal_databases.mnesia]", []),
        (f"{DOMAIN}{CETS}{FILE}[auth.internal]", ["auth.internal"]),
        (f"{DOMAIN}{CETS}{FILE}[modules.mod_x]\nbackend = 'mnesia'", ["modules.mod_x.backend"]),
        (
            f"{DOMAIN}{CETS}{FILE}[modules.mod_muc]\nbackend = 'rdbms'",
            ["modules.mod_muc.online_backend"],
        ),
        (FILE, sorted(checked.ALWAYS)),
    ],
    ids=["CETS", "Mnesia", "both", "internal", "another module", "half a module", "nothing given"],
)
def test_check_finds_what_needs_mnesia(text: str, options: list[str]) -> None:
    """Where there is CETS only."""
    assert checked.needing_mnesia(Toml(tomllib.loads(text), "x")) == options


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_check_finds_nothing_in_these_configurations(path: Path) -> None:
    """They are right."""
    given = Toml(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    assert checked.needing_mnesia(given) == []
    assert list(listeners.wrong_in_toml(given)) == []


def test_the_rules_say_nothing_of_a_configuration_that_is_right() -> None:
    """Neither of one for Mnesia nor of one for CETS."""
    assert problems(tomllib.loads(DOMAIN)) == []
    assert problems(tomllib.loads(f"{DOMAIN}{CETS}{FILE}[auth.anonymous]\nbackend = 'cets'")) == []
