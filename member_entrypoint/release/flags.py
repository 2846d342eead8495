"""The one parser of the VM's flags: vm.args, files that it names, and the environment.

Words and flags are taken as OTP takes them: `erlexec` splits words, `init` groups them. A quote
ends at the next quote of its kind, over lines too; a backslash outside of quotes takes the next
character as it is; `#` outside of quotes begins a comment, in files only. Source:
`build_args_from_string` and `initial_argv_massage` in OTP's erts/etc/common/erlexec.c.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping

from member_entrypoint.files.whole import regular
from member_entrypoint.lean_typing import NamedTuple

BYTE_ORDER_MARK = "\ufeff"
MOST_FILES = 20  # that files name by -args_file; OTP would follow a circle for ever
_WORD = r"""(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|\\(?:.|\Z)|[^\s"'\\%s])+"""
# Compiled at the first use: most starts need one of these, on the way to the VM's start.
_WORDS = {True: (_WORD % "#") + r"|\#[^\n]*", False: _WORD % ""}
_PIECE = r""""([^"]*)(?:"|\Z)|'([^']*)(?:'|\Z)|\\(.?)"""
_QUOTING = {'"', "'", "\\"}


class Word(NamedTuple):
    """A word as the VM gets it, and where it stands in its text, quotes included."""

    text: str
    start: int
    end: int


class Flag(NamedTuple):
    """A flag with the sign before it (`-sname`, `+K`), and the words up to the next flag."""

    word: Word
    values: tuple[Word, ...]

    @property
    def name(self) -> str:
        """The flag with its sign."""
        return self.word.text

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as text."""
        return tuple(value.text for value in self.values)

    @property
    def end(self) -> int:
        """Where its last word ends."""
        return self.values[-1].end if self.values else self.word.end


def words(text: str, *, comments: bool = True) -> Iterator[Word]:
    """Yield the words of a text; `comments` is true for files, false for the environment."""
    if not text:
        return
    for match in re.finditer(_WORDS[comments], text, re.DOTALL | re.ASCII):
        word = match[0]
        # A comment begins where no word can.
        if comments and word[0] == "#":
            continue
        if not _QUOTING.isdisjoint(word):
            word = re.sub(_PIECE, _unquoted, word)
        yield Word(word, match.start(), match.end())


def _unquoted(match: re.Match[str]) -> str:
    return match[1] or match[2] or match[3] or ""


def flags(found: Iterable[Word]) -> Iterator[Flag]:
    """Group words into flags; values without a flag before them, and all after -extra, are left."""
    current: Word | None = None
    values: list[Word] = []
    for word in found:
        if word.text[:1] in {"-", "+"}:
            if current is not None:
                yield Flag(current, tuple(values))
            current, values = word, []
            if word.text == "-extra":
                return
            if word.text == "--":
                current = None
        elif current is not None:
            values.append(word)
    if current is not None:
        yield Flag(current, tuple(values))


class Flags:
    """All flags of the release's VM, in the order in which it takes them."""

    def __init__(self, found: Iterable[Flag]) -> None:
        """Keep the texts of the values of each flag, by its name without the sign `-`."""
        self._values: dict[str, list[tuple[str, ...]]] = {}
        for flag in found:
            self._values.setdefault(flag.name.removeprefix("-"), []).append(flag.texts)

    def __contains__(self, name: str) -> bool:
        """Tell whether the flag `-name` is given."""
        return name in self._values

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of the last `-name`; `default` if there is none."""
        given = [values for values in self._values.get(name, []) if values]
        return given[-1][0] if given else default

    def first(self, name: str) -> str:
        """Return the first value of the first `-name`; empty if there is none."""
        return next((values[0] for values in self._values.get(name, []) if values), "")

    def all(self, name: str) -> list[tuple[str, ...]]:
        """Return the values of each `-name`, in their order."""
        return self._values.get(name, [])

    def parameter(self, application: str, name: str) -> str:
        """Return the parameter of an application (`-kernel NAME VALUE ...`); empty without it.

        The first flag that has it counts, and in it the last of its values (seen with OTP 25).
        """
        for values in self._values.get(application, []):
            found = dict(zip(values[::2], values[1::2], strict=False))
            if name in found:
                return found[name]
        return ""


def read(
    folder: str,
    names: Iterable[str],
    environment: Mapping[str, str],
    *,
    current: str,
    unwritten: Mapping[str, bytes] | None = None,
) -> Flags:
    """Return the flags of the files `names` in `folder` and of the environment.

    The environment's are those of the variables ERL_AFLAGS, ERL_FLAGS and ERL_ZFLAGS. `current` is
    the folder in which the VM is started: relative paths after -args_file begin there. Files that
    cannot be read have no flags: the VM says so. `unwritten` are contents of files in `folder` by
    name, which count instead of those on the disk.
    """
    found = [*flags(words(environment.get("ERL_AFLAGS", ""), comments=False))]
    left = [MOST_FILES]
    contents = {os.path.join(folder, name): text for name, text in (unwritten or {}).items()}
    for name in names:
        found += flags(_of_file(os.path.join(folder, name), current, left, contents))
    for name in ("ERL_FLAGS", "ERL_ZFLAGS"):
        found += flags(words(environment.get(name, ""), comments=False))
    return Flags(found)


def _of_file(
    path: str, current: str, left: list[int], contents: Mapping[str, bytes]
) -> Iterator[Word]:
    """Yield the words of a file, with those of files that it names in their places."""
    left[0] -= 1
    if left[0] < 0:
        return
    content = contents.get(path)
    found = words(_text(path) if content is None else _decoded(content))
    for word in found:
        if word.text != "-args_file":
            yield word
        elif named := next(found, None):
            yield from _of_file(os.path.join(current, named.text), current, left, contents)


def _text(path: str) -> str:
    try:
        with open(path, "rb", opener=regular) as file:
            return _decoded(file.read())
    except OSError:
        return ""


def _decoded(content: bytes) -> str:
    return content.decode(errors="replace").removeprefix(BYTE_ORDER_MARK)
