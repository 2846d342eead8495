"""The phases of a build: what it does, how long that took, and what the cache spared it."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime


class Progress:
    """Says when each phase begins and ends, and collects what the summary has."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Take the function that prints a line; the time of the whole build begins now."""
        self._say = say
        self.started = datetime.now().astimezone()
        self._began = time.monotonic()
        self._times: dict[str, float] = {}
        self._cached: Counter[str] = Counter()
        self._fetched: Counter[str] = Counter()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say that a phase begins and, unless it fails, how long it took."""
        self._say(f"{name} ...")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self._times[name] = self._times.get(name, 0) + took
        self._say(f"{name}: {_seconds(took)}")

    def count(self, what: str, *, cached: int = 0, fetched: int = 0) -> None:
        """Note how many of `what` the cache had, and how many had to be fetched or made."""
        self._cached[what] += cached
        self._fetched[what] += fetched

    def summary(self) -> list[str]:
        """Return the lines that tell where the time went, and what the cache had."""
        times = [f"{name} {_seconds(took)}" for name, took in self._times.items()]
        times.append(f"in all {_seconds(time.monotonic() - self._began)}")
        hits = [
            f"{what} {self._cached[what]} of {self._cached[what] + self._fetched[what]}"
            for what in self._cached
            if self._cached[what] + self._fetched[what]
        ]
        return [
            f"time: {', '.join(times)}",
            *([f"from the cache: {', '.join(hits)}"] if hits else []),
        ]


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"
