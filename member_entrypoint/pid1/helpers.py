"""The helper processes of PID 1: what takes time, or needs large libraries, is done by them.

They may block, fail or be killed at any moment; PID 1 starts them, watches them and ends them.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from member_entrypoint.errors import (
    ClusteringError,
    ConfigurationError,
    EntrypointError,
    PartitionError,
    RemovedError,
    StartError,
    TryAgainError,
)
from member_entrypoint.log import Log
from member_entrypoint.pid1 import init
from member_entrypoint.pid1.supervisor import Ended, Supervisor

INTERNAL_ERROR = 70
LONGEST_PAUSE = 60.0
PARTITIONED = PartitionError.status
# What our own helpers end with once they have said why.
EXPLAINED = {
    error.status
    for error in (
        ClusteringError,
        ConfigurationError,
        PartitionError,
        RemovedError,
        StartError,
        TryAgainError,
    )
}


class HelperFailedError(EntrypointError):
    """A helper ended badly; the status of the whole program is what it ended with."""

    def __init__(self, command: Sequence[str], ended: Ended) -> None:
        """Take what was run and how it ended; the text is empty if the helper has said why."""
        ours = command[0] == sys.executable
        explained = ours and ended.code in EXPLAINED
        name = " ".join(command[2 if ours else 0 :])
        super().__init__("" if explained else f"{name} failed: {ended.how}")
        self.status = ended.code if ended.code < 128 else INTERNAL_ERROR  # noqa: PLR2004


STOPPED_EARLY = "stopped before MongooseIM was started"


class StopRequestedError(EntrypointError):
    """A stop was asked for when there was no VM yet."""

    status = 0


def worker(task: str, number: float) -> list[str]:
    """Return the command of a helper of ours: a task of `worker`, and its number."""
    return [sys.executable, "-I", "-m", "member_entrypoint.tasks", task, str(number)]


def run_helper(
    supervisor: Supervisor,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    capture: bool = False,
    grace: float = 0.0,
) -> str:
    """Run a helper to its end, and return what it printed if that is to be captured.

    Raises `HelperFailedError` if it fails, `StopRequestedError` if a stop is asked for: at once, or
    when it has ended after SIGTERM, for which it has `grace` seconds.
    """
    reading, writing = os.pipe() if capture else (-1, -1)
    helper = supervisor.spawn(command, environment, output=writing if capture else None)
    if capture:
        os.close(writing)
    while True:
        event = supervisor.wait()
        if isinstance(event, Ended) and event.pid == helper:
            break
        if event in init.STOP_SIGNALS:
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


def accompany(  # noqa: PLR0913 - what there is to say about a helper
    supervisor: Supervisor,
    log: Log,
    environment: Mapping[str, str],
    command: Sequence[str],
    purpose: str,
    *,
    pause: float = 0.0,
) -> None:
    """Run a helper beside the server, which begins its work after `pause` seconds.

    When it fails, another one takes its place; the server does not depend on it.
    """
    began = time.monotonic()

    def again(ended: Ended) -> bool:
        if ended.code == PARTITIONED:
            return False
        if ended.status != 0:
            lived = time.monotonic() - began - pause
            longer = 0.0 if lived > LONGEST_PAUSE else min(max(1.0, 2 * pause), LONGEST_PAUSE)
            text = f"what {purpose} has ended, starting it anew"
            log.warning(text, how=ended.how, after_seconds=longer)
            accompany(supervisor, log, environment, command, purpose, pause=longer)
        return True

    try:
        supervisor.spawn([*command, str(pause)], environment, on_end=again)
    except EntrypointError as error:
        log.error(f"nothing {purpose}: {error}")
