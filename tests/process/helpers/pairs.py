"""Runs children under our supervisor that end in the same instant as an orphan of theirs.

Its argument says how many, one after the other.
"""

import os
import sys

from member_entrypoint.pid1.supervisor import Ended, Supervisor

PAIR = "(sleep 0.01 &); sleep 0.01; exit 3"


def main() -> int:
    """Say how each was seen to end."""
    supervisor = Supervisor()
    for _ in range(int(sys.argv[1])):
        child = supervisor.spawn(["sh", "-c", PAIR], dict(os.environ))
        while not isinstance(event := supervisor.wait(), Ended):
            pass
        print("child" if event.pid == child else "another", event.how, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
