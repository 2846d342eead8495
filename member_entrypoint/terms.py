"""Just enough of Erlang's syntax: to find terms in app.config, to write and to read terms.

Source: the Erlang Reference Manual, chapters "Data Types" and "Character Set".
"""

import math
import re
import sys
from collections.abc import Iterator

from member_entrypoint.lean_typing import Any, NamedTuple

_ESCAPE = r"\\(?:x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|\^.|[0-7]{1,3}|.)"
_TOKEN = rf"""
      (?P<comment>%[^\n]*)
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<quoted>'(?:\\.|[^'\\])*')
    | (?P<unfinished>"(?:\\.|[^"\\])*\\?\Z|'(?:\\.|[^'\\])*\\?\Z)
    | (?P<char>\$(?:{_ESCAPE}|.))
    | (?P<mark><<|>>|\#\{{|=>|[\[\]{{}}(),.|])
    | (?P<word>[^\s%"'$\[\]{{}}(),|<>=\#.]+(?:\.[0-9][0-9A-Za-z_+-]*)?)
    | (?P<blank>\s+)
    | (?P<other>.)
    """
"""Compiled at the first use: who asks a node needs it rarely, and it takes a millisecond."""
_INTEGER = r"[+-]?[0-9]+"
_FLOAT = r"[+-]?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?"
# Lower-case letters of Latin-1 begin an atom that needs no quotes.
_PLAIN_ATOM = "[a-zß-öø-ÿ][0-9A-Za-z_@À-ÖØ-öø-ÿ]*"
_NAMED_ESCAPES = dict(zip("bdefnrstv", "\b\x7f\x1b\f\n\r \t\v", strict=True))
OPEN = {"[", "{", "(", "<<", "#{"}
CLOSE = {"]", "}", ")", ">>"}
_CLOSING = {"[": "]", "{": "}", "<<": ">>"}
SURROGATES = range(0xD800, 0xE000)
MAXIMUM_DEPTH = 100
"""How deep terms may be nested; answers of nodes stay far below it."""


class TermError(ValueError):
    """Not an Erlang term, or one that is not supported here; the text says why."""


class Atom(str):
    """An Erlang atom, to tell it from a string."""

    __slots__ = ()


class Token(NamedTuple):
    """A piece of Erlang source: its kind (a group of `_TOKEN`), its text, where it stands."""

    kind: str
    text: str
    start: int
    end: int
    depth: int


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of `source` without blanks and comments, each with its nesting depth.

    The depth of a bracket is that of what surrounds it. A string or an atom whose closing quote is
    missing is one token, of the kind `unfinished`, up to the end of `source`.
    """
    depth = 0
    for match in re.finditer(_TOKEN, source, re.VERBOSE | re.DOTALL):
        kind = match.lastgroup or "other"
        if kind in ("comment", "blank"):
            continue
        text = match[0]
        if text in CLOSE:
            depth -= 1
        yield Token(kind, text, match.start(), match.end(), depth)
        if text in OPEN:
            depth += 1


def string(text: str) -> str:
    """Return `text` as an Erlang string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def write(value: Any, depth: int = 0) -> str:  # noqa: PLR0911 - a line for each type
    """Return a Python value as an Erlang term: Atom, str (a string), bytes, numbers, list, tuple.

    `depth` is how deep the value is nested already. Raises `TermError` for other values.
    """
    if isinstance(value, Atom):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    if isinstance(value, str):
        return string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return _written_integer(value)
    if isinstance(value, float):
        return _written_float(value)
    if isinstance(value, bytes):
        return "<<" + ",".join(map(str, value)) + ">>"
    if not isinstance(value, list | tuple):
        raise TermError(f"no Erlang term for {value!r}")
    check_depth(depth)
    items = ",".join(write(item, depth + 1) for item in value)
    return f"[{items}]" if isinstance(value, list) else f"{{{items}}}"


def check_depth(depth: int) -> None:
    """Raise `TermError` if a term inside `depth` others is nested too deep."""
    if depth >= MAXIMUM_DEPTH:
        raise TermError(f"an Erlang term that is nested deeper than {MAXIMUM_DEPTH} levels")


