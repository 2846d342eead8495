"""Looks at several parts at the same time, with one deadline: who is late is left behind."""

import threading
import time
from collections.abc import Callable, Iterable

from member_entrypoint.diagnosis.findings import Findings
from member_entrypoint.lean_typing import NamedTuple


class Part(NamedTuple):
    """A part of `check` that asks others: a word for its findings, whom it asks, what it does."""

    about: str
    whom: str
    look: Callable[[Findings], None]


class _Look:
    """A part that is looked at, in a thread that no end of the process waits for."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.found = Findings()
        self.failure: Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        try:
            self.thread.start()
        except RuntimeError:
            # No more threads, as with a low limit of processes.
            self._run()

    def _run(self) -> None:
        try:
            with self.found.refusals(self.part.about):
                self.part.look(self.found)
        except Exception as error:  # noqa: BLE001 - raised where all others are noted
            self.failure = error


def look(found: Findings, parts: Iterable[Part], deadline: float, timeout: float) -> None:
    """Note what all parts find, in their order, and who has not answered at `deadline`.

    That is an instant of `time.monotonic`; `timeout` are the seconds that were given, for the text.
    Raises what one of them raises, when what the others have found is noted.
    """
    looks = [_Look(part) for part in parts]
    for each in looks:
        if each.thread.ident is not None:
            each.thread.join(max(0.0, deadline - time.monotonic()))
    for each in looks:
        late = each.thread.is_alive()
        found.add(each.found)
        if late:
            found.warning(
                each.part.about,
                f"no answer within {timeout:g} s about {each.part.whom}: more is not known of it",
                "see that DNS and the hosts of the others answer, then run check again",
            )
    for each in looks:
        if each.failure is not None:
            raise each.failure
