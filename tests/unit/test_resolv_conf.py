"""resolv.conf as it is in the world: what the C library passes over is passed over here."""

import io

import dns.resolver
import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.network.resolv_conf import usable

LABEL = "a" * 63
LONG_NAME = ".".join([LABEL, LABEL, LABEL, "a" * 61])
GOOD = b"nameserver 10.0.0.1\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"nameserver localhost", "nameserver 'localhost' (no IP address)"),
        (b"nameserver 127.0.0.11:53", "nameserver '127.0.0.11:53' (no IP address)"),
        (b"nameserver 1.2.3", "nameserver '1.2.3' (no IP address)"),
        (f"search {LABEL}a.local".encode(), f"search '{LABEL[:57]}...' (no name)"),
        (b"search a..b", "search 'a..b' (no name)"),
        (b"domain caf\xe9", "domain 'caf\\\\xe9' (no name)"),
        (b"domain caf\xc3\xa9", "domain 'caf\\\\xc3\\\\xa9' (no name)"),
        (b"options ndots:x", "options 'ndots:x'"),
        (b"options no-such", "options 'no-such'"),
        (b"options no-such:1", "options 'no-such:1'"),
        (b"options ndots:", "options 'ndots:'"),
        (b"search " + b"a" * 59 + b"..", f"search '{'a' * 57}...' (no name)"),
        (b"search " + b"a" * 58 + b"..", f"search '{'a' * 58}..' (no name)"),
        (b"search " + LONG_NAME.encode() + b"a", f"search '{LONG_NAME[:57]}...' (no name)"),
        (b"lookup file bind", "'lookup file bind' (no nameserver, domain, "),
        (b"nameserver 10.0.0.1\0", "nameserver '10.0.0.1\\x00' (no IP address)"),
        (b"nameserver", "'nameserver' (no nameserver, domain, "),
        (b" nameserver 10.0.0.9", "'nameserver 10.0.0.9' (no nameserver, domain, "),
        (b"\xff\xfe\0", "'\\\\xff\\\\xfe\\x00' (no nameserver, domain, "),
    ],
)
def test_a_line_that_cannot_be_used_is_passed_over_and_named(line: bytes, said: str) -> None:
    """The others count."""
    found = usable(line + b"\n" + GOOD)
    assert found.text == GOOD.decode()
    (passed_over,) = found.passed_over
    assert passed_over.startswith(said)


@pytest.mark.parametrize(
    ("given_text", "text"),
    [
        (b"# caf\xe9\n; note\n\n" + GOOD, GOOD.decode()),
        (b"nameserver 10.0.0.1 # note\r\n", GOOD.decode()),
        (b"nameserver fe80::1%eth0\n", "nameserver fe80::1%eth0\n"),
        (b"search a. b.c\n", "search a. b.c\n"),
        (b"search a\ndomain b c\n", "search a\nsearch b\n"),
        (b"search .\n", "search .\n"),
        (f"search {LABEL}.b\n".encode(), f"search {LABEL}.b\n"),
        (f"search {LONG_NAME}.\n".encode(), f"search {LONG_NAME}.\n"),
        (b"options ndots:0 timeout:30\n", "options ndots:0 timeout:30\n"),
        (b"sortlist 10.0.0.0\n", ""),
        (b"options ndots:5 rotate trust-ad\n", "options ndots:5 rotate trust-ad\n"),
        (b"options ndots:99 timeout:0 attempts:7\n", "options ndots:15 timeout:1 attempts:5\n"),
        (b"nameserver 10.0.0.1", GOOD.decode()),
    ],
)
def test_what_the_c_library_takes_is_taken(given_text: bytes, text: str) -> None:
    """In its bounds, and without a word."""
    assert usable(given_text) == (text, ())


def test_a_search_domain_that_is_no_name_does_not_cost_the_others() -> None:
    """As with one that is too long."""
    found = usable(f"search {LABEL}a ok.local\n".encode())
    assert found.text == "search ok.local\n"


def test_all_that_is_passed_over_is_named() -> None:
    """In the order of the lines."""
    found = usable(b"lookup x\noptions x\nsearch a..b ..\ndomain c..d\n")
    assert [line.partition(" (")[0] for line in found.passed_over] == [
        "'lookup x'",
        "options 'x'",
        "search 'a..b'",
        "search '..'",
        "domain 'c..d'",
    ]


def test_three_servers_count() -> None:
    """The C library asks no more; the fourth is named."""
    lines = b"".join(b"nameserver 10.0.0.%d\n" % number for number in range(1, 6))
    found = usable(lines)
    assert found.text.count("nameserver") == 3
    assert found.passed_over == tuple(
        f"nameserver 10.0.0.{number} (only the first 3 count)" for number in (4, 5)
    )


known = b"""nameserver search domain options 10.0.0.1 ::1 fe80::1%x a.b ndots:3 rotate # edns0 .
timeout:9999999999999 ndots:\xb2"""
words = st.sampled_from(known.split()) | st.binary(max_size=70)


@given(
    st.lists(
        st.tuples(words, st.sampled_from([b" ", b"\n", b"\t", b"\r\n", b"\0", b""])), max_size=30
    )
)
def test_no_bytes_make_the_resolver_fail(parts: list[tuple[bytes, bytes]]) -> None:
    """There was a traceback for a Latin-1 letter in a comment."""
    found = usable(b"".join(word + after for word, after in parts))
    try:
        resolver = dns.resolver.Resolver(io.StringIO(found.text))
    except dns.resolver.NoResolverConfiguration:
        assert "nameserver " not in [line[:11] for line in found.text.splitlines()]
        return
    assert 1 <= len(resolver.nameservers) <= 3
    assert resolver.ndots is None or 0 <= resolver.ndots <= 15
    assert 0 < resolver.timeout <= 30
