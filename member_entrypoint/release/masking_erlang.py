"""Finds secrets in files of Erlang terms: app.config, mongooseim.cfg, ejabberd.cfg."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from member_entrypoint.release.masking_names import is_harmless, is_sensitive
from member_entrypoint.release.masking_spans import Span, newlines
from member_entrypoint.release.masking_text import SearchedText
from member_entrypoint.terms import CLOSE, MAXIMUM_DEPTH, OPEN, Token, tokens

_PAIRS = {"[": "]", "{": "}", "(": ")", "<<": ">>", "#{": "}"}
_LONGEST_NAME = 100  # characters
_NAME = re.compile(r"-{0,2}[^\W\d][\w.:@ -]{0,100}")
_ENDING = re.compile(r"([\w.-]+)[\s=:]*$")
_ASSIGNS = {"=>", "="}
_DATABASES = {"pgsql", "mysql", "mssql"}
_DATABASE_VALUES = 5  # {pgsql, Host, Database, User, Password}; a port makes one more
_BETWEEN = re.compile(r"[\s,|]*")
_SHOWN = {"true", "false", "undefined"}
_SIGNS = set("+-/:")
_VALUES = {"string", "quoted", "char", "word"}


@dataclass(slots=True)
class _Group:
    """What stands in brackets: its elements, each a list of tokens and groups."""

    opening: str = ""
    start: int = 0
    inside: int = 0
    end: int = 0
    closing: int = 0
    elements: list[list["Token | _Group"]] = field(default_factory=lambda: [[]])


def find(text: str) -> list[Span] | None:
    """Return the secrets of a file; `None` if it is not made of whole Erlang terms."""
    gaps: list[tuple[int, int]] = []
    forms = _parse(_tokens(text, gaps))
    if forms is None:
        return None
    searched = SearchedText(text)
    spans = []
    for form in forms:
        spans += _merged(text, sorted(_find(searched, form, hide=False)))
    return [*spans, *searched.find_in_comments("%", gaps)]


def _tokens(text: str, gaps: list[tuple[int, int]]) -> Iterator[Token]:
    """Yield the tokens of a text; add to `gaps` where there are comments between them."""
    at = 0
    for token in tokens(text):
        if text.find("%", at, token.start) >= 0:
            gaps.append((at, token.start))
        at = token.end
        yield token
    gaps.append((at, len(text)))


def _parse(found: Iterable[Token]) -> list[_Group] | None:
    """Return the terms that end with a dot, each as a group; `None` for anything else."""
    forms = [_Group()]
    open_groups = [*forms]
    for token in found:
        group = open_groups[-1]
        text = token.text if token.kind == "mark" else ""
        if text in OPEN:
            inner = _Group(text, token.start, token.end)
            if not _may_follow(inner, group) or len(open_groups) > MAXIMUM_DEPTH:
                return None
            group.elements[-1].append(inner)
            open_groups.append(inner)
        elif text in CLOSE:
            if _PAIRS.get(group.opening) != text:
                return None
            open_groups.pop()
            group.closing, group.end = token.start, token.end
        elif text in {",", "|"}:
            group.elements.append([])
        elif text == "." and len(open_groups) == 1:
            open_groups = [_Group()]
            forms += open_groups
        elif text == "." or not _may_follow(token, group):
            return None
        else:
            group.elements[-1].append(token)
    is_whole = len(open_groups) == 1 and forms[-1].elements == [[]]
    return forms if is_whole else None


def _may_follow(node: Token | _Group, group: _Group) -> bool:
    """Tell whether a value can stand after the one before it: so it is in Erlang, not in prose."""
    before = group.elements[-1][-1] if group.elements[-1] else None
    if before is None or group.opening == "<<":
        return True
    if isinstance(node, _Group):
        return node.opening == "(" or _is_sign(before)
    if isinstance(before, _Group):
        return _is_sign(node)
    return (
        _is_sign(node)
        or _is_sign(before)
        or before.kind == node.kind == "string"
        or (before.kind == "word" and before.text in {"fun", "not"})
    )


def _is_sign(node: Token | _Group) -> bool:
    return isinstance(node, Token) and (
        node.kind in {"mark", "other"} or (node.kind == "word" and _SIGNS.issuperset(node.text))
    )


def _find(searched: SearchedText, group: _Group, *, hide: bool) -> Iterator[Span]:
    """Yield the secrets inside brackets; all of it is one if `hide` is true."""
    elements = group.elements
    if hide:
        if group.opening == "<<":
            if group.inside < group.closing:
                yield _mask(searched.text, group.inside, group.closing, '"')
            return
        name = _name(elements[0])
        if name and len(elements) > 1 and is_harmless(name, _source(searched.text, elements[1:])):
            return
    database = _password_of_database(elements) if group.opening == "{" else len(elements)
    hide_rest = hide
    for number, element in enumerate(elements):
        hide_rest |= number >= database
        split = next((at for at, node in enumerate(element) if _text(node) in _ASSIGNS), None)
        if split is not None:
            yield from _find_in_pair(
                searched, element[:split], element[split + 1 :], hide=hide_rest
            )
            continue
        yield from _find_in_element(searched, element, hide=hide_rest)
        if not hide_rest and number + 1 < len(elements) and group.opening != "<<":
            name = _name(element) or _name_in_key(element, group)
            hide_rest = is_sensitive(name) and not is_harmless(
                name, _source(searched.text, elements[number + 1 :])
            )


def _find_in_pair(
    searched: SearchedText, left: list[Token | _Group], right: list[Token | _Group], *, hide: bool
) -> Iterator[Span]:
    """Yield the secrets in an element of a map or a record."""
    # `:=` is two tokens.
    name = _name(left[:-1] if left and _text(left[-1]) == ":" else left)
    is_secret = (hide or is_sensitive(name)) and not is_harmless(
        name, _source(searched.text, [right])
    )
    yield from _find_in_element(searched, left, hide=hide and is_secret)
    yield from _find_in_element(searched, right, hide=is_secret)


def _find_in_element(
    searched: SearchedText, element: list[Token | _Group], *, hide: bool
) -> Iterator[Span]:
    for number, node in enumerate(element):
        if isinstance(node, _Group):
            is_call = number > 0 and is_sensitive(_name(element[number - 1 : number]))
            yield from _find(searched, node, hide=hide or is_call)
        elif not hide:
            if node.kind in {"string", "quoted"}:
                yield from searched.find_in(node.start + 1, node.end - 1)
            # A string can be written in parts: "PWD=" "x".
            ending = _ENDING.search(node.text[-_LONGEST_NAME:-1])
            hide = node.kind == "string" and ending is not None and is_sensitive(ending[1])
        elif node.kind in _VALUES and node.text not in _SHOWN and not _is_sign(node):
            yield _mask(searched.text, node.start, node.end, '"' if node.kind == "string" else "'")


def _mask(text: str, start: int, end: int, quote: str) -> Span:
    return Span(start, end, f"{quote}***{quote}{newlines(text, start, end)}")


def _merged(text: str, spans: list[Span]) -> list[Span]:
    """Make one of masks that stand side by side: their number tells how long a secret is."""
    merged: list[Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        if (
            last
            and last.shown.startswith(("'***'", '"***"'))
            and span.shown.startswith(("'***'", '"***"'))
            and _BETWEEN.fullmatch(text, last.end, span.start)
        ):
            merged[-1] = _mask(text, last.start, span.end, last.shown[0])
        else:
            merged.append(span)
    return merged


def _password_of_database(elements: list[list[Token | _Group]]) -> int:
    """Return the number of the password in `{pgsql, Host, Database, User, Password}`."""
    if _name(elements[0]) not in _DATABASES or len(elements) < _DATABASE_VALUES - 1:
        return len(elements)
    has_port = any(_text(node).isdecimal() for node in elements[2])
    return min(_DATABASE_VALUES - 1 + has_port, len(elements) - 1)


def _name(element: list[Token | _Group]) -> str:
    """Return the name that an element is; an empty one if it is something else."""
    if len(element) != 1:
        return ""
    node = element[0]
    if isinstance(node, _Group):
        is_binary = node.opening == "<<" and len(node.elements) == 1
        return _name(node.elements[0][:1]) if is_binary else ""
    if node.kind not in {"string", "quoted", "word"}:
        return ""
    name = node.text if node.kind == "word" else node.text[1:-1]
    return name if _NAME.fullmatch(name) else ""


def _name_in_key(element: list[Token | _Group], group: _Group) -> str:
    """Return the first name of a tuple that is the key of a tuple: `{{password, Host}, "x"}`."""
    node = element[0] if len(element) == 1 else None
    is_key = isinstance(node, _Group) and node.opening == group.opening == "{"
    return _name(node.elements[0]) if is_key and isinstance(node, _Group) else ""


def _source(text: str, elements: list[list[Token | _Group]]) -> str:
    nodes = [node for element in elements for node in element]
    return text[nodes[0].start : nodes[-1].end] if nodes else ""


def _text(node: Token | _Group) -> str:
    return "" if isinstance(node, _Group) else node.text
