"""Erlang's external term format: just the terms that questions to a node, and answers, have.

Source: "External Term Format" in the ERTS manual; the numbers are its tags.
"""

import struct
from typing import Any, NamedTuple

from member_entrypoint.terms import Atom

VERSION = b"\x83"
NIL = b"j"
INTEGER, SMALL_TUPLE, LIST, BINARY, MAP, ATOM_UTF8 = 98, 104, 108, 109, 116, 118
NEW_PID, OLD_PID, NEW_REFERENCE, OLD_REFERENCE = 88, 103, 90, 114
# What follows a tag: the layout of a length, or of the number itself.
_ATOMS = {100: "!H", 115: "!B", ATOM_UTF8: "!H", 119: "!B"}
_NUMBERS = {97: "!B", INTEGER: "!i", 70: "!d"}
_BYTES: dict[int, tuple[Any, str]] = {107: (list, "!H"), BINARY: (bytes, "!I")}
_TUPLES = {SMALL_TUPLE: "!B", 105: "!I"}
_BIG = {110: "!B", 111: "!I"}
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


def encode(term: Any) -> bytes:  # noqa: PLR0911 - a line for each type
    """Return a term without the leading version: Atom, str (a string), bytes, int, list, tuple."""
    if isinstance(term, Identifier):
        count = struct.pack("!H", term.words) if term.words else b""
        return bytes([term.tag]) + count + encode(Atom(term.node)) + term.rest
    if isinstance(term, Atom):
        name = term.encode()
        return struct.pack("!BH", ATOM_UTF8, len(name)) + name
    if isinstance(term, str):
        return encode([ord(char) for char in term])
    if isinstance(term, bytes):
        return struct.pack("!BI", BINARY, len(term)) + term
    if isinstance(term, int):
        return struct.pack("!Bi", INTEGER, term)
    if not isinstance(term, list | tuple):
        raise TypeError(f"no Erlang term for {term!r}")
    items = b"".join(encode(item) for item in term)
    if isinstance(term, tuple):
        return struct.pack("!BB", SMALL_TUPLE, len(term)) + items
    return struct.pack("!BI", LIST, len(term)) + items + NIL if term else NIL


class Reader:
    """Reads terms from bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self._data = data
        self._at = 0

    def term(self) -> Any:
        """Return the next term; a leading version byte is passed over.

        Strings come as lists of integers, as Erlang has them. Raises ValueError for what is cut
        short, or not known here.
        """
        try:
            if self._data[self._at : self._at + 1] == VERSION:
                self._at += 1
            return self._term()
        except (struct.error, IndexError):
            raise ValueError("an Erlang term that is cut short") from None

    def _term(self) -> Any:
        tag = self._number("!B")
        if tag in _ATOMS:
            return Atom(self._take(self._number(_ATOMS[tag])).decode(errors="replace"))
        if tag in _NUMBERS:
            return self._number(_NUMBERS[tag])
        if tag in _BYTES:
            kind, length = _BYTES[tag]
            return kind(self._take(self._number(length)))
        if tag in _TUPLES:
            return tuple(self._term() for _ in range(self._number(_TUPLES[tag])))
        if tag in _IDENTIFIERS:
            counted, size = _IDENTIFIERS[tag]
            words = self._number("!H") if counted else 0
            return Identifier(tag, self._term(), self._take(size + 4 * words), words)
        return self._less_common(tag)

    def _less_common(self, tag: int) -> Any:
        if tag == NIL[0]:
            return []
        if tag == LIST:
            items = [self._term() for _ in range(self._number("!I"))]
            tail = self._term()
            return items if tail == [] else [*items, tail]
        if tag == MAP:
            return [(self._term(), self._term()) for _ in range(self._number("!I"))]
        if tag in _BIG:
            size, negative = self._number(_BIG[tag]), self._number("!B")
            value = int.from_bytes(self._take(size), "little")
            return -value if negative else value
        raise ValueError(f"an Erlang term with the tag {tag}, which is not known here")

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise IndexError(size)
        self._at += size
        return data
