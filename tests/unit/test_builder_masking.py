"""Credentials are taken out, however they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder_entrypoint.masking import (
    HELD_BACK,
    Mask,
    MaskedStream,
    with_credentials,
    without_credentials,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pw@host/x", "https://***@host/x"),
        ("HTTPS://token@host/x", "HTTPS://***@host/x"),
        ("https://u:p@ss@host/x", "https://***@host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("ssh://git:pw@host/x", "ssh://***@host/x"),
        ("git@host:x/y", "git@host:x/y"),
        ("https://host/x@y", "https://host/x@y"),
        ("(https://u:p@h) and (http://t@h)", "(https://***@h) and (http://***@h)"),
        ("https://h/x?private_token=abc&y=1", "https://h/x?private_token=***&y=1"),
        ("https://h/x?a=1&access_token=abc", "https://h/x?a=1&access_token=***"),
    ],
)
def test_credentials_in_addresses_are_masked(text: str, expected: str) -> None:
    """Passwords always, user names in http too, for they may be tokens; the rest stays."""
    assert Mask().text(text) == expected


def test_given_credentials_are_masked_wherever_they_are() -> None:
    """The password of REPO alone, and as the address had it, is masked too."""
    mask = Mask("https://me:p%40ssword@host/x")
    assert mask.text("p@ssword, p%40ssword, me:p%40ssword") == "***, ***, ***"
    assert Mask("https://tokentoken@host").text("tokentoken") == "***"
    assert Mask("ssh://gitty@host/x").text("gitty") == "gitty"


def test_short_passwords_do_not_mask_every_letter() -> None:
    """What would be found in ordinary words is masked in addresses only."""
    assert Mask("https://me:a@host/x").text("a banana https://me:a@host") == (
        "a banana https://***@host"
    )


SECRET = b"hunter22secret"
LINES = st.lists(
    st.sampled_from(
        [b"https://me:" + SECRET + b"@host/x", SECRET, b" ", b"\n", b"word", b"y" * 5000]
    ),
    max_size=12,
)


@given(LINES, st.lists(st.integers(0, 200), max_size=30), st.booleans())
def test_pieces_are_masked_like_the_whole(
    words: list[bytes],
    cuts: list[int],
    idle: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """Wherever output is cut in pieces, and whenever it pauses, the result is the same."""
    mask = Mask(f"https://me:{SECRET.decode()}@host/x")
    whole = b"".join(words)
    stream = MaskedStream(mask)
    result = b""
    rest = whole
    for cut in cuts:
        result += stream.feed(rest[:cut])
        rest = rest[cut:]
        if idle:
            result += stream.idle()
    result += stream.feed(rest) + stream.end()
    assert result == mask.data(whole)


@pytest.mark.parametrize("secret", [SECRET, b"https://you:" + b"p" * 40 + b"@host"])
def test_no_credential_is_cut_in_two(secret: bytes) -> None:
    """Wherever in an endless line a credential is, the part that is shown first has all or none."""
    mask = Mask(f"https://me:{SECRET.decode()}@host/x")
    for after in range(HELD_BACK - 2 * len(secret), HELD_BACK + 2 * len(secret)):
        stream = MaskedStream(mask)
        whole = b"x" * 2 * HELD_BACK + b"/" + secret + b"/" + b"y" * after
        result = stream.feed(whole) + stream.feed(b"z\n")
        assert result == mask.data(whole + b"z\n")


def test_endless_lines_are_passed_on() -> None:
    """A line without an end takes no more than a few kilobytes of memory."""
    stream = MaskedStream(Mask())
    taken = sum(len(stream.feed(b"x" * 1000)) for _ in range(1000))
    assert taken >= 1000 * 1000 - 3 * HELD_BACK
    assert len(stream.end()) <= 3 * HELD_BACK


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("https://u:p@host/x", "https://host/x"),
        ("ssh://git@host/x", "ssh://host/x"),
        ("git@host:x", "git@host:x"),
        ("/a/b@c", "/a/b@c"),
    ],
)
def test_addresses_without_credentials(repository: str, expected: str) -> None:
    """The key of a mirror has no user in it."""
    assert without_credentials(repository) == expected


@pytest.mark.parametrize(
    ("address", "repository", "expected"),
    [
        ("https://host/y", "https://u:p@host/x", "https://u:p@host/y"),
        ("https://host:8443/y", "https://u:p@host/x", "https://host:8443/y"),
        ("https://host.example.com/y", "https://u:p@host/x", "https://host.example.com/y"),
        ("http://host/y", "https://u:p@host/x", "http://host/y"),
        ("https://v:q@host/y", "https://u:p@host/x", "https://v:q@host/y"),
        ("https://host/y", "https://host/x", "https://host/y"),
        ("https://host/y", "/a/b", "https://host/y"),
        ("/a/c", "/a/b", "/a/c"),
    ],
)
def test_credentials_go_to_their_own_server_only(
    address: str, repository: str, expected: str
) -> None:
    """Scheme, host and port are the same, and the address has none of its own."""
    assert with_credentials(address, repository) == expected
