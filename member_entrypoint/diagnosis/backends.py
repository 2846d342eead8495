"""What of MongooseIM 6 needs Mnesia, which matters where only CETS is configured.

Source: its documentation and its source up to 6.8, as in docs/mongooseim-toml.md.
"""

from collections.abc import Iterator

from member_entrypoint.diagnosis.toml import Toml
from member_entrypoint.lean_typing import Any

ALWAYS = ("general.sm_backend", "general.component_backend", "general.s2s_backend")
"""Options that are `mnesia` unless they are given."""
IF_CONFIGURED = (
    "auth.anonymous.backend",
    "services.service_bosh.backend",
    "modules.mod_event_pusher.push.backend",
    "modules.mod_last.backend",
    "modules.mod_muc.backend",
    "modules.mod_muc.online_backend",
    "modules.mod_muc_light.backend",
    "modules.mod_offline.backend",
    "modules.mod_privacy.backend",
    "modules.mod_pubsub_old.backend",
    "modules.mod_roster.backend",
    "modules.mod_stream_management.backend",
    "modules.mod_vcard.backend",
)
"""The same, where the section is there."""
NOTHING_ELSE = "auth.internal"
"""A section that has no other backend."""


def needing_mnesia(toml: Toml) -> list[str]:
    """Return the options that need Mnesia where [internal_databases] has CETS only."""
    databases = toml.tables.get("internal_databases")
    if not isinstance(databases, dict) or "mnesia" in databases or "cets" not in databases:
        return []
    found = [*_with_mnesia(toml.tables, "")]
    for option in (*ALWAYS, *IF_CONFIGURED):
        section, _, key = option.rpartition(".")
        table = _at(toml.tables, section)
        if table is None and option in ALWAYS:
            table = {}
        if isinstance(table, dict) and table.get(key, "mnesia") == "mnesia":
            found.append(option)
    if _at(toml.tables, NOTHING_ELSE) is not None:
        found.append(NOTHING_ELSE)
    return sorted(set(found))


def in_words(toml: Toml) -> str:
    """Return which these are, with what to do; empty if there are none."""
    needing = needing_mnesia(toml)
    if not needing:
        return ""
    return (
        f"{toml.path} has CETS only in [internal_databases], and Mnesia, also by default, for "
        f"{', '.join(needing)} (backend_requires_internal_database); give each another backend, or "
        "configure [internal_databases.mnesia]"
    )


def _at(tables: Any, path: str) -> Any:
    """Return what is at a path of keys, None if nothing is."""
    for key in path.split("."):
        tables = tables.get(key) if isinstance(tables, dict) else None
    return tables


def _with_mnesia(table: dict[str, Any], name: str) -> Iterator[str]:
    """Yield each option `backend` that is `mnesia`, wherever it is."""
    for key, value in table.items():
        path = f"{name}.{key}".lstrip(".")
        if isinstance(value, dict):
            yield from _with_mnesia(value, path)
        elif key == "backend" and value == "mnesia":
            yield path
