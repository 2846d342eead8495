"""Unpacks rebar3 with its Erlang/OTP from Debian's packages, for tests of real builds.

They are not installed: rebar3's would bring a graphical toolkit, and Erlang's starts a daemon.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import apt
from console import ROOT, ToolError, run, say, shown, succeeds

FOLDER = ROOT / ".cache" / "rebar3"
PATH = FOLDER / "usr" / "lib" / "erlang" / "bin"
"""The folder with `erl`, `erlc`, `escript` and `rebar3`."""
APPLICATIONS = (
    *("asn1", "base", "common-test", "crypto", "dev", "dialyzer", "edoc", "eunit", "inets"),
    *(
        "mnesia",
        "parsetools",
        "public-key",
        "runtime-tools",
        "ssl",
        "syntax-tools",
        "tools",
        "xmerl",
    ),
)
PACKAGES = ("rebar3", *(f"erlang-{name}" for name in APPLICATIONS))
ORIGINAL = "/usr/lib/erlang"


def ensure() -> None:
    """Unpack the packages into `.cache`, unless they are there. Raises ToolError."""
    if (PATH / "rebar3").exists():
        say(f"    found {shown(PATH)}")
        return
    if not apt.is_debian():
        raise ToolError("rebar3 for the tests comes from Debian's packages: run them on Debian")
    succeeds(["apt-get", "update"], timeout=300)
    with tempfile.TemporaryDirectory(prefix="rebar3-") as folder:
        Path(folder).chmod(0o755)
        say(f"    downloading {' '.join(PACKAGES)}")
        download = ["env", f"--chdir={folder}", "apt-get", "download", "--quiet", *PACKAGES]
        run(download, what="downloading rebar3", timeout=600)
        unpacked = Path(folder, "unpacked")
        for package in sorted(Path(folder).glob("*.deb")):
            run(["dpkg", "-x", str(package), str(unpacked)], what="unpacking", timeout=120)
        # The script has the folder in which the package would be installed.
        script = unpacked / "usr" / "lib" / "erlang" / "bin" / "erl"
        root = str(FOLDER / "usr" / "lib" / "erlang")
        script.write_text(script.read_text().replace(f"ROOTDIR={ORIGINAL}", f"ROOTDIR={root}"))
        shutil.copy(unpacked / "usr" / "bin" / "rebar3", script.parent)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.parent.mkdir(exist_ok=True)
        shutil.move(unpacked, FOLDER)
    say(f"    unpacked into {shown(FOLDER)}")
