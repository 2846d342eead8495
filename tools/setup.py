"""Set up a machine for the tests and the demonstration. Quick if nothing is missing.

python3 tools/setup.py            all parts: programs, engine, images, venv
python3 tools/setup.py engine     only the given parts; bench is needed for the benchmark only
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

import apt
import base_images
import engine
from console import ROOT, ToolError, ended, run, say, shown, step, succeeds

VENV = ROOT / ".venv"
STAMP = VENV / "set-up-for"
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")

PROGRAMS = {
    "docker-compose": "docker-compose",
    "dumb-init": "dumb-init",
    "git": "git",
    "ip": "iproute2",
    "iptables": "iptables",
    "make": "make",
    "nsenter": "util-linux",
    "pigz": "pigz",
    "ps": "procps",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "stress-ng": "stress-ng",
    "tini": "tini",
}
"""The programs that the tests run, and the Debian packages that contain them."""


def programs(needed: dict[str, str], *, purpose: str) -> None:
    """Install the packages of the missing programs. Raises ToolError if that fails."""
    missing = [program for program in needed if not _which(program)]
    if not missing:
        say(f"    found {', '.join(needed)}")
        return
    apt.install(sorted({needed[program] for program in missing}), purpose=purpose)
    if "sshd" in missing and Path("/run/systemd/system").is_dir():
        say("    disabling the SSH server of openssh-server; the tests run their own")
        succeeds(["systemctl", "disable", "--now", "ssh.service", "ssh.socket"], timeout=60)
    if still := [program for program in missing if not _which(program)]:
        raise ToolError(f"{purpose} needs {', '.join(still)}, which the packages do not contain")


def virtual_environment() -> None:
    """Make `.venv` with this distribution and its development extras, unless it exists."""
    wanted = _fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        say(f"    found {shown(VENV)}")
        return
    if importlib.util.find_spec("ensurepip") is None:
        apt.install(["python3-venv"], purpose="a virtual environment")
    run([_base_python(), "-m", "venv", "--clear", str(VENV)], what="making .venv", timeout=120)
    run(
        [
            str(VENV / "bin" / "pip"),
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--editable",
            f"{ROOT}[dev]",
        ],
        what="installing into .venv",
        timeout=600,
    )
    STAMP.write_text(wanted)
    say(f"    made {shown(VENV)} with {_base_python()}")


def benchmark() -> None:
    """Install the benchmark's plotting library into `.venv`, unless it is installed."""
    python = str(VENV / "bin" / "python")
    if succeeds([python, "-c", "import matplotlib"]):
        say("    found matplotlib")
        return
    run(
        [
            *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--editable", f"{ROOT}[bench]"),
        ],
        what="installing matplotlib into .venv",
        timeout=600,
    )


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *SBIN)))


def _fingerprint() -> str:
    """Return everything that `.venv` depends on: its path, its Python and its packages."""
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return f"{VENV} {_base_python()} {sys.version} {project}\n"


def _base_python() -> str:
    """Return the Python that `.venv` is made with, even if a virtual environment is active."""
    if sys.prefix == sys.base_prefix:
        return sys.executable
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}"))


def _programs() -> None:
    with step("Programs that the tests run"):
        programs(PROGRAMS, purpose="the test run")


def _engine() -> None:
    with step("The Docker engine"):
        engine.ensure()


def _images() -> None:
    for image in (base_images.MEMBER, base_images.BUILDER):
        with step(f"The base image {image.official}"):
            base_images.ensure(image)


def _venv() -> None:
    with step("The virtual environment"):
        virtual_environment()


def _bench() -> None:
    with step("The plotting library of the benchmark"):
        benchmark()


PARTS = {
    "programs": _programs,
    "engine": _engine,
    "images": _images,
    "venv": _venv,
    "bench": _bench,
}
DEFAULT_PARTS = ("programs", "engine", "images", "venv")
"""The parts that are set up without arguments."""


def _main() -> None:
    wanted = sys.argv[1:] or list(DEFAULT_PARTS)
    if unknown := sorted(set(wanted) - set(PARTS)):
        raise ToolError(f"{', '.join(unknown)}: the parts are {', '.join(PARTS)}")
    begin = time.monotonic()
    for part in wanted:
        PARTS[part]()
    say(f"\nSet up in {time.monotonic() - begin:.1f} s.")


if __name__ == "__main__":
    sys.exit(ended(_main))
