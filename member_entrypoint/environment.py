"""The environment of this process: nothing else in the program reads it.

`settings` gives its variables their meaning. A probe, which is a process of its own every few
seconds, cannot afford to import that; hence this module, which imports nothing but `os`.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

ROOT = "ENTRYPOINT_ROOT"
COOKIE_FILE = "CLUSTER_COOKIE_FILE"
HOME_OF_ROOT = "/root"


def variables() -> dict[str, str]:
    """Return the environment that this process was started with, to read and to hand on.

    That is not `os.environ`: with LANG=C the interpreter adds LC_CTYPE to that (PEP 538). Raises
    `ConfigurationError` for an entry that no program could be given.
    """
    found: dict[str, str] = {}
    for entry in _entries():
        name, equals, value = os.fsdecode(entry).partition("=")
        if not (name and equals):
            from member_entrypoint.errors import ConfigurationError

            raise ConfigurationError(
                f"the environment has the entry {os.fsdecode(entry)[:40]!r}, which is no "
                "NAME=VALUE; remove it"
            )
        found.setdefault(name, value)
    return found


def changed(by: "Mapping[str, str]") -> dict[str, str]:
    """Return what a child inherits, with these variables set; an empty one is taken away."""
    found = {**os.environ, **by}
    return {name: value for name, value in found.items() if value or name not in by}


def _entries() -> list[bytes]:
    try:
        with open("/proc/self/environ", "rb") as file:
            return [entry for entry in file.read().split(b"\0") if entry]
    except OSError:
        return [name + b"=" + value for name, value in os.environb.items()]


def own_root() -> str:
    """Return the folder that stands for `/` in this process; only tests give another one."""
    return os.environ.get(ROOT) or "/"


def switch_user(environment: "MutableMapping[str, str]", name: str, home: str) -> None:
    """Make `environment` that of the user `name`, with the folder `home`.

    A HOME that the operator has chosen stays. The cookie's file is not named any more: it has been
    read, and perhaps only root may read it.
    """
    environment["USER"] = environment["LOGNAME"] = name
    if environment.get("HOME", HOME_OF_ROOT) == HOME_OF_ROOT:
        environment["HOME"] = home
    environment.pop(COOKIE_FILE, None)


def replace(variables: "Mapping[str, str]") -> None:
    """Make `variables` the environment of this process and of all that it starts."""
    os.environ.clear()
    os.environ.update(variables)