def _written_integer(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        # Python limits the decimal digits, for the time that they take.
        return f"{'-' if value < 0 else ''}16#{abs(value):x}"


def _written_float(value: float) -> str:
    if not math.isfinite(value):
        raise TermError(f"no Erlang term for {value!r}")
    number, exponent, power = repr(value).partition("e")
    return number + ("" if "." in number else ".0") + exponent + power


def show(value: Any) -> str:
    """Return a value that `read` gave as text for a person; strings are not told from lists."""
    if isinstance(value, list):
        return "[" + ",".join(show(item) for item in value) + "]"
    if isinstance(value, tuple):
        return "{" + ",".join(show(item) for item in value) + "}"
    return _written_integer(value) if isinstance(value, int) else str(value)


def read(source: str) -> Any:
    """Return the Python value of a term as `io:format("~w")` prints it: the reverse of `write`.

    Binaries come back as bytes, strings as lists of integers, as Erlang has them. Raises
    `TermError` for anything else, maps, pids and improper lists among them.
    """
    stream = list(tokens(source))
    try:
        value, rest = _read(stream, 0, 0)
    except IndexError:
        raise TermError(f"not a whole Erlang term: {source[:200]!r}") from None
    if rest != len(stream):
        raise TermError(f"more than one Erlang term: {source[:200]!r}")
    return value


def _read(stream: list[Token], at: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at `stream[at]`, and where the next token is."""
    token = stream[at]
    closing = _CLOSING.get(token.text)
    if closing is None:
        return _read_plain(token), at + 1
    check_depth(depth)
    items: list[Any] = []
    at += 1
    while stream[at].text != closing:
        if items:
            if stream[at].text != ",":
                raise TermError(f"cannot read {stream[at].text[:200]!r} between Erlang terms")
            at += 1
        item, at = _read(stream, at, depth + 1)
        items.append(item)
    return _made(items, closing), at + 1


def _made(items: list[Any], closing: str) -> Any:
    if closing == "]":
        return items
    if closing == "}":
        return tuple(items)
    try:
        # A string in a binary stands for its characters: <<"text">>.
        return b"".join(bytes(item if isinstance(item, list) else [item]) for item in items)
    except (TypeError, ValueError):
        raise TermError("cannot read an Erlang binary that is not made of bytes") from None


def _read_plain(token: Token) -> Any:
    """Return the value of a term that is one token."""
    if token.kind == "quoted":
        return Atom(_unescaped(token.text[1:-1]))
    if token.kind == "string":
        return [ord(char) for char in _unescaped(token.text[1:-1])]
    if token.kind == "word":
        if re.fullmatch(_INTEGER, token.text):
            try:
                return int(token.text)
            except ValueError:
                raise TermError(
                    f"cannot read an Erlang term: an integer of {len(token.text)} digits"
                ) from None
        if re.fullmatch(_FLOAT, token.text) and math.isfinite(value := float(token.text)):
            return value
        if re.fullmatch(_PLAIN_ATOM, token.text):
            return Atom(token.text)
    raise TermError(f"cannot read {token.text[:200]!r} in an Erlang term")


def _unescaped(text: str) -> str:
    """Return what stands between the quotes of a string or an atom."""
    return re.sub(_ESCAPE, lambda match: _unescaped_character(match[0][1:]), text, flags=re.DOTALL)


def _unescaped_character(escape: str) -> str:
    if escape[0] == "x" and len(escape) > 1:
        # Hexadecimal digits are read in linear time, however many there are.
        number = int(escape[1:].strip("{}"), 16)
        if number in SURROGATES or number > sys.maxunicode:
            raise TermError(f"cannot read {escape[:200]!r} in an Erlang term: no such character")
        return chr(number)
    if escape[0] == "^" and len(escape) > 1:
        return chr(ord(escape[1]) & 31)
    if escape[0] in "01234567":
        return chr(int(escape, 8))
    return _NAMED_ESCAPES.get(escape, escape)
