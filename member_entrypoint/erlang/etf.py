"""Erlang's external term format: just the terms that questions to a node, and answers, have.

Source: "External Term Format" in the ERTS manual; the numbers are its tags.
"""

import math
import struct

from member_entrypoint.lean_typing import Any, NamedTuple
from member_entrypoint.terms import Atom, TermError, check_depth

VERSION = b"\x83"
NIL = b"j"
INTEGER, SMALL_TUPLE, LIST, BINARY, MAP, ATOM_UTF8 = 98, 104, 108, 109, 116, 118
FLOAT, LARGE_TUPLE, SMALL_BIG, LARGE_BIG = 70, 105, 110, 111
NEW_PID, OLD_PID, NEW_REFERENCE, OLD_REFERENCE = 88, 103, 90, 114
LONGEST_ATOM = 255
"""The characters that an atom has at most."""
MOST_TERMS = 1 << 20
"""The terms that are read from one packet at most: a second's work."""
# What follows a tag: the layout of a length, or of the number itself.
_ATOMS = {
    100: ("!H", "latin-1"),
    115: ("!B", "latin-1"),
    ATOM_UTF8: ("!H", "utf-8"),
    119: ("!B", "utf-8"),
}
_NUMBERS = {97: "!B", INTEGER: "!i", FLOAT: "!d"}
_BYTES: dict[int, tuple[Any, str]] = {107: (list, "!H"), BINARY: (bytes, "!I")}
_TUPLES = {SMALL_TUPLE: "!B", LARGE_TUPLE: "!I"}
_BIG = {SMALL_BIG: "!B", LARGE_BIG: "!I"}
# Whether a count of words comes first, and the bytes behind the node's name besides these words.
_IDENTIFIERS = {
    OLD_PID: (False, 9),
    NEW_PID: (False, 12),
    102: (False, 5),
    89: (False, 8),
    120: (False, 12),
    101: (False, 5),
    OLD_REFERENCE: (True, 1),
    NEW_REFERENCE: (True, 4),
}


class Identifier(NamedTuple):
    """A pid, a port or a reference: its tag, its node, and what else is in it, as it came."""

    tag: int
    node: str
    rest: bytes
    words: int = 0


def encode(term: Any, depth: int = 0) -> bytes:  # noqa: PLR0911 - a line for each type
    """Return a term without the leading version: Atom, str (a string), bytes, numbers, list, tuple.

    `depth` is how deep the term is nested already. Raises `TermError` for other values.
    """
    if isinstance(term, Identifier):
        counted, _ = _IDENTIFIERS[term.tag]
        count = struct.pack("!H", term.words) if counted else b""
        return bytes([term.tag]) + count + _atom(term.node) + term.rest
    if isinstance(term, Atom):
        return _atom(term)
    if isinstance(term, str):
        return encode([ord(char) for char in term], depth)
    if isinstance(term, bytes):
        return struct.pack("!BI", BINARY, len(term)) + term
    if isinstance(term, bool):
        return _atom(str(term).lower())
    if isinstance(term, int):
        return _integer(term)
    if isinstance(term, float) and math.isfinite(term):
        return struct.pack("!Bd", FLOAT, term)
    if not isinstance(term, list | tuple):
        raise TermError(f"no Erlang term for {term!r}")
    check_depth(depth)
    items = b"".join(encode(item, depth + 1) for item in term)
    if isinstance(term, list):
        return struct.pack("!BI", LIST, len(term)) + items + NIL if term else NIL
    small = len(term) < 256  # noqa: PLR2004 - a length of one byte
    return (
        struct.pack("!BB" if small else "!BI", SMALL_TUPLE if small else LARGE_TUPLE, len(term))
        + items
    )


def _atom(name: str) -> bytes:
    if len(name) > LONGEST_ATOM:
        raise TermError(f"an atom of {len(name)} characters, which has {LONGEST_ATOM} at most")
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise TermError(f"no Erlang atom for {name!r}") from None
    return struct.pack("!BH", ATOM_UTF8, len(encoded)) + encoded


def _integer(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return struct.pack("!Bi", INTEGER, value)
    digits = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
    small = len(digits) < 256  # noqa: PLR2004 - a length of one byte
    tag, layout = (SMALL_BIG, "!BBB") if small else (LARGE_BIG, "!BIB")
    return struct.pack(layout, tag, len(digits), value < 0) + digits


class Reader:
    """Reads terms from bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self._data = data
        self._at = 0
        self._terms_left = MOST_TERMS

    def term(self) -> Any:
        """Return the next term; a leading version byte is passed over.

        Strings come as lists of integers, as Erlang has them; maps as lists of pairs; the tail of
        an improper list as its last item. Raises `TermError` for malformed or unsupported terms.
        """
        if self._data[self._at : self._at + 1] == VERSION:
            self._at += 1
        return self._term(0)

    def _term(self, depth: int) -> Any:  # noqa: PLR0911 - a line for each kind
        tag = self._number("!B")
        self._terms_left -= 1
        if self._terms_left < 0:
            raise TermError(f"more than {MOST_TERMS} Erlang terms in one")
        if tag in _ATOMS:
            return self._atom(*_ATOMS[tag])
        if tag in _NUMBERS:
            return self._finite(self._number(_NUMBERS[tag]))
        if tag in _BYTES:
            kind, length = _BYTES[tag]
            return kind(self._take(self._number(length)))
        if tag in _IDENTIFIERS:
            return self._identifier(tag)
        if tag in _BIG:
            size, negative = self._number(_BIG[tag]), self._number("!B")
            value = int.from_bytes(self._take(size), "little")
            return -value if negative else value
        if tag == NIL[0]:
            return []
        return self._compound(tag, depth)

    def _compound(self, tag: int, depth: int) -> Any:
        check_depth(depth)
        if tag in _TUPLES:
            return tuple(self._items(self._number(_TUPLES[tag]), depth))
        if tag == LIST:
            items = self._items(self._number("!I"), depth)
            tail = self._term(depth + 1)
            return items if tail == [] else [*items, tail]
        if tag == MAP:
            pairs = iter(self._items(2 * self._number("!I"), depth))
            return list(zip(pairs, pairs, strict=True))
        raise TermError(f"an Erlang term with the tag {tag}, which is not supported")

    def _items(self, count: int, depth: int) -> list[Any]:
        return [self._term(depth + 1) for _ in range(count)]

    def _atom(self, length: str, encoding: str) -> Atom:
        try:
            name = self._take(self._number(length)).decode(encoding)
        except UnicodeDecodeError:
            raise TermError("an Erlang atom that is not UTF-8") from None
        if len(name) > LONGEST_ATOM:
            raise TermError(f"an Erlang atom of {len(name)} characters")
        return Atom(name)

    def _identifier(self, tag: int) -> Identifier:
        counted, size = _IDENTIFIERS[tag]
        words = self._number("!H") if counted else 0
        node_tag = self._number("!B")
        if node_tag not in _ATOMS:
            raise TermError("an Erlang pid, port or reference without a node")
        return Identifier(tag, self._atom(*_ATOMS[node_tag]), self._take(size + 4 * words), words)

    def _finite(self, number: Any) -> Any:
        if not math.isfinite(number):
            raise TermError(f"the float {number}, which Erlang does not have")
        return number

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise TermError("an Erlang term that is cut short")
        self._at += size
        return data
