"""Finds secrets in TOML files."""

import re

from member_entrypoint.lean_typing import Any, NamedTuple
from member_entrypoint.release.masking_names import is_harmless, is_sensitive
from member_entrypoint.release.masking_spans import MASK, Span, newlines, replace
from member_entrypoint.release.masking_text import SearchedText

_DEEPEST = 100  # tables, keys and arrays around a value; tomllib gets slow with many
_BLANK = re.compile(r"[ \t]*+")
_GAP = re.compile(r"(?:[ \t\n]++|\r\n|#[^\n]*+)*+")
_LINE_END = re.compile(r"[ \t]*+(?=#|\r?\n|\Z)")
_KEY = re.compile(
    r"""(?P<bare>[A-Za-z0-9_-]++)|(?P<basic>"(?:[^"\\\n]++|\\.)*+")|(?P<literal>'[^'\n]*+')"""
)
_STRING = re.compile(
    r'''(?P<long>"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}|\'\'\'(?:[^']++|'(?!\'\'))*+'{3,5})'''
    r"""|"(?:[^"\\\n]++|\\[^\n])*+"|'[^'\n]*+'""",
    re.DOTALL,
)
_BARE = re.compile(r"[0-9A-Za-z_.+:-]++(?: [0-9][0-9:.]*+(?:Z|[+-][0-9:]++)?)?")
_BETWEEN = re.compile(r"[\s,]*")
_WORD = re.compile(r"[\w.-]{1,100}")


class _NotTomlError(ValueError):
    """The text is no TOML, or nested too deep."""


class _Value(NamedTuple):
    """A string, number, boolean or time: its path of keys, and where it stands."""

    path: tuple[str, ...]
    start: int
    end: int
    table: int  # which inline table or section it stands in
    is_item: bool = False  # of an array


def find(text: str) -> list[Span] | None:
    """Return the secrets of a file; `None` if it is no TOML."""
    reader = _Reader(text)
    try:
        reader.read()
    except _NotTomlError:
        return None
    searched = SearchedText(text)
    spans = _find_in_values(searched, reader.values)
    spans += searched.find_in_comments("#", reader.gaps)
    return spans if _is_masked(replace(text, spans)) else None


def _find_in_values(searched: SearchedText, values: list[_Value]) -> list[Span]:
    text = searched.text
    spans: list[Span] = []
    masked_up_to = -1
    after_option = False
    # `{name = "PASSWORD", value = "x"}`
    sensitive_tables = {
        value.table
        for value in values
        if value.path[-1] in {"name", "key"} and _is_sensitive_word(text, value)
    }
    for value in values:
        source = text[value.start : value.end]
        is_secret = (
            (is_sensitive(".".join(value.path)) and not is_harmless(".".join(value.path), source))
            or (value.path[-1] == "value" and value.table in sensitive_tables)
            or (value.is_item and after_option)
        )
        # `["--password", "x"]`
        after_option = source[1:2] == "-" and _is_sensitive_word(text, value)
        if not is_secret:
            if source[0] in "\"'":
                quotes = 3 if source[:3] in {'"""', "'''"} else 1
                spans += searched.find_in(value.start + quotes, value.end - quotes)
        elif (
            value.is_item
            and masked_up_to >= 0
            and _BETWEEN.fullmatch(text, masked_up_to, value.start)
        ):
            # Items side by side are one mask: their number tells something of the secret.
            start = spans.pop().start
            lines = newlines(text, start, value.end)
            spans.append(Span(start, value.end, f'"{MASK}"{lines}'))
            masked_up_to = value.end
        else:
            lines = newlines(text, value.start, value.end)
            shown = f'"""{MASK}{lines}"""' if lines else f'"{MASK}"'
            spans.append(Span(value.start, value.end, shown))
            masked_up_to = value.end if value.is_item else -1
    return spans


