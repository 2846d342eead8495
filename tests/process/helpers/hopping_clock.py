"""Our program with a wall clock that hops by an hour, back or forth, each time it is read."""

import itertools
import time

from member_entrypoint.__main__ import main

_real_time = time.time
_real_time_ns = time.time_ns
_real_gettime = time.clock_gettime
_hops = itertools.cycle((3600.0, -3600.0, 86400.0, -86400.0))


def _gettime(clock: int) -> float:
    hop = next(_hops) if clock == time.CLOCK_REALTIME else 0.0
    return _real_gettime(clock) + hop


time.time = lambda: _real_time() + next(_hops)
time.time_ns = lambda: _real_time_ns() + int(next(_hops) * 1e9)
time.clock_gettime = _gettime

if __name__ == "__main__":
    raise SystemExit(main())
