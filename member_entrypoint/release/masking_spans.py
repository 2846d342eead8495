"""Parts of a text that are replaced by `***`."""

from collections.abc import Iterable

from member_entrypoint.lean_typing import NamedTuple

MASK = "***"


class Span(NamedTuple):
    """Where a secret begins and ends in a text, and what is shown instead."""

    start: int
    end: int
    shown: str = MASK


def replace(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with each span replaced; spans that overlap or touch become one."""
    parts: list[str] = []
    shown_up_to = 0
    for span in sorted(spans):
        if span.start > shown_up_to or not parts:
            parts += [text[shown_up_to : span.start], span.shown]
        shown_up_to = max(shown_up_to, span.end)
    return "".join([*parts, text[shown_up_to:]])


def newlines(text: str, start: int, end: int) -> str:
    """Return the newlines of a part of `text`: a mask with them keeps the number of lines."""
    return "\n" * text.count("\n", start, end)
