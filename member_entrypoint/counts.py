"""What is noted of the life of a container: joins, restarts, failures, times, a farewell.

Each is a file in `run/mongooseim` with a line that names the life: what an earlier life of the same
container left behind counts for nothing, and need not be removed on the way to the VM's start. Each
file has one writer at a time. That something cannot be counted stops nobody.
"""

import os
import time
from collections.abc import Mapping

from member_entrypoint import state

PREFIX = "run/mongooseim/count-"
CLUSTER, LEAVE, MEMBERS, SINCE = "cluster", "leave", "members", "since"
JOINS, FAILED_JOINS = "joins", "failed-joins"
RESTARTS = "restarts-"  # and the reason
FAILURES = "failures-"  # and the helper
SECONDS = "seconds-"  # and the state


def add(root: str, name: str, amount: float = 1.0) -> None:
    """Add to a count; `name` is made of the constants above."""
    write(root, name, str(number(root, name) + amount))


def number(root: str, name: str) -> float:
    """Return a count of this life; 0 where nothing was counted."""
    try:
        return float(text(root, name))
    except ValueError:
        return 0.0


def write(root: str, name: str, value: str) -> None:
    """Write something about this life, instead of what was written before."""
    try:
        state.note(root, PREFIX + name, f"{_life(root)}\n{value}")
    except OSError:
        return


def text(root: str, name: str) -> str:
    """Return what was written about this life; empty where nothing was."""
    life, _, value = state.read(os.path.join(root, PREFIX + name)).partition("\n")
    return value if life == _life(root) else ""


def _life(root: str) -> str:
    """Return what tells this life from all others: PID 1, and when it was started."""
    return " ".join(state.processes(root).get("init", ()))


def leave_state(root: str) -> None:
    """Count the time in the state that ends now; to be called before the next one is noted."""
    former = _state(root)
    add(root, SECONDS + former, _lasts(root))
    write(root, SINCE, str(_now()))


def seconds(root: str) -> dict[str, float]:
    """Return how long this life was in each of the states, in seconds, up to now."""
    spent = {each: number(root, SECONDS + each) for each in state.STATES}
    if _life(root):
        spent[_state(root)] += _lasts(root)
    return spent


def write_members(root: str, numbers: Mapping[str, int]) -> None:
    """Write how many members there are of each kind, if that has changed."""
    value = "\n".join(f"{kind} {count}" for kind, count in numbers.items())
    if value != text(root, MEMBERS):
        write(root, MEMBERS, value)


def members(root: str) -> dict[str, int]:
    """Return how many members there are of each kind, as they were seen last."""
    lines = (line.partition(" ") for line in text(root, MEMBERS).splitlines())
    return {kind: int(count) for kind, _, count in lines}


def _state(root: str) -> str:
    now = state.read(os.path.join(root, state.STATE_FILE))
    return now if now in state.STATES else state.WAITING


def _lasts(root: str) -> float:
    """Return for how long the state of now has lasted, in seconds: at first since PID 1 started."""
    began = number(root, SINCE)
    if not began:
        _, ticks = state.processes(root).get("init", ("", ""))
        began = int(ticks or 0) / os.sysconf("SC_CLK_TCK")
    return max(0.0, _now() - began)


def _now() -> float:
    """Return an instant of the clock that /proc counts by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
