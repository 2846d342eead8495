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


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    """Git and file systems allow any, which Python has as surrogates."""
    mask = Mask("https://me:p\udcffssword@host/x")
    assert mask.text("p\udcffssword \udcfe") == "*** \udcfe"
    assert without_credentials("https://u:p@host/\udcff") == "https://host/\udcff"
    assert with_credentials("https://host/\udcfe", "https://u@host/\udcff") == (
        "https://u@host/\udcfe"
    )


def test_a_port_is_no_part_of_the_scheme() -> None:
    """A user name alone is a secret in http only, also where a port is given."""
    assert Mask("http://tokentoken@host:8080/x").text("tokentoken") == "***"
    assert Mask("HTTP://tokentoken@host").text("tokentoken") == "***"
    assert Mask("ssh://gitty@host:22/x").text("gitty") == "gitty"


def test_complete_lines_are_passed_on_at_once() -> None:
    """All that have arrived; what follows waits for its end."""
    stream = MaskedStream(Mask())
    assert (stream.feed(b"one\ntwo\nthr"), stream.pending) == (b"one\ntwo\n", True)
    assert stream.feed(b"ee") == b""
    assert (stream.feed(b"\n"), stream.pending) == (b"three\n", False)


def test_complete_words_are_passed_on_in_a_pause() -> None:
    """A question without a line's end must be seen; half a credential must not."""
    stream = MaskedStream(Mask("https://me:hunter22@host"))
    stream.feed(b"Overwrite? hunter22 [yes/no] hunt")
    assert stream.idle() == b"Overwrite? *** [yes/no] "
    assert stream.idle() == b""
    assert (stream.end(), stream.pending) == (b"hunt", False)


def test_of_an_endless_line_only_the_beginning_is_passed_on() -> None:
    """When more is held back than twice what a credential may be long; complete lines before it."""
    stream = MaskedStream(Mask())
    assert stream.feed(b"x" * 2 * HELD_BACK) == b""
    assert stream.feed(b"y") == b"x" * HELD_BACK + b"x"
    assert stream.end() == b"x" * (HELD_BACK - 1) + b"y"
    assert stream.feed(b"line\n" + b"z" * 2 * HELD_BACK) == b"line\n"
    assert stream.feed(b"z") == b"z" * (HELD_BACK + 1)
    stream = MaskedStream(Mask())
    ends = b"line\n" + b"z" * (HELD_BACK + 1)
    assert stream.feed(b"line\n" + b"z" * (2 * HELD_BACK + 1)) == ends


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


def test_a_credential_that_is_longer_than_what_is_held_back_is_not_cut() -> None:
    """Not even the address before it is passed on: without it, nobody knew what it is."""
    stream = MaskedStream(Mask())
    assert stream.feed(b"https://me:" + b"p" * 5000 + b"@host/" + b"y" * 4000) == b""
    assert stream.end() == b"https://***@host/" + b"y" * 4000


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
