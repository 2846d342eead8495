"""Retry pacing: time left, next attempt, next log line."""

import random
import time

FIRST = 0.2
GROWTH = 1.5
LONGEST = 4.0
SPEAK_EVERY = 10.0


class Pauses:
    """The pauses of one wait: they grow, and vary so that many nodes do not move in step."""

    def __init__(self, deadline: float) -> None:
        """Begin a wait that ends at `deadline`, an instant of `time.monotonic`."""
        self._deadline = deadline
        self._next = FIRST
        self._spoke = time.monotonic()
        self._said = ""

    @property
    def deadline(self) -> float:
        """The instant at which the wait ends."""
        return self._deadline

    def over(self) -> bool:
        """Tell whether the deadline has passed."""
        return time.monotonic() >= self._deadline

    def left(self) -> int:
        """Return the whole seconds until the deadline."""
        return max(0, round(self._deadline - time.monotonic()))

    def time_to_speak(self, about: str = "") -> bool:
        """Tell whether to say what is waited for: when that changed, and now and then."""
        now = time.monotonic()
        if about == self._said and now - self._spoke < SPEAK_EVERY:
            return False
        self._said, self._spoke = about, now
        return True

    def pause(self, longest: float | None = None) -> None:
        """Sleep for the next pause, not beyond the deadline; it is at most `longest` seconds."""
        length = self._next * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
        time.sleep(max(0.0, min(length, self._deadline - time.monotonic())))
        self._next = min(longest or LONGEST, self._next * GROWTH)
