"""Finds secrets in a file as a whole and in parts of it: in strings and in comments.

The text is searched once for places where a secret may be: what has none costs no time later.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from member_entrypoint.release import masking_patterns
from member_entrypoint.release.masking_lines import Lines, hide_line
from member_entrypoint.release.masking_names import PARTS
from member_entrypoint.release.masking_spans import Span

_COMMENT = re.compile(r"\s*+(?:\#(?!\{)|%|;|//)")
_PLACE = re.compile(
    "|".join("[_.-]*".join(part) for part in PARTS) + "|BEGIN|[gyms]sql", re.IGNORECASE
)


def lines_of(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the lines of a part of `text` begin and end, without their newlines."""
    while start <= end:
        newline = text.find("\n", start, end)
        newline = end if newline < 0 else newline
        has_return = newline > start and text[newline - 1] == "\r"
        yield start, newline - has_return
        start = newline + 1


class SearchedText:
    """A text, and the places in it where a secret may be."""

    def __init__(self, text: str) -> None:
        """Search `text`."""
        self.text = text
        self._places = [match.start() for match in _PLACE.finditer(text)]
        self._known = sorted(masking_patterns.find(text))
        self._known_starts = [span.start for span in self._known]

    def has_place(self, start: int, end: int) -> bool:
        """Tell whether a sensitive name may be in a part of the text."""
        place = self._next_place(start)
        return place is not None and place < end

    def find(self) -> Iterator[Span]:
        """Yield all secrets, line by line."""
        text = self.text
        yield from self._known
        plain, comments = Lines(text, prose=False), Lines(text)
        at = 0
        while at <= len(text):
            if plain.is_idle and comments.is_idle:
                place = self._next_place(at)
                if place is None:
                    return
                at = max(at, text.rfind("\n", at, place) + 1)
            start, end = next(lines_of(text, at, len(text)))
            at = text.find("\n", end) + 1 or len(text) + 1
            if plain.is_open or not _COMMENT.match(text, start, end):
                yield from plain.find(start, end)
                if text[start:end].strip():
                    comments = Lines(text)
            elif plain.is_pending:
                yield from hide_line(text, start, end)
            else:
                yield from comments.find(start, end)

    def find_in(self, start: int, end: int) -> Iterator[Span]:
        """Yield the secrets in the contents of a string."""
        if self.has_place(start, end):
            yield from self._find_in_lines([*lines_of(self.text, start, end)])
        yield from self._known_in(start, end)

    def find_in_comments(self, sign: str, gaps: Iterable[tuple[int, int]]) -> Iterator[Span]:
        """Yield the secrets in comments that begin with `sign`; those of one gap stand together."""
        for start, end in gaps:
            if self.has_place(start, end):
                lines = lines_of(self.text, start, end)
                comments = ((self.text.find(sign, line, stop), stop) for line, stop in lines)
                yield from self._find_in_lines([item for item in comments if item[0] >= 0])
            yield from self._known_in(start, end)

    def _find_in_lines(self, bounds: Sequence[tuple[int, int]]) -> Iterator[Span]:
        lines = Lines(self.text)
        for number, (start, end) in enumerate(bounds, start=1):
            yield from lines.find(start, end, is_last=number == len(bounds))

    def _known_in(self, start: int, end: int) -> Iterator[Span]:
        for number in range(bisect_left(self._known_starts, start), len(self._known)):
            span = self._known[number]
            if span.start >= end:
                return
            if span.end <= end:
                yield span

    def _next_place(self, start: int) -> int | None:
        number = bisect_left(self._places, start)
        return self._places[number] if number < len(self._places) else None
