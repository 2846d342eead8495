"""A copy of our program that signals reach before it has a session of its own."""

import os
import signal
import sys
import time

from member_entrypoint.pid1.supervisor import Supervisor


def main() -> int:
    """Say how the copy ended."""
    begin_session = os.setsid

    def signalled_before() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        begin_session()

    os.setsid = signalled_before
    supervisor = Supervisor()
    pid = supervisor.fork("early", lambda: 7, dict(os.environ))
    ended = supervisor.wait_for(pid, time.monotonic() + 10)
    sys.stdout.write(f"{ended.how if ended else 'not at all'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
