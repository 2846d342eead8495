"""Set up a machine for the tests and the demonstration. Quick if nothing is missing.

python3 tools/setup.py            all parts: programs, rebar3, promtool, engine, images, venv
python3 tools/setup.py engine     only the given parts; bench and mutants are needed for these only
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import apt
import base_images
import engine
import promtool
import rebar3
from console import ROOT, ToolError, ended, run, say, shown, step, succeeds

VENV = ROOT / ".venv"
PYTHON = str(VENV / "bin" / "python")
STAMP = VENV / "set-up-for"
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")

PROGRAMS = {
    "docker-compose": "docker-compose",
    "dumb-init": "dumb-init",
    "erl": "erlang-base",
    "faketime": "faketime",
    "git": "git",
    "ip": "iproute2",
    "iptables": "iptables",
    "make": "make",
    "mkfs.ext4": "e2fsprogs",
    "nsenter": "util-linux",
    "cc": "gcc",
    "openssl": "openssl",
    "pigz": "pigz",
    "ps": "procps",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "stress-ng": "stress-ng",
    "tini": "tini",
}
"""The programs that the tests run, and the Debian packages that contain them."""
ERLANG_APPLICATIONS = {"mnesia": "erlang-mnesia", "ssl": "erlang-ssl"}
"""Those that the nodes of the tests need, and their packages."""


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


def erlang_applications(needed: dict[str, str], *, purpose: str) -> None:
    """Install the packages of the missing applications of Erlang/OTP; raises ToolError."""
    count = f"length([A || A <- [{','.join(needed)}], is_tuple(code:lib_dir(A))])"
    check = f"halt({count})."
    if succeeds(["erl", "-noshell", "-boot", "no_dot_erlang", "-eval", check], timeout=60):
        say(f"    found Erlang's {', '.join(needed)}")
        return
    apt.install(sorted(needed.values()), purpose=purpose)


def virtual_environment() -> None:
    """Make `.venv` with this distribution and the group `dev` of pyproject, unless it is there."""
    wanted = _fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        say(f"    found {shown(VENV)}")
        return
    if importlib.util.find_spec("ensurepip") is None:
        apt.install(["python3-venv"], purpose="a virtual environment")
    run([_base_python(), "-m", "venv", "--clear", str(VENV)], what="making .venv", timeout=120)
    _pip_install("--editable", str(ROOT), *_group("dev"))
    STAMP.write_text(wanted)
    say(f"    made {shown(VENV)} with {_base_python()}")


def benchmark() -> None:
    """Add to `.venv` what the benchmark draws with, unless it is there."""
    if succeeds([PYTHON, "-c", "import matplotlib"]):
        say("    matplotlib is there")
        return
    _pip_install(*_group("bench"))


def mutation() -> None:
    """Add to `.venv` what changes the code for `make mutants`, unless it is there."""
    if succeeds([PYTHON, "-c", "import mutmut"]):
        say("    mutmut is there")
        return
    _pip_install(*_group("mutants"))


def _group(name: str) -> list[str]:
    """Return the requirements of a dependency group; the pip of Debian 12 has no `--group`."""
    requirements: list[str] = _pyproject()["dependency-groups"][name]
    return requirements


def _pyproject() -> dict[str, Any]:
    import tomllib  # Python 3.11; `console` reports an older one before this runs

    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def _pip_install(*arguments: str) -> None:
    run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments],
        what="installing into .venv",
        timeout=600,
    )


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *SBIN)))


def _fingerprint() -> str:
    """Return what `.venv` depends on: where it is, its Python, and what goes into it."""
    pyproject = _pyproject()
    tables = {name: pyproject[name] for name in ("build-system", "project", "dependency-groups")}
    text = json.dumps([tables, pyproject["tool"]["setuptools"]], sort_keys=True)
    project = hashlib.sha256(text.encode()).hexdigest()
    return f"{VENV} {_base_python()} {sys.version} {project}\n"


def _base_python() -> str:
    """Return the Python that `.venv` is made with, even if a virtual environment is active."""
    if sys.prefix == sys.base_prefix:
        return sys.executable
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}"))


def _programs() -> None:
    with step("Programs that the tests run"):
        programs(PROGRAMS, purpose="the test run")
        erlang_applications(ERLANG_APPLICATIONS, purpose="the test run")


def _rebar3() -> None:
    with step("rebar3 for real builds"):
        rebar3.ensure()


def _promtool() -> None:
    with step("promtool for the alert rules"):
        promtool.ensure()


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


def _mutants() -> None:
    with step("The mutation tester"):
        mutation()


PARTS = {
    "programs": _programs,
    "rebar3": _rebar3,
    "promtool": _promtool,
    "engine": _engine,
    "images": _images,
    "venv": _venv,
    "bench": _bench,
    "mutants": _mutants,
}
DEFAULT_PARTS = ("programs", "rebar3", "promtool", "engine", "images", "venv")
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
