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
CLUSTER, LEAVE, MEMBERS, TIMES = "cluster", "leave", "members", "times"
OOM_KILLS = "oom-kills"
"""How many processes the kernel had killed for memory when the VM was started."""
JOINS, FAILED_JOINS = "joins", "failed-joins"
RESTARTS = "restarts-"  # and the reason
FAILURES = "failures-"  # and the helper


def add(root: str, name: str, amount: float = 1.0) -> None:
    """Add to a count; `name` is made of the constants above."""
    write(root, name, str(number(root, name) + amount))


def number(root: str, name: str) -> float:
    """Return a count of this life; 0 where nothing was counted, or what no count can be."""
    return state.number(text(root, name))


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


def enter_state(root: str, new: str) -> None:
    """Count the time in the state that ends now, and begin to count that in the state `new`.

    All of it is one file, so that nobody reads a part: a counter must not become smaller.
    """
    now = _now()
    spent = [f"{each} {total!r}" for each, total in _seconds(root, now).items()]
    write(root, TIMES, "\n".join([f"{new} {now!r}", *spent]))


def seconds(root: str) -> dict[str, float]:
    """Return how long this life was in each of the states, in seconds, up to now."""
    return _seconds(root, _now())


def _seconds(root: str, now: float) -> dict[str, float]:
    spent = dict.fromkeys(state.STATES, 0.0)
    if not (life := _life(root)):
        return spent
    first, *lines = text(root, TIMES).splitlines() or [""]
    for name, _, total in (line.partition(" ") for line in lines):
        if name in spent:
            spent[name] = state.number(total)
    current, _, began = first.partition(" ")
    if current in spent and state.number(began):
        since = state.number(began)
    else:
        # The first state lasts since PID 1 started.
        current, since = state.WAITING, int(life.split()[-1]) / os.sysconf("SC_CLK_TCK")
    spent[current] += max(0.0, now - since)
    return spent


def write_members(root: str, numbers: Mapping[str, int]) -> None:
    """Write how many members there are of each kind, if that has changed."""
    value = "\n".join(f"{kind} {count}" for kind, count in numbers.items())
    if value != text(root, MEMBERS):
        write(root, MEMBERS, value)


def members(root: str) -> dict[str, int]:
    """Return how many members there are of each kind, as they were seen last; empty if unknown."""
    lines = [line.partition(" ") for line in text(root, MEMBERS).splitlines()]
    if not all(state.is_count(count) for _, _, count in lines):
        return {}
    return {kind: int(count) for kind, _, count in lines}


def _now() -> float:
    """Return an instant of the clock that /proc counts by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
