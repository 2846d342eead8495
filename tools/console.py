"""Shared code of the tools: steps, commands, and errors that end in one line.

The tools run before a virtual environment exists, so they use the standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if sys.version_info < (3, 11):  # noqa: UP036 - a clear message, not a syntax error
    sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the checkout."""

FAILURE_LINES = 30
"""Lines of the output of a failed command that are printed."""


class ToolError(Exception):
    """An error whose text tells the user what failed and what to do about it."""


def say(text: str = "") -> None:
    """Print a line, without buffering, also into a pipe."""
    print(text, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title, and after success how long the step took."""
    say(f"\n==> {title}")
    begin = time.monotonic()
    yield
    say(f"    done in {time.monotonic() - begin:.1f} s")


def succeeds(command: Sequence[str], *, timeout: float = 20) -> bool:
    """Tell whether `command` ends with status 0 within `timeout` seconds; drop its output."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def run(
    command: Sequence[str],
    *,
    what: str,
    timeout: float = 600,
    log: Path | None = None,
    env: dict[str, str] | None = None,
) -> str:
    """Run `command` without input and return its output, standard error included.

    `what` is the command's name in errors, `timeout` is in seconds, `log` is a file that gets a
    copy of the output, `env` is added to the environment.

    Raises ToolError if the command cannot be run, fails, or takes longer than `timeout`. The last
    lines of the output of a failed command are printed.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError as error:
        raise ToolError(f"{what}: there is no program {command[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{what}: not finished after {timeout:.0f} s: {' '.join(command)}"
        ) from error
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout)
    if done.returncode != 0:
        say(indented(done.stdout.splitlines()[-FAILURE_LINES:]))
        hint = f"; its whole output is in {shown(log)}" if log is not None else ""
        raise ToolError(f"{what} failed with status {done.returncode}{hint}")
    return done.stdout


def run_live(command: Sequence[str]) -> tuple[int, list[str]]:
    """Run `command` and print its output immediately; return its exit status and its lines."""
    lines = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        if process.stdout is None:
            raise ToolError(f"{command[0]} has no output")
        for line in process.stdout:
            lines.append(line.rstrip())
            say(f"    | {lines[-1]}")
    return process.returncode, lines


def indented(lines: Sequence[str]) -> str:
    """Return `lines` as one text, indented, which tells them from the lines of the tools."""
    return "\n".join(f"    | {line.rstrip()}" for line in lines)


def shown(path: Path) -> str:
    """Return `path` relative to the folder of the checkout, if it is in there."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def wait_for(condition: Callable[[], bool], *, timeout: float, interval: float = 0.2) -> bool:
    """Wait until `condition` holds, checked every `interval` s; return False after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process at a time run the block, for example of tests that run in parallel."""
    folder = ROOT / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ended(main: Callable[[], None]) -> int:
    """Run a tool's `main`; return its exit status: 0, 1 after an error, 130 after Ctrl-C."""
    try:
        main()
    except ToolError as error:
        print(f"\nerror: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted", file=sys.stderr, flush=True)
        return 130
    return 0
