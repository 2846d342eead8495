"""Write down when each SIGUSR1 came: CLOCK_MONOTONIC in nanoseconds, one line of 20 bytes each.

stamp_signals.py FILE; the file is there when signals count.
"""

import os
import signal
import sys
import time


def main() -> None:
    """Take signals until SIGTERM comes."""
    wanted = {signal.SIGUSR1, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    with open(sys.argv[1], "wb", buffering=0) as file:
        while signal.sigwait(wanted) == signal.SIGUSR1:
            file.write(b"%019d\n" % time.monotonic_ns())
    os._exit(0)


if __name__ == "__main__":
    main()
