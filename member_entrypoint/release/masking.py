"""Shows configuration files without the secrets in them.

Files of a known structure are masked by it; what has no structure, or a broken one, is masked line
by line. What is in doubt is hidden.
"""

import os
import re
from collections.abc import Iterable, Iterator

from member_entrypoint.release.flags import BYTE_ORDER_MARK
from member_entrypoint.release.masking_lines import hide_line
from member_entrypoint.release.masking_names import is_sensitive
from member_entrypoint.release.masking_spans import Span, replace
from member_entrypoint.release.masking_text import SearchedText, lines_of

LARGEST_SHOWN = 1024 * 1024
"""Characters of a file that are shown."""

_TOML = re.compile(r"\.toml\b")
_ERLANG = re.compile(r"\.(?:app|cfg|config|hrl|terms?)\b")
_ARGS = re.compile(r"\.args\b")


def mask(text: str, name: str = "") -> str:
    """Return `text` with all that looks like a secret replaced by `***`.

    `name` is the name of the file, which tells its structure. Masking once more changes nothing,
    and the number of lines stays.
    """
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    text = text.removeprefix(mark)
    return mark + replace(text, _find(text, name))


def _find(text: str, name: str) -> Iterable[Span]:
    spans: list[Span] | None = None
    if _TOML.search(name):
        from member_entrypoint.release import masking_toml

        spans = masking_toml.find(text)
    elif _ERLANG.search(name):
        from member_entrypoint.release import masking_erlang

        spans = masking_erlang.find(text)
    elif _ARGS.search(name):
        from member_entrypoint.release import masking_args

        spans = masking_args.find(text)
    elif is_sensitive(name):
        # A file like `cookie` has nothing else in it.
        return [
            span
            for start, end in lines_of(text, 0, len(text))
            for span in hide_line(text, start, end)
        ]
    return SearchedText(text).find() if spans is None else spans


def shown_files(folder: str, given: str) -> Iterator[tuple[str, str]]:
    """Yield path and content of all files of a folder for the log, without secrets.

    That is its path in the folder `given`, where operators look, if it is the same there. Of a
    large file the first lines are shown. Of what cannot be read as text only that is said.
    """
    for name in sorted(os.listdir(folder)):
        path, there = os.path.join(folder, name), os.path.join(given, name)
        yield there if _same(path, there) else path, _shown(path)


def show_files(folder: str, given: str) -> str:
    """Return all that `shown_files` yields as one text, each file under its path."""
    files = shown_files(folder, given)
    return "".join(f"==> {path} <==\n{content}" for path, content in files)


def _same(one: str, other: str) -> bool:
    if not (os.path.isfile(one) and os.path.isfile(other)):
        return False
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except OSError:
        return False


def _shown(path: str) -> str:
    """Return what is shown of a file: its lines, and a note if those are not all."""
    if not os.path.isfile(path):
        return "(not a file)\n"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(LARGEST_SHOWN + 1)
    except OSError as error:
        return f"(cannot be read: {error.strerror})\n"
    if "\0" in text:
        return "(not a text file)\n"
    note = ""
    if len(text) > LARGEST_SHOWN:
        # The end of a line that is cut might be a part of a name that is not known as such.
        text = text[: text.rfind("\n", 0, LARGEST_SHOWN) + 1]
        note = f"(the rest is not shown: the file has more than {LARGEST_SHOWN} characters)\n"
    shown = mask(text, os.path.basename(path)).rstrip()
    return (f"{shown}\n" if shown or not note else "") + note
