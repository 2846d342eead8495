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
    """Return the environment of this process, to read the settings from and to hand on."""
    return dict(os.environ)


def root(environment: "Mapping[str, str]") -> str:
    """Return the folder that stands for `/`, as it is given; only tests give another one."""
    return environment.get(ROOT) or "/"


def switch_user(environment: "MutableMapping[str, str]", name: str, home: str) -> None:
    """Make `environment` that of the user `name`, with the folder `home`.

    A HOME that the operator has chosen stays. The cookie's file is not named any more: it has been
    read, and perhaps only root may read it.
    """
    environment["USER"] = environment["LOGNAME"] = name
    if environment.get("HOME", HOME_OF_ROOT) == HOME_OF_ROOT:
        environment["HOME"] = home
    environment.pop(COOKIE_FILE, None)
