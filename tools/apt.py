"""Installs Debian packages, if this is Debian or Ubuntu and we are root."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

from console import ToolError, run, say, succeeds

if TYPE_CHECKING:
    from collections.abc import Iterable

ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}


def is_debian() -> bool:
    """Tell whether this is Debian, or a system based on it, with apt-get."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return "debian" in family and shutil.which("apt-get") is not None


def is_root() -> bool:
    """Tell whether we are root, who may install packages and start daemons."""
    return os.geteuid() == 0


def is_installed(package: str) -> bool:
    """Tell whether `package` is installed completely."""
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0 and done.stdout == "installed"


def install(packages: Iterable[str], *, purpose: str) -> None:
    """Install the missing ones of `packages`; this is quick if none is missing.

    Raises ToolError, which names the packages to install, if they cannot be installed here.
    """
    if not is_debian():
        raise ToolError(
            f"{purpose} needs {', '.join(packages)} (names of Debian packages): install the"
            " packages of your system that contain the same, then try again"
        )
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if not is_root():
        raise ToolError(f"{purpose} needs packages; run as root: {' '.join(command)}")
    say(f"    installing {' '.join(missing)}")
    # If only a third-party source cannot be reached, the installation still works.
    succeeds(["apt-get", "update"], timeout=300)
    run(
        [*command, "--option", "DPkg::Lock::Timeout=120"],
        what=f"installing {' '.join(missing)}",
        timeout=900,
        env=ENVIRONMENT,
    )
