"""What all the tools share: steps, commands, and errors that end in one clear line.

The tools run before any virtual environment exists: standard library only.
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

if sys.version_info < (3, 11):  # noqa: UP036 - said before a newer syntax fails obscurely
    sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the checkout."""

TAIL_LINES = 30


class ToolError(Exception):
    """What could not be done, and what to do about it, for the person who asked for it."""


def say(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done, and how long it took once it has worked."""
    say(f"\n==> {title}")
    begin = time.monotonic()
    yield
    say(f"    done in {time.monotonic() - begin:.1f} s")


def succeeds(command: Sequence[str], *, timeout: float = 20) -> bool:
    """Tell whether `command` ends with 0 within `timeout` seconds; its output is dropped."""
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

    `what` is its name in errors, `timeout` is in seconds, `log` is a file that gets a copy of the
    output, `env` is added to the environment.

    Raises ToolError with the end of the output when the command cannot be run, fails, or takes
    longer than `timeout`.
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
        raise ToolError(f"{what}: not done after {timeout:.0f} s: {' '.join(command)}") from error
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout)
    if done.returncode != 0:
        say(indented(done.stdout.splitlines()[-TAIL_LINES:]))
        hint = f"; its whole output is in {shown(log)}" if log is not None else ""
        raise ToolError(f"{what} failed with status {done.returncode}{hint}")
    return done.stdout


def run_live(command: Sequence[str]) -> tuple[int, list[str]]:
    """Run `command`, show its output as it comes, and return its exit status and its lines."""
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
            raise ToolError(f"no output of {command[0]}")
        for line in process.stdout:
            lines.append(line.rstrip())
            say(f"    | {lines[-1]}")
    return process.returncode, lines


def indented(lines: Sequence[str]) -> str:
    """Return `lines` as one text, set off from what the tools say themselves."""
    return "\n".join(f"    | {line.rstrip()}" for line in lines)


def shown(path: Path) -> str:
    """Return `path` as a person in the checkout's folder would write it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def wait_for(condition: Callable[[], bool], *, timeout: float, interval: float = 0.2) -> bool:
    """Wait until `condition` holds, looking every `interval` seconds; False after `timeout`."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep processes, as of a parallel run of the tests, from building the same thing at once."""
    folder = ROOT / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ended(main: Callable[[], None]) -> int:
    """Run a tool's `main` and return its exit status: 0, 1 with one line why, 130 on Ctrl-C."""
    try:
        main()
    except ToolError as error:
        print(f"\nerror: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted", file=sys.stderr, flush=True)
        return 130
    return 0
