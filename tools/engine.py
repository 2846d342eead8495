"""Provides a Docker engine: a running one, else one that is installed from Debian packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import apt
from console import ToolError, run, say, wait_for

LOG = Path("/var/log/dockerd.log")
START_TIMEOUT = 60.0
"""Seconds."""
LAST_WORDS = 5
"""Lines at the end of the daemon's log that may say why it ended."""
PID_FILES = {
    "dockerd": Path("/run/docker.pid"),
    "containerd": Path("/run/docker/containerd/containerd.pid"),
}


def version() -> str | None:
    """Return the version of the running engine; None if none answers."""
    return _query()[0]


def ensure() -> str:
    """Return the version of the running engine; install and start one if none answers.

    Raises ToolError, which says what to do, if that is impossible here.
    """
    answer, problem = _query()
    if answer is not None:
        say(f"    a Docker engine answers, version {answer}")
        return answer
    _check_that_we_may_start_it(problem)
    say("    no Docker engine answers")
    _install()
    _start()
    answer, problem = _query()
    if answer is None:
        raise ToolError(f"the Docker engine has been started, but does not answer: {problem}")
    say(f"    started the Docker engine, version {answer}")
    return answer


def _query() -> tuple[str | None, str]:
    """Return the engine's version, or None and the client's error message."""
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except FileNotFoundError:
        return None, "there is no docker command"
    except subprocess.TimeoutExpired:
        return None, "no answer within 20 s"
    if done.returncode == 0 and done.stdout.strip():
        return done.stdout.strip(), ""
    return None, done.stderr.strip() or "no answer"


def _check_that_we_may_start_it(problem: str) -> None:
    if "permission denied" in problem.lower():
        raise ToolError(
            "there is a Docker engine, but this user may not use it: run as root, or add the user"
            f" to the group docker ({problem})"
        )
    if host := os.environ.get("DOCKER_HOST"):
        raise ToolError(f"no Docker engine answers at DOCKER_HOST={host}: {problem}")
    if not apt.is_debian():
        raise ToolError(
            "no Docker engine answers: install Docker Engine or Docker Desktop (see"
            " https://docs.docker.com/engine/install/), start it, and try again"
        )
    if not apt.is_root():
        raise ToolError(
            "no Docker engine answers: run this once as root, or"
            " `apt-get install docker.io` as root, and try again"
        )


def _install() -> None:
    if shutil.which("dockerd") is None:
        packages = ["docker.io", "iptables", "ca-certificates"]
        # With AppArmor enabled in the kernel, containers need apparmor_parser to start.
        if _content(Path("/sys/module/apparmor/parameters/enabled")).startswith("Y"):
            packages.append("apparmor")
        apt.install(packages, purpose="the Docker engine")
    if shutil.which("docker") is None:
        # In Debian 13 and newer this is a separate package.
        apt.install(["docker-cli"], purpose="the Docker engine")


def _start() -> None:
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "docker"], what="starting the Docker engine", timeout=120)
        wait_for(lambda: version() is not None, timeout=START_TIMEOUT)
        return
    for program, path in PID_FILES.items():
        _remove_stale(path, program)
    say(f"    starting dockerd in the background, its log is {LOG}")
    with LOG.open("ab") as log:
        daemon = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_for(lambda: version() is not None or daemon.poll() is not None, timeout=START_TIMEOUT)
    if version() is None:
        state = "is running" if daemon.poll() is None else f"ended with {daemon.returncode}"
        last = _content(LOG).splitlines()[-LAST_WORDS:]
        # The reason is followed by other lines.
        why = next((line for line in last if line.startswith("failed to start")), "")
        raise ToolError(f"dockerd {state} and does not answer; see {LOG}. {why}".rstrip(". "))


def _remove_stale(path: Path, program: str) -> None:
    """Remove the pid file of a killed daemon, because another process may have its pid."""
    pid = _content(path).strip()
    if pid and _content(Path(f"/proc/{pid}/comm")).strip() != program:
        path.unlink(missing_ok=True)


def _content(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
