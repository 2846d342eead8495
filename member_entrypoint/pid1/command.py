"""Runs a command to its end: signals passed on, orphans reaped, the exit status kept.

This is the command that is given instead of the server, or, in the builder image, instead of
idling.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence

from member_entrypoint.errors import CommandNotRunnableError
from member_entrypoint.pid1.supervisor import KILLED, TERMINAL_STOPS, Ended, Supervisor


def run(
    supervisor: Supervisor,
    command: Sequence[str],
    environment: Mapping[str, str],
    stop_timeout: float,
) -> int:
    """Run a command to its end, and return the status that a shell would give.

    Signals go to its process group; those that stop a process from the terminal arrive as SIGSTOP,
    since the group is the first of its session and the kernel ignores them there. After SIGTERM it
    has `stop_timeout` seconds, then all is killed; so has, after its end, what it leaves behind.
    Raises `EntrypointError` with the status of a shell if it cannot be started.
    """
    try:
        os.getcwd()
    except OSError:
        raise CommandNotRunnableError(
            f"{command[0]}: cannot be run, the working directory no longer exists"
        ) from None
    child = supervisor.spawn(command, environment, terminal=True)
    deadline = None
    while True:
        event = supervisor.wait(deadline)
        if isinstance(event, Ended):
            if event.pid == child:
                supervisor.end_all(deadline or time.monotonic() + stop_timeout)
                return event.code
        elif event is not None:
            if event == signal.SIGTERM and deadline is None:
                deadline = time.monotonic() + stop_timeout
            number = signal.SIGSTOP if event in TERMINAL_STOPS else event
            supervisor.send(number, child, group=True)
        elif deadline is not None:
            supervisor.end_all(deadline)
            killed = supervisor.wait_for(child, deadline)
            return killed.code if killed else KILLED
