"""Just enough of Erlang's syntax: to find terms in app.config, to write and to read terms.

Source: the Erlang Reference Manual, chapters "Data Types" and "Character Set".
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<comment>%[^\n]*)
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<quoted>'(?:\\.|[^'\\])*')
    | (?P<char>\$(?:\\.|.))
    | (?P<mark><<|>>|\#\{|=>|[\[\]{}(),.|])
    | (?P<word>[^\s%"'$\[\]{}(),|<>=\#.]+(?:\.[0-9][0-9A-Za-z_+-]*)?)
    | (?P<blank>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPEN = {"[", "{", "(", "<<", "#{"}
_CLOSE = {"]", "}", ")", ">>"}


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

    The depth of a bracket is that of what surrounds it.
    """
    depth = 0
    for match in _TOKEN.finditer(source):
        kind = match.lastgroup or "other"
        if kind in ("comment", "blank"):
            continue
        text = match[0]
        if text in _CLOSE:
            depth -= 1
        yield Token(kind, text, match.start(), match.end(), depth)
        if text in _OPEN:
            depth += 1


def string(text: str) -> str:
    """Return `text` as an Erlang string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def write(value: Any) -> str:
    """Return a Python value as an Erlang term: Atom, str (a string), int, list, tuple."""
    if isinstance(value, Atom):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    if isinstance(value, str):
        return string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(write(item) for item in value) + "]"
    if isinstance(value, tuple):
        return "{" + ",".join(write(item) for item in value) + "}"
    raise TypeError(f"no Erlang term for {value!r}")


def show(value: Any) -> str:
    """Return a value that `read` gave as text for a person; strings are not told from lists."""
    if isinstance(value, list):
        return "[" + ",".join(show(item) for item in value) + "]"
    if isinstance(value, tuple):
        return "{" + ",".join(show(item) for item in value) + "}"
    return str(value)


def read(source: str) -> Any:
    """Return the Python value of a term as `io:format("~w")` prints it: the reverse of `write`.

    Binaries come back as bytes. Raises ValueError for anything else, maps and pids among them.
    """
    stream = list(tokens(source))
    try:
        value, rest = _read(stream, 0)
    except IndexError:
        raise ValueError(f"not a whole Erlang term: {source[:200]!r}") from None
    if rest != len(stream):
        raise ValueError(f"more than one Erlang term: {source[:200]!r}")
    return value


def _read(stream: list[Token], at: int) -> tuple[Any, int]:
    token = stream[at]
    if token.kind == "quoted":
        return Atom(re.sub(r"\\(.)", r"\1", token.text[1:-1])), at + 1
    if token.kind == "word":
        if re.fullmatch(r"-?\d+", token.text):
            return int(token.text), at + 1
        if re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", token.text):
            return float(token.text), at + 1
        if re.fullmatch(r"[a-z][\w@]*", token.text):
            return Atom(token.text), at + 1
    closing = {"[": "]", "{": "}", "<<": ">>"}.get(token.text)
    if closing is None:
        raise ValueError(f"cannot read {token.text!r} in an Erlang term")
    items: list[Any] = []
    at += 1
    while stream[at].text != closing:
        if stream[at].text == "," and items:
            at += 1
        item, at = _read(stream, at)
        items.append(item)
    made: Any = {"]": list, "}": tuple, ">>": bytes}[closing](items)
    return made, at + 1
