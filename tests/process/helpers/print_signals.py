"""Says the number of each signal that it gets; ends at the one that is its argument."""

import signal
import sys

WATCHED = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}


def main() -> int:
    """Print numbers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    print("ready", flush=True)
    last = int(sys.argv[1])
    number = 0
    while number != last:
        number = signal.sigwait(WATCHED)
        print(f"got {number}.", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
