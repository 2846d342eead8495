"""Finds secrets in files of VM flags: vm.args, vm.dist.args."""

import re
from collections.abc import Iterator, Sequence

from member_entrypoint.release.flags import Word, words
from member_entrypoint.release.masking_names import is_harmless, is_sensitive
from member_entrypoint.release.masking_spans import MASK, Span, newlines
from member_entrypoint.release.masking_text import SearchedText

_LAST_NAME = re.compile(r"([\w.-]+)[]\"'})=:,]*$")
_LONGEST_NAME = 100  # characters


def find(text: str) -> list[Span]:
    """Return the secrets of a file."""
    found = [*words(text)]
    searched = SearchedText(text)
    starts = [*(word.start for word in found), len(text)]
    gaps = zip([0, *(word.end for word in found)], starts, strict=True)
    commented = [(start, end) for start, end in gaps if text.find("#", start, end) >= 0]
    return [*_find_in_words(searched, found), *searched.find_in_comments("#", commented)]


def _find_in_words(searched: SearchedText, found: Sequence[Word]) -> Iterator[Span]:
    """Yield what stands after a sensitive name up to the next flag, and secrets inside of words."""
    text = searched.text
    hide = after_name = False
    line_end = 0
    for number, word in enumerate(found):
        begins_flag = word.text[:1] in {"-", "+"}
        # `-env PASSWORD -x`: what is on the line of the name is its value, whatever it looks like.
        if begins_flag and not (after_name and word.start < line_end):
            hide = False
        if hide:
            yield Span(word.start, word.end, MASK + newlines(text, word.start, word.end))
            after_name = False
            continue
        yield from _find_in_word(searched, word)
        has_quotes = len(word.text) < word.end - word.start
        if not has_quotes and not searched.has_place(word.start, word.end):
            continue
        name = _LAST_NAME.search(word.text[-_LONGEST_NAME:])
        following = found[number + 1].text if number + 1 < len(found) else ""
        hide = after_name = bool(
            name and is_sensitive(name[1]) and not is_harmless(name[1], following)
        )
        if after_name:
            newline = text.find("\n", word.end)
            line_end = newline if newline >= 0 else len(text)


def _find_in_word(searched: SearchedText, word: Word) -> Iterator[Span]:
    """Yield the secret inside of a word: from where it begins to the end, but for a quote."""
    spans = sorted(searched.find_in(word.start, word.end))
    if spans and spans[0].start < word.end:
        start = spans[0].start
        quote = _open_quote(searched.text, word.start, start)
        yield Span(start, word.end, MASK + quote + newlines(searched.text, start, word.end))


def _open_quote(text: str, start: int, end: int) -> str:
    """Return the quote that is open after a part of a word; none if it is empty."""
    quote = ""
    escaped = False
    for char in text[start:end]:
        if quote:
            quote = "" if char == quote else quote
        elif not escaped and char in {'"', "'"}:
            quote = char
        escaped = char == "\\" and not quote and not escaped
    return quote
