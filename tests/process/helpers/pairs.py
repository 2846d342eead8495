"""Runs children under our supervisor that end in the same instant as an orphan of theirs.

Its argument says how many, one after the other.
"""

import os
import sys

from member_entrypoint.supervisor import Ended, Supervisor

PAIR = "(sleep 0.01 &); sleep 0.01; exit 3"


def main() -> int:
    """Say how each was seen to end."""
    supervisor = Supervisor()
    for _ in range(int(sys.argv[1])):
        supervisor.spawn(["sh", "-c", PAIR], dict(os.environ))
        while not isinstance(supervisor.wait(), Ended):
            pass
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
