"""An init for any command: signals passed on, orphans reaped, the exit status kept.

The member image runs with it the command that is given instead of the server; it is PID 1 of the
builder image, where it idles when there is no command.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from member_entrypoint import settings
from member_entrypoint.errors import CommandNotRunnableError, EntrypointError
from member_entrypoint.log import Log
from member_entrypoint.pid1.supervisor import TERMINAL_STOPS, Ended, Supervisor

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP})
KILLED = 137
IDLE_STOP_TIMEOUT = 5.0
GUEST_GRACE = 0.5
LOOK_AGAIN = 0.02
BUILDER_STOP_TIMEOUT = 8.0


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


def idle(supervisor: Supervisor) -> int:
    """Reap what comes, until a stop is asked for; then end all that runs here."""
    while supervisor.wait() not in STOP_SIGNALS:
        pass
    deadline = time.monotonic() + IDLE_STOP_TIMEOUT
    _end_guests(deadline)
    supervisor.end_all(deadline)
    return 0


def _end_guests(deadline: float) -> None:
    """Let what `docker exec` runs here end before we do: with PID 1 the kernel kills all the rest.

    Their parent is outside of the container, so they are no descendants of ours. SIGHUP is for
    shells at a terminal, which take no notice of SIGTERM.
    """
    if os.getpid() != 1:
        return  # not a container of our own: those are other people's processes
    for number, seconds in ((signal.SIGTERM, GUEST_GRACE), (signal.SIGHUP, IDLE_STOP_TIMEOUT)):
        until = min(deadline, time.monotonic() + seconds)
        told: set[int] = set()
        while guests := _guests():
            for pid in guests - told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= guests
            if time.monotonic() >= until:
                break
            time.sleep(LOOK_AGAIN)


def _guests() -> set[int]:
    """Return the processes without a parent in this container, zombies left out."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdecimal() and name != "1":
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if parent == b"0" and state not in b"ZX":
                    found.add(int(name))
    return found


def main() -> int:
    """PID 1 of the builder image: run the given command, or idle."""
    supervisor = Supervisor()
    command = sys.argv[1:]
    if not command:
        return idle(supervisor)
    try:
        return run(supervisor, command, settings.environment(), BUILDER_STOP_TIMEOUT)
    except EntrypointError as error:
        Log(descriptor=2).error(str(error))
        return error.status


if __name__ == "__main__":
    raise SystemExit(main())
