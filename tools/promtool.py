"""Unpacks promtool from Debian's packages, for the tests of the alert rules.

Debian 13 has a package of it. In Debian 12 it is in that of Prometheus, which is not installed:
that would start a server.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import apt
from console import ROOT, ToolError, run, say, shown, succeeds

PATH = ROOT / ".cache" / "promtool"
"""The program."""
PACKAGES = ("promtool", "prometheus")
"""The Debian packages that may have it; the first that exists does."""


def ensure() -> str:
    """Return the path of promtool: the one on PATH, or ours, unpacked if need be.

    Raises ToolError.
    """
    if installed := shutil.which("promtool"):
        return installed
    if PATH.exists():
        say(f"    found {shown(PATH)}")
        return str(PATH)
    if not apt.is_debian():
        raise ToolError("promtool is needed: install Prometheus")
    succeeds(["apt-get", "update"], timeout=300)
    with tempfile.TemporaryDirectory(prefix="promtool-") as folder:
        Path(folder).chmod(0o755)
        wanted = next(filter(_exists, PACKAGES), PACKAGES[-1])
        download = ["env", f"--chdir={folder}", "apt-get", "download", "--quiet", wanted]
        run(download, what=f"downloading {wanted}", timeout=600)
        (package,) = Path(folder).glob("*.deb")
        run(["dpkg", "-x", str(package), f"{folder}/unpacked"], what="unpacking", timeout=120)
        PATH.parent.mkdir(exist_ok=True)
        shutil.move(f"{folder}/unpacked/usr/bin/promtool", PATH)
    say(f"    unpacked {shown(PATH)}")
    return str(PATH)


def _exists(package: str) -> bool:
    """Tell whether apt knows a package; Debian 12 has none that is called promtool."""
    return succeeds(["apt-cache", "show", "--quiet", package], timeout=60)
