"""Finds secrets that are known by their own form, whatever name they have.

Each pattern looks at a piece of text once: the time is linear, whatever the text is.
"""

import re
from collections.abc import Iterator

from member_entrypoint.release.masking_spans import Span

_RUN = re.compile(r"""[^\s"'<>]+""")
_URL = "://"
_LAST_WORD = re.compile(r"[\w.+-]+$")
_NEAR = 20  # characters
_ADDRESS_SCHEMES = {"acct", "jid", "mailto", "sip", "sips", "xmpp"}
_TOKEN = re.compile(r"[\w.-]+")
_WEB_SIGN = "eyJ"  # `{"` in base64: so JSON Web Tokens begin
_KNOWN_TOKEN = re.compile(
    r"(?:AKIA|ASIA)[A-Z0-9]{16}$|gh[a-z]_\w{20}|github_pat_|glpat-|xox[a-z]-|sk-\w{16}"
)
_LONG = re.compile(r"[A-Za-z0-9+/_-]{38,}={0,2}")  # with what base64 is filled up with
_LEAST = 40  # characters
_LOWER, _UPPER, _DIGIT = re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]")
_SCHEME = re.compile(r"\b(?:(bearer)|basic)[ \t]{1,9}([^\s\"',;]{4,})", re.IGNORECASE)
_UID = re.compile(r"\buid[ \t]{0,9}=[ \t]{0,9}([^;\"'\s]{1,200})", re.IGNORECASE)


def find(text: str) -> Iterator[Span]:
    """Yield the secrets that are in `text`."""
    for run in _RUN.finditer(text):
        yield from _in_addresses(run)
    for word in _TOKEN.finditer(text):
        begin = word[0].find(_WEB_SIGN)
        if (begin >= 0 and "." in word[0][begin:]) or _KNOWN_TOKEN.match(word[0]):
            yield Span(*word.span())
    for word in _LONG.finditer(text):
        # Names and hashes of commits have no letters of both cases.
        kinds = all(kind.search(word[0]) for kind in (_LOWER, _UPPER, _DIGIT))
        if kinds and len(word[0]) >= _LEAST:
            yield Span(*word.span())
    for match in _SCHEME.finditer(text):
        if match[1] or not match[2].isalpha() or not match[2].islower():
            yield Span(*match.span(2))
    for match in _UID.finditer(text):
        # Of a connection string, not of an LDAP name.
        before = text[max(0, match.start() - _NEAR) : match.start()]
        if text.startswith(";", match.end()) or before.rstrip(" \t").endswith(";"):
            yield Span(*match.span(1))


def _in_addresses(run: re.Match[str]) -> Iterator[Span]:
    """Yield the user and the password of each URL in a run of characters without blanks."""
    text, at = run[0], run.start()
    scheme = text.find(_URL)
    if scheme < 0:
        colon, sign = text.find(":"), text.rfind("@")
        word = _LAST_WORD.search(text, max(0, colon - _NEAR), max(0, colon))
        is_address = word is None or word[0].lower() in _ADDRESS_SCHEMES
        if not is_address and colon < sign - 1 and text.find("/", colon, sign) < 0:
            yield Span(at + colon + 1, at + sign)
        return
    while scheme >= 0:
        begin = scheme + len(_URL)
        scheme = text.find(_URL, begin)
        stop = len(text) if scheme < 0 else scheme
        sign = text.rfind("@", begin, stop)
        slash = text.find("/", begin, stop)
        # An @ in a path is no password's, unless the password has the slash in it.
        if sign >= 0 and (slash < 0 or re.search("[:@]", text[begin:slash])):
            yield Span(at + begin, at + sign)
