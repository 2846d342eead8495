"""Finds secrets in text whose structure is not known: comments, broken files, contents of strings.

What follows a sensitive name is hidden up to the end of its line, and on the lines after it as long
as a quote or a bracket is open. A name with nothing after it hides the next line, and those that
are indented deeper.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.release.masking_names import (
    is_clearly_sensitive,
    is_harmless,
    is_sensitive,
)
from member_entrypoint.release.masking_spans import MASK, Span

_LEADER = re.compile(r"\s*+(?:(?:\#(?!\{)|%|;|//)++[ \t]*+)*+")
_TOKEN = re.compile(
    r"""(?P<marker>-{4,5}\ ?(?:BEGIN|END)\ [A-Z0-9 ]{1,60}-{4,5})
    | (?P<escaped>\\[\\"'])
    | (?P<quote>\"\"\"|\'\'\'|["'])
    | (?P<open>[\[{(])
    | (?P<close>[\]})])
    | (?P<name>[\w.\-]+)
    """,
    re.VERBOSE,
)
_AFTER_NAME = re.compile(
    r"""(?P<closing>(?:\\?["'])*[\s\]})]*)(?P<separator>=>|:=|==|->|%3[dD]|[=:,>(|])?\s*"""
)
_KEY = re.compile(r"[^=:,(){}\[\]]{1,300}[=:]\s*")
_HEADER = re.compile(r"\[{1,2}([^\[\]=]{1,300})\]{1,2}\s*(?:[#;].*)?$")
_NOTHING = re.compile(r"[\s=:,|>\\+\-]*")
_MASKED = re.compile(rf"{_NOTHING.pattern}{re.escape(MASK)}\s*")
_MARKS = re.compile(r"\W*")
_NEAR = 10  # characters
_MOST_NESTED = 3
_DATABASES = {"pgsql", "mysql", "mssql"}
_ONE_VALUE = re.compile(r"""\s*"[^"]*"\s*\}""")


class _Value(NamedTuple):
    """The value of a name: where both begin and end, and whether a tuple has both."""

    name_end: int
    start: int
    in_tuple: bool = False


def hide_line(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield all of a line but the sign of a comment before it."""
    content = _content(text, start, end)
    if content < end:
        yield Span(content, end)


def _content(text: str, start: int, end: int) -> int:
    leader = _LEADER.match(text, start, end)
    return leader.end() if leader else start


@dataclass(slots=True)
class _Open:
    """What a line leaves open."""

    pending: bool = False  # the value of a name is on the next line
    quote: str = ""
    depth: int = 0
    floor: int = 0  # the depth at which a secret of several lines ends
    private_key: bool = False
    shows_key_end: bool = False  # as its beginning is shown
    ends_in_name: bool = False
    indent: int | None = None  # of the line whose value is what is indented deeper
    sensitive_section: bool = False

    @property
    def is_inside(self) -> bool:
        """Tell whether the next line is inside of quotes, brackets or a key."""
        return bool(self.quote or self.depth > self.floor or self.private_key)

    @property
    def is_nothing(self) -> bool:
        """Tell whether nothing is open."""
        return not (
            self.pending
            or self.is_inside
            or self.ends_in_name
            or self.sensitive_section
            or self.indent is not None
        )

    def close_brackets(self) -> None:
        """Forget quotes and brackets."""
        self.quote, self.depth, self.floor = "", 0, 0


class Lines:
    """Takes lines one after the other, and knows what the earlier ones left open.

    The line on which a secret of several lines begins ends in a mask. So the same text, masked
    once more, stays as it is: what is after a mask is not looked for again. What seems to be inside
    of a secret may begin another that goes on after it, as quotes are misleading in broken files.
    """

    def __init__(self, text: str, *, prose: bool = True) -> None:
        """Begin with nothing open; positions of lines are those in `text`.

        In prose, a sensitive word at the end of a line is no name whose value is on the next.
        """
        self._text = text
        self._prose = prose
        self._content = 0  # where the line that is looked at begins, after its leader
        self._column = 0
        self._open = _Open()
        self._nested = [self._open]  # what is open, then what is open inside of that

    @property
    def is_pending(self) -> bool:
        """Tell whether the next line with a value in it is a secret."""
        return any(item.pending for item in self._nested)

    @property
    def is_open(self) -> bool:
        """Tell whether the next line is inside of what an earlier one began."""
        return any(item.is_inside for item in self._nested)

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing of an earlier line matters to the next."""
        return all(item.is_nothing for item in self._nested)

    def find(self, start: int, end: int, *, is_last: bool = False) -> Iterator[Span]:
        """Yield the secrets of the next line; `is_last` is true if no other comes after it."""
        content = _content(self._text, start, end)
        if content == end:
            return
        self._content, self._column = content, content - start
        level = 0
        while level < _MOST_NESTED:
            self._open = self._nested[level]
            if self._open.private_key and self._open.shows_key_end:
                yield from self._find_from(content, end, is_last=is_last)
                return
            if self._belongs_to_earlier(content, end):
                yield Span(content, end)
                self._track(content, end)
                level += 1
                if level == len(self._nested):
                    self._nested.append(_Open())
            elif level + 1 < len(self._nested):
                in_section = self._nested.pop(level).sensitive_section
                self._nested[level].sensitive_section |= in_section
            else:
                yield from self._find_in_new(content, end, is_last=is_last)
                return

    def _find_in_new(self, content: int, end: int, *, is_last: bool) -> Iterator[Span]:
        """Yield the secrets of a line that belongs to no earlier one."""
        header = _HEADER.match(self._text, content, end)
        if header:
            self._open.sensitive_section = is_sensitive(header[1])
        if self._open.sensitive_section and not header:
            yield from self._find_below_header(content, end, is_last=is_last)
        else:
            # The name of a section has no value on the next line.
            yield from self._find_from(content, end, is_last=is_last or header is not None)

    def _belongs_to_earlier(self, content: int, end: int) -> bool:
        starts_with_sign = self._text[content] in "=:,>"
        if self._open.pending or (self._open.ends_in_name and starts_with_sign):
            # Marks alone are no value: it is on a line after them.
            self._open.pending = _NOTHING.fullmatch(self._text, content, end) is not None
            self._open.ends_in_name = False
            return True
        self._open.ends_in_name = False
        if self._open.indent is not None and self._column <= self._open.indent:
            self._open.indent = None
        return self._open.is_inside or self._open.indent is not None

    def _find_below_header(self, content: int, end: int, *, is_last: bool) -> Iterator[Span]:
        """Yield the secrets of a line of a section like `[secret]`."""
        key = _KEY.match(self._text, content, end)
        if not key:
            yield Span(content, end)
        elif is_harmless(key[0], self._text[key.end() : end]):
            yield from self._find_from(content, end, is_last=is_last)
        else:
            yield from self._hide(_Value(key.end(), key.end()), end, is_last=is_last)

    def _find_from(self, at: int, end: int, *, is_last: bool) -> Iterator[Span]:
        hidden = at
        name = None
        for token in _TOKEN.finditer(self._text, at, end):
            if token["marker"] and self._open.private_key and "END" in token["marker"]:
                yield Span(hidden, token.start())
                self._open.private_key = False
            elif self._open.private_key:
                continue
            elif self._begins_private_key(token):
                self._open.shows_key_end = True
                hidden = token.end()
            elif not token["name"]:
                self._track_token(token)
            elif value := self._value_after(token, end):
                yield from self._hide(value, end, is_last=is_last)
                return
            else:
                name = token
        if self._open.private_key and hidden < end:
            yield Span(hidden, end)
        if name is not None and is_sensitive(name[0]):
            after = _AFTER_NAME.match(self._text, name.end(), end)
            self._open.ends_in_name = after is not None and after.end() == end
        self._open.close_brackets()

    def _begins_private_key(self, token: re.Match[str]) -> bool:
        marker = token["marker"] or ""
        begins = "BEGIN" in marker and "PRIVATE KEY" in marker
        self._open.private_key |= begins
        return begins

    def _hide(self, value: _Value, end: int, *, is_last: bool) -> Iterator[Span]:
        """Yield the value up to the end of its line, and see whether it ends there."""
        if _MASKED.fullmatch(self._text, value.start, end):
            self._open.close_brackets()
            return
        self._open.floor = self._open.depth - (value.in_tuple and self._open.depth > 0)
        if not _NOTHING.fullmatch(self._text, value.start, end):
            yield Span(value.start, end)
        elif not is_last:
            self._open.pending = True
            self._open.indent = self._column
            yield Span(end, end, MASK if self._text[end - 1].isspace() else f" {MASK}")
        self._track(value.name_end, end)

    def _track(self, at: int, end: int) -> None:
        """Take the quotes and brackets of what is hidden."""
        for token in _TOKEN.finditer(self._text, at, end):
            if self._begins_private_key(token):
                self._open.shows_key_end = False
            elif "END" in (token["marker"] or ""):
                self._open.private_key = False
            else:
                self._track_token(token)
        if not self._open.is_inside:
            self._open.close_brackets()

    def _track_token(self, token: re.Match[str]) -> None:
        quote = token["quote"]
        if not quote:
            if not self._open.quote:
                self._open.depth += bool(token["open"]) - bool(token["close"])
        elif not self._open.quote:
            before = self._text[token.start() - 1 : token.start()]
            if quote != "'" or not before.isalnum():  # not an apostrophe
                self._open.quote = quote
        elif quote.startswith(self._open.quote):
            self._open.quote = ""

    def _value_after(self, token: re.Match[str], end: int) -> _Value | None:
        """Return the value of a name; `None` if there is none that must be hidden."""
        text, name = self._text, token["name"]
        after = _AFTER_NAME.match(text, token.end(), end)
        assert after  # noqa: S101 - it matches nothing, too
        value = _Value(token.end(), after.end(), after["separator"] == ",")
        if name in _DATABASES and after["separator"] == ",":
            before = text[max(0, token.start() - _NEAR) : token.start()]
            is_tuple = before.rstrip(" '").endswith("{")
            return value if is_tuple and not _ONE_VALUE.match(text, after.end(), end) else None
        is_secret = (
            is_sensitive(name)
            and not self._is_in_path(token, after["separator"])
            and (is_clearly_sensitive(name) or self._is_before_value(after))
            and not is_harmless(name, text[after.end() : end])
            and self._has_value(token, after, end)
        )
        return value if is_secret else None

    def _is_in_path(self, token: re.Match[str], separator: str | None) -> bool:
        text = self._text
        return text.startswith("/", token.end()) or (
            token.start() > self._content
            and text[token.start() - 1] == "/"
            and separator not in {"=", ":"}
        )

    def _is_before_value(self, after: re.Match[str]) -> bool:
        """Tell whether the syntax says that a value follows: `key = x`, `-flag key x`."""
        has_quote = "'" in after["closing"] or '"' in after["closing"]
        return bool(after["separator"]) or has_quote or self._text.startswith("-", self._content)

    def _has_value(self, token: re.Match[str], after: re.Match[str], end: int) -> bool:
        """Tell whether there is a value, on this line or on the next."""
        if after["separator"] or not _NOTHING.fullmatch(self._text, after.end(), end):
            return True
        is_alone = _MARKS.fullmatch(self._text, self._content, token.start()) is not None
        return is_alone or not (self._prose or after["closing"])
