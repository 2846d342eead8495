"""resolv.conf as the C library reads it: what cannot be used is passed over, not an error.

dnspython is stricter (a name as server, a search domain with a label of 64 characters, or bytes
that are no UTF-8 make it fail) and in other points less strict, so it gets the lines that the C
library would use. Source: resolv.conf(5), and glibc's resolv/res_init.c.
"""

from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.network.addresses import is_address

MOST_SERVERS = 3  # MAXNS of the C library
LONGEST_NAME = 253  # characters of a search domain, without the last dot
LONGEST_LABEL = 63
LARGEST_NDOTS = 15
LONGEST_TIMEOUT = 30  # seconds
KEYWORDS = ("nameserver", "domain", "search", "sortlist", "options")
OPTIONS = {
    *("debug", "rotate", "no-check-names", "inet6", "edns0", "single-request", "no-tld-query"),
    *("single-request-reopen", "use-vc", "no-reload", "trust-ad", "no-aaaa", "no_tld_query"),
    *("ip6-bytestring", "ip6-dotint", "no-ip6-dotint"),
}
NUMBERS = {"ndots": LARGEST_NDOTS, "timeout": LONGEST_TIMEOUT, "attempts": 5}


class Usable(NamedTuple):
    """The lines that can be used, as one text, and what was passed over, in words."""

    text: str
    passed_over: tuple[str, ...]


def read(path: str) -> Usable:
    """Return what can be used of the file at `path`; raises OSError."""
    with open(path, "rb") as file:
        return usable(file.read())


def usable(content: bytes) -> Usable:
    """Return what can be used of the content of such a file, whatever its bytes."""
    kept: list[str] = []
    passed_over: list[str] = []
    servers = 0
    for line in content.decode("ascii", errors="backslashreplace").split("\n"):
        if line.startswith(("#", ";")) or not line.strip():
            continue
        keyword, *words = line.split()
        if line[0].isspace() or keyword not in KEYWORDS or not words:
            passed_over.append(f"{_short(line)} (no {', '.join(KEYWORDS)} with a value)")
        elif keyword == "nameserver":
            if not is_address(words[0].partition("%")[0]):
                passed_over.append(f"nameserver {_short(words[0])} (no IP address)")
            elif servers == MOST_SERVERS:
                passed_over.append(f"nameserver {words[0]} (only the first {MOST_SERVERS} count)")
            else:
                servers += 1
                kept.append(f"nameserver {words[0]}")
        elif keyword == "options":
            good = [option for option in map(_option, words) if option]
            passed_over += [f"options {_short(word)}" for word in words if not _option(word)]
            kept += [" ".join([keyword, *good])] if good else []
        elif keyword != "sortlist":
            if keyword == "domain":
                words = words[:1]
            good = [word for word in words if _is_domain(word)]
            passed_over += [
                f"{keyword} {_short(word)} (no name)" for word in words if word not in good
            ]
            # `domain` and `search` are one list, of which the last one counts.
            kept += [" ".join(["search", *good])] if good else []
    return Usable("".join(f"{line}\n" for line in kept), tuple(passed_over))


def _option(word: str) -> str:
    """Return an option as dnspython takes it, in the bounds of the C library; empty for another."""
    name, colon, value = word.partition(":")
    if name in NUMBERS and colon:
        if not (value.isascii() and value.isdecimal()):
            return ""
        least = 0 if name == "ndots" else 1
        return f"{name}:{max(least, min(int(value[:9]), NUMBERS[name]))}"
    return word if word in OPTIONS else ""


def _is_domain(word: str) -> bool:
    labels = word.removesuffix(".").split(".")
    if word == ".":
        return True
    if "\\" in word or len(word.removesuffix(".")) > LONGEST_NAME:
        return False
    return all(0 < len(label) <= LONGEST_LABEL for label in labels)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")  # noqa: PLR2004
