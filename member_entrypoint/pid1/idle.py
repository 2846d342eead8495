"""PID 1 of the builder image: runs the given command, or idles.

While it idles, it reaps what `docker exec` leaves behind.
"""

import contextlib
import os
import signal
import sys
import time

from member_entrypoint import environment, settings
from member_entrypoint.errors import EntrypointError
from member_entrypoint.pid1 import command
from member_entrypoint.pid1.supervisor import STOP_SIGNALS, Supervisor

# All in seconds.
IDLE_STOP_TIMEOUT = 5.0
BUILDER_STOP_TIMEOUT = 8.0
GUEST_GRACE = 0.5
GUEST_CHECK_INTERVAL = 0.02


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
            time.sleep(GUEST_CHECK_INTERVAL)


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
    variables: dict[str, str] = {}
    try:
        supervisor = Supervisor()
        arguments = sys.argv[1:]
        if not arguments:
            return idle(supervisor)
        variables = environment.variables()
        return command.run(supervisor, arguments, variables, BUILDER_STOP_TIMEOUT)
    except EntrypointError as error:
        settings.log_of(variables, descriptor=2).error(str(error))
        return error.status


if __name__ == "__main__":
    raise SystemExit(main())
