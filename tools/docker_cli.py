"""The docker command."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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


def follow(enough: Callable[[str], bool], *arguments: str, timeout: float) -> None:
    """Run a docker command until all that it has printed is `enough`, or it or the time ends.

    So one command waits where many would ask: each takes 50 ms of CPU, and the engine's time.
    """
    deadline = time.monotonic() + timeout
    command = ["docker", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        if process.stdout is None:
            raise DockerError(f"docker {' '.join(arguments)} has no output")
        output = process.stdout.fileno()
        printed = b""
        try:
            while not enough(printed.decode(errors="replace")) and _readable(output, deadline):
                more = os.read(output, 1 << 16)
                if not more:
                    break
                printed += more
        finally:
            process.kill()


def _readable(descriptor: int, deadline: float) -> bool:
    """Wait until something can be read; return False after the deadline."""
    left = max(0.0, deadline - time.monotonic())
    return bool(select.select([descriptor], [], [], left)[0])
