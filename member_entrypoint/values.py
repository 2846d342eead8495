"""The values that environment variables may have: what each kind allows, and how it is read.

Each `parse_` function takes a text, and raises `WrongValueError` that says what is allowed. What
most starts read needs no regular expression: to compile those takes longer than all the rest.
"""

import re
from collections.abc import Callable

from member_entrypoint.lean_typing import NamedTuple

LONGEST_TIME = 31_536_000.0  # seconds: a year
LONGEST_ATOM = 255  # characters
LONGEST_NAME = 200  # characters before the `@`
WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-")
"""The characters of names."""


class Address(NamedTuple):
    """A host (name or IP address, no brackets) and a TCP port."""

    host: str
    port: int


class WrongValueError(ValueError):
    """Carries what is allowed; the caller knows variable and value."""


def one_of(*choices: str) -> Callable[[str], str]:
    """Return what reads one of `choices`, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise WrongValueError(" or ".join(choices))
        return text.lower()

    return parse


def parse_boolean(text: str) -> bool:
    """Return what `true`, `false`, `1` or `0` means, in any case."""
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise WrongValueError("true, false, 1 or 0")


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits


def seconds_from(lowest: float) -> Callable[[str], float]:
    """Return what reads a number of seconds, `lowest` at least."""

    def parse(text: str) -> float:
        allowed = f"a number of seconds, {lowest:g} to {LONGEST_TIME:.0f}"
        whole, dot, part = text.partition(".")
        if not _is_number(whole, 9) or (dot and not _is_number(part, 9)):
            raise WrongValueError(allowed)
        value = float(text)
        if not lowest <= value <= LONGEST_TIME:
            raise WrongValueError(allowed)
        return value

    return parse


def parse_port(text: str) -> int:
    """Return a TCP port."""
    if not _is_number(text, 5) or not 0 < int(text) < 65536:  # noqa: PLR2004
        raise WrongValueError("a TCP port, 1 to 65535")
    return int(text)


def parse_ordinal(text: str) -> str:
    """Keep the digits as they are: host names are compared as text, `chat-01` is not `chat-1`."""
    if not _is_number(text, 18):
        raise WrongValueError("a whole number, 0 or more")
    return text


def parse_node_name(text: str) -> str:
    """Take what Erlang takes before the `@` (`net_kernel` in OTP), but not what looks a flag."""
    if not 0 < len(text) <= LONGEST_NAME or not WORD.issuperset(text) or text[0] == "-":
        raise WrongValueError("letters, digits, _ and -, not beginning with -")
    return text


def parse_host(text: str) -> str:
    """Return a host: a name or an IP address."""
    if not is_host(text):
        raise WrongValueError("a host name, an IPv4 or an IPv6 address")
    return text


def is_host(text: str) -> bool:
    """Tell whether `text` can stand after the `@` of a node name: host name, IPv4 or IPv6."""
    if len(text) > LONGEST_ATOM:
        return False
    if ":" in text:
        ipv6 = r"(?=.*:.*:)[0-9A-Fa-f:]+(\d{1,3}(\.\d{1,3}){3})?"
        return re.fullmatch(ipv6, text, re.ASCII) is not None
    return all(
        part and WORD.issuperset(part) and "-" not in (part[0], part[-1])
        for part in text.split(".")
    )


def parse_node(text: str) -> str:
    """Return a node name, `NAME@HOST`."""
    name, at, host = text.partition("@")
    allowed = "a node name, NAME@HOST"
    if not at:
        raise WrongValueError(allowed)
    try:
        parse_node_name(name)
    except WrongValueError as error:
        raise WrongValueError(f"{allowed}, NAME of {error}") from None
    if not is_host(host):
        raise WrongValueError(f"{allowed}, HOST a host name or an IP address")
    return text


def is_cookie(text: str) -> bool:
    r"""Tell whether `text` can stand after `-setcookie` in vm.args, and in the release's scripts.

    The scripts use it unquoted (no blanks, no `*?[]`), erlexec reads it from a file where
    quotes, `\` and `#` have meanings, and takes a leading `-` or `+` for a flag.
    """
    return (
        len(text) <= LONGEST_ATOM
        and re.fullmatch(
            r"[!$%&(),./0-9:;<=>@A-Z^_a-z{|}~][!$%&()+,./0-9:;<=>@A-Z^_a-z{|}~-]*", text
        )
        is not None
    )


def parse_cookie(text: str) -> str:
    """Return an Erlang cookie."""
    if not is_cookie(text):
        raise WrongValueError(
            "1 to 255 printable ASCII characters without blanks, quotes, backslashes, "
            "#, *, ?, [ and ], not beginning with - or +"
        )
    return text


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Return addresses that are separated by commas."""
    return tuple(parse_address(part.strip()) for part in text.split(",") if part.strip())


def parse_address(text: str) -> Address:
    """Return an address, `HOST:PORT`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not is_host(host):
        raise WrongValueError("HOST:PORT, several separated by commas, IPv6 as [HOST]:PORT")
    return Address(host, parse_port(port))


def parse_ips(text: str) -> tuple[str, ...]:
    """Return IP addresses that are separated by commas."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if any(not is_host(part) or not re.search(r":|\.\d+\Z", part) for part in parts):
        raise WrongValueError("IP addresses, separated by commas")
    return parts


def parse_path(text: str) -> str:
    """Return an absolute path."""
    if not text.startswith("/") or any(ord(char) < ord(" ") for char in text):
        raise WrongValueError("an absolute path")
    return text


def is_long(host: str) -> bool:
    """Tell whether Erlang takes `host` in a long node name: a dot or a colon is in it."""
    return "." in host or ":" in host
