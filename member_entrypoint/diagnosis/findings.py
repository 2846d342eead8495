"""What `check` has found, and how it is shown: as lines, or as JSON."""

import contextlib
import json
from collections.abc import Iterator
from enum import Enum

from member_entrypoint.errors import EntrypointError
from member_entrypoint.lean_typing import Any, NamedTuple
from member_entrypoint.log import counted, printable

SCHEMA_VERSION = 1
"""Of the JSON; a new one where a key changes its meaning or goes. New keys may come at any time."""
NOT_DEFINED = 1
"""The status where a start would end with that of the VM, which nobody knows before."""


OF_THE_PLAN = {"node", "plan"}
"""What findings are about that the plan has taken into account."""


ITSELF = "check"
"""What a finding is about where not all could be looked at."""


class Level(Enum):
    """How much it matters: an error makes a start fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """One thing that was looked at: `about` in a word, what was found, what to do about it.

    `status` is the exit status of a start that fails for it, 0 where it does not.
    """

    level: Level
    about: str
    text: str
    what_to_do: str = ""
    status: int = 0


class Findings:
    """All that was found, in the order of looking."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.all: list[Finding] = []
        self.about_node: dict[str, str] = {}
        self.plan = ""

    def ok(self, about: str, text: str) -> None:
        """Note what is as it should be."""
        self.all.append(Finding(Level.OK, about, text))

    def warning(self, about: str, text: str, what_to_do: str = "") -> None:
        """Note what an operator should know; the start goes on."""
        self.all.append(Finding(Level.WARNING, about, text, what_to_do))

    def error(self, about: str, text: str, what_to_do: str = "", status: int = NOT_DEFINED) -> None:
        """Note what makes a start fail, with the exit status that it has then."""
        self.all.append(Finding(Level.ERROR, about, text, what_to_do, status))

    def add(self, others: "Findings") -> None:
        """Note all that others have noted by now, but what is noted already."""
        self.all += [found for found in list(others.all) if found not in self.all]
        self.about_node |= others.about_node
        self.plan = others.plan or self.plan

    def refused(self, about: str, error: EntrypointError) -> None:
        """Note an error with which a start would end; its text says what to do."""
        for line in str(error).splitlines():
            found = Finding(Level.ERROR, about, line, status=error.status)
            if found not in self.all:
                self.all.append(found)

    @contextlib.contextmanager
    def refusals(self, about: str) -> Iterator[None]:
        """Note the error with which the block ends, if it does; go on after it."""
        try:
            yield
        except EntrypointError as error:
            self.refused(about, error)
        except OSError as error:
            text = (
                f"{error.filename or 'something'} cannot be looked at ({error.strerror or error})"
            )
            self.error(about, text, "run check as the user of the member, with all that it has")

    @property
    def status(self) -> int:
        """The exit status: 0 without errors, else that with which a start would end.

        What is refused comes before the search for others, and that before the VM.
        """
        statuses = [found.status for found in self.all if found.level is Level.ERROR]
        first = [each for each in (78, 70, 3, 2) if each in statuses]
        return next(iter(first + statuses), 0)

    def count(self, level: Level) -> int:
        """Return how many there are of a level."""
        return sum(found.level is level for found in self.all)

    @property
    def verdict(self) -> str:
        """One sentence about all."""
        errors, warnings = self.count(Level.ERROR), self.count(Level.WARNING)
        counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
        if any(found.about == ITSELF for found in self.all):
            return f"{counts}: check itself failed, so it is not known whether a start would"
        if errors:
            return f"{counts}: a start would fail, with exit status {self.status}"
        return f"{counts}: nothing is known that would make a start fail"

    @property
    def plan_in_words(self) -> str:
        """What a start would do about the cluster, if nothing else keeps it from that."""
        others = [f for f in self.all if f.level is Level.ERROR and f.about not in OF_THE_PLAN]
        return f"once the errors are mended, {self.plan}" if others else self.plan

    def as_json(self) -> str:
        """Return all as one JSON object; docs/check.md says what is in it."""
        shown: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.verdict,
            "status": self.status,
            **self.about_node,
        }
        if self.plan:
            shown["plan"] = self.plan_in_words
        shown["findings"] = [_as_object(found) for found in self.all]
        return json.dumps(shown, indent=2, ensure_ascii=False)

    def as_lines(self) -> str:
        """Return all as lines for people: the errors last, before the plan and the verdict."""
        order = list(Level)
        lines = [
            f"{found.level.value:8} {found.about:9} {found.text}"
            + (f"; {found.what_to_do}" if found.what_to_do else "")
            for found in sorted(self.all, key=lambda found: order.index(found.level))
        ]
        if self.plan:
            lines.append(f"{'plan':18} {self.plan_in_words}")
        lines.append(f"{'verdict':18} {self.verdict}")
        return "\n".join(printable(" ".join(line.splitlines())) for line in lines)


def _as_object(found: Finding) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "level": found.level.value,
        "about": found.about,
        "text": found.text,
    }
    if found.what_to_do:
        shown["what_to_do"] = found.what_to_do
    if found.status:
        shown["status"] = found.status
    return shown
