"""What the value of a variable may be: the limits of each kind, and the words that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from member_entrypoint import values
from member_entrypoint.values import Address, WrongValueError

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "letters, digits, _ and -, not beginning with -"
SECONDS = "a number of seconds, 0.5 to 31536000"
HOST = "a host name, an IPv4 or an IPv6 address"
NODE = "a node name, NAME@HOST"
COOKIE = (
    "1 to 255 printable ASCII characters without blanks, quotes, backslashes, "
    "#, *, ?, [ and ], not beginning with - or +"
)
ADDRESS = "HOST:PORT, several separated by commas, IPv6 as [HOST]:PORT"
PORT = "a TCP port, 1 to 65535"
IPS = "IP addresses, separated by commas"


def one_or_two(text: str) -> str:
    """Read one of two choices."""
    return values.one_of("one", "two")(text)


def seconds(text: str) -> float:
    """Read a number of seconds, half a second at least."""
    return values.seconds_from(0.5)(text)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (one_or_two, "TWO", "two"),
        (one_or_two, "one", "one"),
        (values.parse_boolean, "True", True),
        (values.parse_boolean, "FALSE", False),
        (seconds, "0.5", 0.5),
        (seconds, "31536000", 31_536_000.0),
        (seconds, "000000001.000000001", 1.000000001),
        (values.parse_port, "65535", 65535),
        (values.parse_port, "1", 1),
        (values.parse_ordinal, "007", "007"),
        (values.parse_ordinal, "1" * 18, "1" * 18),
        (values.parse_node_name, "Chat_1-X", "Chat_1-X"),
        (values.parse_node_name, "_", "_"),
        (values.parse_node_name, "a" * 200, "a" * 200),
        (values.parse_host, "Chat-1.Example.ORG", "Chat-1.Example.ORG"),
        (values.parse_host, "_a-b._", "_a-b._"),
        (values.parse_host, "FD00::A", "FD00::A"),
        (values.parse_host, "a" * 255, "a" * 255),
        (values.parse_node, "Chat@Host", "Chat@Host"),
        (values.parse_cookie, "S3CRET+/=", "S3CRET+/="),
        (values.parse_address, "db:5432", Address("db", 5432)),
        (values.parse_address, "[::1]:80", Address("::1", 80)),
        (values.parse_addresses, " a:1 ,, b:2,", (Address("a", 1), Address("b", 2))),
        (values.parse_ips, "10.0.0.1, ::1", ("10.0.0.1", "::1")),
        (values.parse_path, "/with a blank", "/with a blank"),
    ],
)
def test_what_is_allowed_is_taken(parse: Callable[[str], Any], text: str, expected: object) -> None:
    """Up to the limits, in both cases of letters."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("parse", "text", "allowed"),
    [
        (one_or_two, "three", "one or two"),
        (values.parse_boolean, "yes", "true, false, 1 or 0"),
        (seconds, "0.4", SECONDS),
        (seconds, "31536001", SECONDS),
        (seconds, "1e3", SECONDS),
        (seconds, "\u0661", SECONDS),
        (seconds, "1.", SECONDS),
        (seconds, ".5", SECONDS),
        (seconds, "1.5.5", SECONDS),
        (seconds, "0000000001", SECONDS),
        (seconds, "1.0000000001", SECONDS),
        (values.parse_port, "0", PORT),
        (values.parse_port, "", PORT),
        (values.parse_port, "a", PORT),
        (values.parse_port, "000001", PORT),
        (values.parse_port, "65536", PORT),
        (values.parse_ordinal, "-1", "a whole number, 0 or more"),
        (values.parse_ordinal, "1" * 19, "a whole number, 0 or more"),
        (values.parse_node_name, "", NAME),
        (values.parse_node_name, "a" * 201, NAME),
        (values.parse_node_name, "-a", NAME),
        (values.parse_node_name, "\u017fa", NAME),
        (values.parse_host, "a b", HOST),
        (values.parse_host, "a..b", HOST),
        (values.parse_host, "-abc", HOST),
        (values.parse_host, "abc-", HOST),
        (values.parse_host, "a.-bc", HOST),
        (values.parse_host, "ab-.c", HOST),
        (values.parse_host, "a:b", HOST),
        (values.parse_host, "a" * 256, HOST),
        (values.parse_host, "::1.2.3.\u0664", HOST),
        (values.parse_node, "chat", NODE),
        (values.parse_node, "a b@c", f"{NODE}, NAME of {NAME}"),
        (values.parse_node, "a@b@c", f"{NODE}, HOST a host name or an IP address"),
        (values.parse_cookie, "a b", COOKIE),
        (values.parse_address, "db", ADDRESS),
        (values.parse_address, "::1:80", ADDRESS),
        (values.parse_address, "[::1:80", ADDRESS),
        (values.parse_address, "::1]:80", ADDRESS),
        (values.parse_address, "db:0", PORT),
        (values.parse_ips, "localhost", IPS),
        (values.parse_path, "relative", "an absolute path"),
        (values.parse_path, "/a\x1fb", "an absolute path"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(
    parse: Callable[[str], Any], text: str, allowed: str
) -> None:
    """Just beyond the limits; an operator reads these words after `allowed:`."""
    with pytest.raises(WrongValueError) as refusal:
        parse(text)
    assert str(refusal.value) == allowed
