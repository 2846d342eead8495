"""The docker command."""

from __future__ import annotations

import subprocess

COMMAND_TIMEOUT = 60.0
"""Seconds that a docker command may take, unless it is given more."""


class DockerError(Exception):
    """A docker command failed, or something did not happen in time."""


def docker(*arguments: str, timeout: float = COMMAND_TIMEOUT) -> str:
    """Run a docker command and return its standard output, without the last newline."""
    done = docker_result(*arguments, timeout=timeout)
    if done.returncode != 0:
        raise DockerError(
            f"docker {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout.rstrip("\n")


def docker_result(
    *arguments: str, timeout: float = COMMAND_TIMEOUT, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a docker command and return its result, whatever its status."""
    try:
        return subprocess.run(
            ["docker", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DockerError(f"docker {' '.join(arguments)}: not done after {timeout} s") from error
