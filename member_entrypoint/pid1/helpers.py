"""The helper processes of PID 1: they do what takes time or needs large libraries.

A helper may block, fail or be killed at any moment; PID 1 starts it, watches it and ends it. Our
own helpers are copies of PID 1, or do one of the tasks in `member_entrypoint.tasks`.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from member_entrypoint import state
from member_entrypoint.errors import (
    ClusteringError,
    ConfigurationError,
    EntrypointError,
    ExplainedError,
    PartitionError,
    RemovedError,
    StartError,
    TooEarlyError,
    TryAgainError,
)
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.log import Log
from member_entrypoint.pid1.supervisor import STOP_SIGNALS, Ended, Supervisor

INTERNAL_ERROR = EntrypointError.status
AGAIN_AND_AGAIN = 3
LONGEST_PAUSE = 60.0  # seconds before a helper that fails again is started again
PARTITIONED = PartitionError.status
# The statuses of helpers of our own that have logged the reason.
EXPLAINED = {
    error.status
    for error in (
        ClusteringError,
        ConfigurationError,
        ExplainedError,
        PartitionError,
        RemovedError,
        StartError,
        TooEarlyError,
        TryAgainError,
    )
}


class Copy(NamedTuple):
    """A helper that is a copy of PID 1: what it does in one word, and the work itself.

    It starts without an interpreter and imports, and shares the memory of PID 1 with it. The work
    returns the exit status.
    """

    name: str
    work: Callable[[], int]


class HelperFailedError(EntrypointError):
    """A helper ended badly; the status of the whole program is what it ended with."""

    def __init__(self, helper: Sequence[str] | Copy, ended: Ended) -> None:
        """Take what was run and how it ended; the text is empty if the helper has logged why."""
        if isinstance(helper, Copy):
            ours, name = True, f"the helper {helper.name!r}"
        else:
            ours = helper[0] == sys.executable
            name = f"the helper {helper[4]!r}" if ours else " ".join(helper)
        explained = ours and ended.code in EXPLAINED
        super().__init__("" if explained else f"{name} failed: {ended.how}")
        self.status = ended.code if ended.code < 128 else INTERNAL_ERROR  # noqa: PLR2004


STOPPED_EARLY = "stopped before MongooseIM was started"


class StopRequestedError(EntrypointError):
    """A stop was asked for when there was no VM yet."""

    status = 0


def task(name: str, **arguments: object) -> list[str]:
    """Return the command of a helper that does the task `name` with these arguments."""
    words = [f"{key}={value}" for key, value in arguments.items()]
    return [sys.executable, "-I", "-m", "member_entrypoint.tasks", name, *words]


def start_helper(
    supervisor: Supervisor,
    helper: Sequence[str] | Copy,
    environment: Mapping[str, str],
    output: int | None = None,
) -> int:
    """Start a helper and return its pid; `output` is a descriptor for what a program prints."""
    if isinstance(helper, Copy):
        return supervisor.fork(helper.name, helper.work, environment)
    return supervisor.spawn(helper, environment, output=output)


def run_helper(
    supervisor: Supervisor,
    command: Sequence[str] | Copy,
    environment: Mapping[str, str],
    *,
    capture: bool = False,
    grace: float = 0.0,
) -> str:
    """Run a helper to its end; with `capture`, return what it printed, else an empty string.

    Raises `HelperFailedError` if it fails. Raises `StopRequestedError` if a stop is requested: at
    once, or after the helper has had `grace` seconds to end by SIGTERM.
    """
    reading, writing = os.pipe() if capture else (-1, -1)
    helper = start_helper(supervisor, command, environment, writing if capture else None)
    if capture:
        os.close(writing)
    while True:
        event = supervisor.wait()
        if isinstance(event, Ended) and event.pid == helper:
            break
        if event in STOP_SIGNALS:
            deadline = time.monotonic() + grace
            if grace:
                # Itself and what it runs now, but not what it starts to clean up after itself.
                supervisor.send(signal.SIGTERM, helper, group=True)
                supervisor.wait_for(helper, deadline)
            supervisor.end_all(deadline)
            raise StopRequestedError(STOPPED_EARLY)
    if event.status != 0:
        raise HelperFailedError(command, event)
    if not capture:
        return ""
    with open(reading, encoding="utf-8", errors="replace") as file:
        return file.read()


class Helper(NamedTuple):
    """A helper that runs beside the server: what it is, what it does in words, and for which root.

    `root` is the folder in which its failures are noted.
    """

    copy: Copy
    purpose: str
    root: str


class Failure(NamedTuple):
    """What happened to a helper, how, which in a row this is, and the seconds to the next try."""

    what: str
    how: str
    times: int
    pause: float


def keep_helper(  # noqa: PLR0913 - who, where, and what came before
    supervisor: Supervisor,
    log: Log,
    environment: Mapping[str, str],
    helper: Helper,
    *,
    pause: float = 0.0,
    failures: int = 0,
) -> None:
    """Run a helper beside the server.

    When it fails, or cannot be started, it is started again after a pause, longer than `pause`,
    which came before this start; the server does not depend on it. What fails again and again,
    `failures` times before, says so once, and is noted for the metrics.
    """
    began = time.monotonic()

    def start_again(what: str, how: str) -> None:
        recovered = time.monotonic() - began > LONGEST_PAUSE
        longer = 0.0 if recovered else min(max(1.0, 2 * pause), LONGEST_PAUSE)
        count = 1 if recovered else failures + 1
        # Also where PID 1 may open no file, import nothing, or has no memory.
        with contextlib.suppress(Exception):
            _say_failure(log, helper, Failure(what, how, count, longer))

        def start() -> None:
            keep_helper(supervisor, log, environment, helper, pause=longer, failures=count)

        supervisor.call_at(time.monotonic() + longer, start)

    def on_end(ended: Ended) -> bool:
        if ended.code == PARTITIONED:
            return False
        if ended.status != 0:
            start_again("has ended", ended.how)
        return True

    try:
        supervisor.fork(helper.copy.name, helper.copy.work, environment, on_end=on_end)
    except EntrypointError as error:
        start_again("cannot be started", str(error))


def _say_failure(log: Log, helper: Helper, failure: Failure) -> None:
    """Count a failure, and log it; those after `AGAIN_AND_AGAIN` are only noted."""
    from member_entrypoint import counts  # no start needs it

    counts.add(helper.root, counts.FAILURES + helper.copy.name)
    if failure.times < AGAIN_AND_AGAIN:
        text = f"the helper that {helper.purpose} {failure.what}, starting it again"
        log.warning(text, how=failure.how, after_seconds=failure.pause)
        return
    if failure.times == AGAIN_AND_AGAIN:
        text = f"the helper that {helper.purpose} fails again and again, so nobody does that now"
        log.error(text, how=failure.how, tried_every_seconds=LONGEST_PAUSE)
    with contextlib.suppress(OSError):
        state.note_failing(helper.root, helper.copy.name, time.monotonic())
