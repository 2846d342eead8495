"""Reads mongooseim.toml, and says where it is wrong: line and column."""

import re
import tomllib

from member_entrypoint.lean_typing import Any, NamedTuple

_PLACE = re.compile(r"(?s)(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)")


class WrongTomlError(Exception):
    """What is wrong with a file, and where."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        """Take the reason in words, and the place, counted from 1."""
        super().__init__(f"line {line}, column {column}: {reason}")
        self.line = line
        self.column = column


class Toml(NamedTuple):
    """The tables of a file, and its path as operators know it."""

    tables: dict[str, Any]
    path: str


def parse(content: bytes) -> dict[str, Any]:
    """Return the tables of a TOML file; raises `WrongTomlError`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        raise WrongTomlError("this is not UTF-8 text", *_end_of(before)) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.fullmatch(str(error))
        reason = found[1] if found else str(error)
        place = (int(found[2]), int(found[3])) if found and found[2] else _end_of(text)
        raise WrongTomlError(reason, *place) from None
    except (RecursionError, ValueError) as error:
        raise WrongTomlError(f"it cannot be read ({error})", 1, 1) from None


def _end_of(text: str) -> tuple[int, int]:
    """Return line and column of what comes after `text`."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")