def _is_sensitive_word(text: str, value: _Value) -> bool:
    word = text[value.start : value.end].strip("\"'")
    return _WORD.fullmatch(word) is not None and is_sensitive(word)


def _is_masked(text: str) -> bool:
    """Tell whether no secret is left by what the file means to a TOML parser, too."""
    import tomllib

    try:
        left: list[tuple[tuple[str, ...], Any]] = [((), tomllib.loads(text))]
    except (ValueError, RecursionError):
        return False
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            left += [(path, item) for item in value]
        elif is_sensitive(".".join(path)):
            shown = str(value).strip()
            is_boolean = isinstance(value, bool)
            if not (is_boolean or shown == MASK or is_harmless(".".join(path), shown)):
                return False
    return True


class _Reader:
    """Finds the values and the comments of a file."""

    def __init__(self, text: str) -> None:
        self.values: list[_Value] = []
        self.gaps: list[tuple[int, int]] = []  # that have comments in them
        self._text = text
        self._at = 0
        self._tables = 0

    def read(self) -> None:
        """Read all of the file. Raises `_NotTomlError`."""
        section: tuple[str, ...] = ()
        self._skip_gap()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                self._tables += 1
                section = self._read_header()
            else:
                self._read_pair(section, self._tables, 0)
            self._take(_LINE_END)
            self._skip_gap()

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if not match:
            raise _NotTomlError
        self._at = match.end()
        return match

    def _take_sign(self, sign: str) -> bool:
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def _expect(self, sign: str) -> None:
        if not self._take_sign(sign):
            raise _NotTomlError

    def _skip_gap(self) -> None:
        start = self._at
        self._take(_GAP)
        if self._text.find("#", start, self._at) >= 0:
            self.gaps.append((start, self._at))

    def _read_header(self) -> tuple[str, ...]:
        self._expect("[")
        closing = "]]" if self._take_sign("[") else "]"
        path = self._read_key()
        self._expect(closing)
        return path

    def _read_key(self) -> tuple[str, ...]:
        """Read a key, or keys with dots between them, and the blanks around each."""
        parts: list[str] = []
        while not parts or self._take_sign("."):
            self._take(_BLANK)
            parts.append(_decoded(self._take(_KEY)[0]))
            self._take(_BLANK)
        return tuple(parts)

    def _read_pair(self, path: tuple[str, ...], table: int, depth: int) -> None:
        path += self._read_key()
        self._expect("=")
        self._take(_BLANK)
        self._read_value(_Value(path, 0, 0, table), depth)

    def _read_value(self, value: _Value, depth: int) -> None:
        if depth + len(value.path) > _DEEPEST:
            raise _NotTomlError
        start = self._at
        if self._take_sign("["):
            self._read_array(value._replace(is_item=True), depth + 1)
        elif self._take_sign("{"):
            self._tables += 1
            self._read_table(value.path, self._tables, depth + 1)
        else:
            self._take(_STRING if self._text[start : start + 1] in {'"', "'"} else _BARE)
            self.values.append(value._replace(start=start, end=self._at))

    def _read_array(self, value: _Value, depth: int) -> None:
        self._skip_gap()
        while not self._take_sign("]"):
            self._read_value(value, depth)
            self._skip_gap()
            if not self._take_sign(","):
                self._expect("]")
                return
            self._skip_gap()

    def _read_table(self, path: tuple[str, ...], table: int, depth: int) -> None:
        self._skip_gap()
        while not self._take_sign("}"):
            self._read_pair(path, table, depth)
            self._skip_gap()
            if not self._take_sign(","):
                self._expect("}")
                return
            self._skip_gap()


def _decoded(key: str) -> str:
    """Return a key without its quotes and escapes."""
    if key[0] not in "\"'":
        return key
    if "\\" not in key or key[0] == "'":
        return key[1:-1]
    import tomllib

    try:
        return next(iter(tomllib.loads(f"{key} = 0")))
    except ValueError:
        raise _NotTomlError from None
