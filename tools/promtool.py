"""Unpacks promtool from Debian's package of Prometheus, for the tests of the alert rules.

It is not installed: that would start a server.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import apt
from console import ROOT, ToolError, run, say, shown, succeeds

PATH = ROOT / ".cache" / "promtool"
"""The program."""
PACKAGE = "prometheus"


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
        download = ["env", f"--chdir={folder}", "apt-get", "download", "--quiet", PACKAGE]
        run(download, what=f"downloading {PACKAGE}", timeout=600)
        (package,) = Path(folder).glob("*.deb")
        run(["dpkg", "-x", str(package), f"{folder}/unpacked"], what="unpacking", timeout=120)
        PATH.parent.mkdir(exist_ok=True)
        shutil.move(f"{folder}/unpacked/usr/bin/promtool", PATH)
    say(f"    unpacked {shown(PATH)}")
    return str(PATH)
