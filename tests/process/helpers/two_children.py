"""Waits under our supervisor for the second of two children, then asks for the first, long gone."""

import os
import time

from member_entrypoint.pid1.supervisor import Supervisor


def main() -> int:
    """Say how each ended."""
    supervisor = Supervisor()
    first = supervisor.spawn(["sh", "-c", "exit 1"], dict(os.environ))
    second = supervisor.spawn(["sh", "-c", "sleep 0.2; exit 2"], dict(os.environ))
    for pid in (second, first):
        ended = supervisor.wait_for(pid, time.monotonic() + 10)
        print(ended.how if ended else "not at all", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
