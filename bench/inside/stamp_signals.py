"""Write when each SIGUSR1 arrives: CLOCK_MONOTONIC in nanoseconds, a line of 20 bytes for each.

stamp_signals.py FILE; the file exists as soon as signals are recorded.
"""

import os
import signal
import sys
import time


def main() -> None:
    """Record signals until SIGTERM arrives."""
    wanted = {signal.SIGUSR1, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    with open(sys.argv[1], "wb", buffering=0) as file:
        while signal.sigwait(wanted) == signal.SIGUSR1:
            file.write(b"%019d\n" % time.monotonic_ns())
    os._exit(0)


if __name__ == "__main__":
    main()
