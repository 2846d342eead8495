"""Makes orphans: arguments are how many, and how long each lives (seconds)."""

import os
import sys
import time


def main() -> int:
    """Make them, two generations down, and say when the last one is on its own."""
    number, lives = int(sys.argv[1]), float(sys.argv[2])
    for _ in range(number):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                time.sleep(lives)
            os._exit(0)
        os.waitpid(child, 0)
    print("all orphans are made", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
