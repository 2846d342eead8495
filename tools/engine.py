"""A Docker engine: the one that answers, else one installed from Debian's packages and started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import apt
from console import ToolError, run, say, wait_for

LOG = Path("/var/log/dockerd.log")
START_TIMEOUT = 60.0
LAST_WORDS = 5
PID_FILES = {
    "dockerd": Path("/run/docker.pid"),
    "containerd": Path("/run/docker/containerd/containerd.pid"),
}


def version() -> str | None:
    """Return the version of the engine that answers, None if none does."""
    return _asked()[0]


def ensure() -> str:
    """Return the version of an engine that answers; install and start one if there is none.

    Raises ToolError, with what to do, where that cannot be done here.
    """
    answer, problem = _asked()
    if answer is not None:
        say(f"    a Docker engine answers, version {answer}")
        return answer
    _refuse_where_it_is_not_ours_to_start(problem)
    say("    no Docker engine answers")
    _install()
    _start()
    answer, problem = _asked()
    if answer is None:
        raise ToolError(f"the Docker engine was started, and does not answer: {problem}")
    say(f"    the Docker engine was started, version {answer}")
    return answer


def _asked() -> tuple[str | None, str]:
    """Return the engine's version, or None and what the client says."""
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


def _refuse_where_it_is_not_ours_to_start(problem: str) -> None:
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
        # Without apparmor_parser no container starts on a kernel that has AppArmor switched on.
        if _content(Path("/sys/module/apparmor/parameters/enabled")).startswith("Y"):
            packages.append("apparmor")
        apt.install(packages, purpose="the Docker engine")
    if shutil.which("docker") is None:
        # A package of its own since Debian 13.
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
        # Before it ends it says why, and after that it may say a little more.
        why = next((line for line in last if line.startswith("failed to start")), "")
        raise ToolError(f"dockerd {state} and does not answer; see {LOG}. {why}".rstrip(". "))


def _remove_stale(path: Path, program: str) -> None:
    """Remove the pid file of a daemon that was killed, whose pid may be another process by now."""
    pid = _content(path).strip()
    if pid and _content(Path(f"/proc/{pid}/comm")).strip() != program:
        path.unlink(missing_ok=True)


def _content(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
