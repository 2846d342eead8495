"""Erlang's external term format: what real Erlang wrote and read, and what is malformed."""

import random
from typing import Any

import golden_vectors as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_values import typed

from member_entrypoint import terms
from member_entrypoint.erlang import etf
from member_entrypoint.erlang.etf import Identifier, Reader, encode
from member_entrypoint.terms import MAXIMUM_DEPTH, Atom, TermError

VECTORS = golden.load("terms")
SUPPORTED = [name for name, (_, value) in golden.READ.items() if value is not golden.UNSUPPORTED]
UNSUPPORTED = sorted(golden.READ.keys() - set(SUPPORTED))
# What `terms` does not have: pids and the like, maps, tails.
NOT_AS_TEXT = {"map", "improper list", "longest Unicode atom"} | {
    name for name in SUPPORTED if isinstance(golden.READ[name][1], Identifier)
}

atoms = st.text(st.characters(codec="utf-8"), max_size=255).map(Atom)
identifiers = st.one_of(
    st.builds(
        lambda tag, node, rest: Identifier(tag, node, rest[: etf._IDENTIFIERS[tag][1]]),  # noqa: SLF001
        st.sampled_from([88, 89, 101, 102, 103, 120]),
        atoms,
        st.binary(min_size=12, max_size=12),
    ),
    st.builds(
        lambda node, words: Identifier(90, node, b"\0\0\0\1" + b"".join(words), len(words)),
        atoms,
        st.lists(st.binary(min_size=4, max_size=4), max_size=5),
    ),
)
plain = st.one_of(
    atoms,
    st.integers(),
    st.integers(-(2**3000), 2**3000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(),
    identifiers,
)
values = st.recursive(
    plain, lambda inner: st.lists(inner) | st.lists(inner).map(tuple), max_leaves=30
)


def read(data: bytes) -> Any:
    """Return the one term in `data`."""
    return Reader(data).term()


def test_all_vectors_are_there() -> None:
    """The files are made again when their list has changed."""
    assert golden.READ.keys() == VECTORS.keys()
    assert golden.WRITTEN.keys() == golden.load("written").keys()


@pytest.mark.parametrize("name", SUPPORTED)
def test_what_erlang_writes_is_read(name: str) -> None:
    """Each form of each kind of term has the value that Erlang gave it."""
    data = bytes.fromhex(VECTORS[name]["bytes"])
    assert typed(golden.READ[name][1]) == typed(read(data))


@pytest.mark.parametrize("name", sorted(set(SUPPORTED) - NOT_AS_TEXT))
def test_bytes_and_text_of_a_term_have_one_value(name: str) -> None:
    """What `~w` of Erlang prints is read as what `term_to_binary` of Erlang writes."""
    assert typed(read(bytes.fromhex(VECTORS[name]["bytes"]))) == typed(
        terms.read(VECTORS[name]["text"])
    )


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_terms_that_are_not_supported_are_an_error(name: str) -> None:
    """Funs and bit strings are said to be unsupported, by their tag."""
    data = bytes.fromhex(VECTORS[name]["bytes"])
    with pytest.raises(TermError, match=f"tag {data[1]}, which is not supported"):
        read(data)


@pytest.mark.parametrize("name", golden.WRITTEN)
def test_what_we_write_erlang_reads(name: str) -> None:
    """The bytes are those that Erlang read, and printed as the text that we would write."""
    for value, vector in zip(golden.WRITTEN[name], golden.load("written")[name], strict=True):
        assert vector["bytes"] == (b"\x83" + encode(value)).hex()
        if vector["text"] and not isinstance(value, Identifier):
            assert typed(terms.read(terms.write(value))) == typed(terms.read(vector["text"]))


@given(values)
def test_what_is_written_is_read(value: Any) -> None:
    """Reading is the reverse of writing, for one term and for terms in a row."""
    assert typed(value) == typed(read(encode(value)))
    reader = Reader(etf.VERSION + encode(value) + etf.VERSION + encode([value]))
    assert [typed(value), typed([value])] == [typed(reader.term()), typed(reader.term())]


@pytest.mark.parametrize(("value", "atom"), [(True, Atom("true")), (False, Atom("false"))])
def test_truth_values_are_atoms(*, value: bool, atom: Atom) -> None:
    """As Erlang has them; they are no integers."""
    assert typed(read(encode(value))) == typed(atom)


def test_text_is_written_as_a_list_of_characters() -> None:
    """Erlang's strings are lists."""
    assert read(encode("a世")) == [97, 0x4E16]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Atom("a" * 256), "an atom of 256 characters"),
        (Atom("\ud800"), "no Erlang atom"),
        (float("nan"), "no Erlang term for nan"),
        (float("inf"), "no Erlang term for inf"),
        (None, "no Erlang term for None"),
        ([{}], "no Erlang term for {}"),
        (golden.nested(100_000), "nested deeper"),
    ],
)
def test_what_erlang_does_not_have_is_not_written(value: Any, said: str) -> None:
    """The error says what it is."""
    with pytest.raises(TermError, match=said):
        encode(value)


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_term_that_is_cut_is_an_error(name: str) -> None:
    """Wherever the bytes end: each proper beginning is malformed."""
    data = bytes.fromhex(VECTORS[name]["bytes"])
    for size in range(len(data)):
        with pytest.raises(TermError):
            read(data[:size])


@pytest.mark.parametrize("name", golden.READ)
def test_a_term_with_a_wrong_byte_is_an_error_or_another_term(name: str) -> None:
    """Nothing else gets out, whichever bit is flipped."""
    data = bytes.fromhex(VECTORS[name]["bytes"])
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            read_or_fail(bytes(changed))


@given(st.binary())
def test_any_bytes_are_an_error_or_a_term(data: bytes) -> None:
    """Nothing else gets out."""
    read_or_fail(data)


def read_or_fail(data: bytes) -> None:
    """Read a term or get our error; what is read can be written."""
    try:
        value = read(data)
    except TermError:
        return
    terms.show(value)


@pytest.mark.parametrize(
    "data",
    [
        "6cffffffff",
        "69ffffffff",
        "74ffffffff",
        "6dffffffff",
        "6fffffffff00",
        "6cffffffff" * 2000,
        "6801" * 100_000,
        "7400000001" * 100_000,
        "6c00000001" * 100_000,
        "58" * 100_000,
        "72ffff" * 100_000,
    ],
)
def test_bytes_that_promise_much_are_an_error(data: str) -> None:
    """Huge counts and deep nesting cost neither memory nor the stack."""
    with pytest.raises(TermError):
        read(bytes.fromhex(data))


def test_more_terms_than_can_be_read_in_time_are_an_error() -> None:
    """One packet has no more than a second's work in it."""
    count = etf.MOST_TERMS
    with pytest.raises(TermError, match="more than"):
        read(b"l" + count.to_bytes(4) + b"j" * count + b"j")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"w\x02\xc3\x28", "not UTF-8"),
        (b"w\x03\xed\xa0\x80", "not UTF-8"),
        (b"d\x01\x00" + b"a" * 256, "256 characters"),
        (b"F\x7f\xf0\0\0\0\0\0\0", "the float inf"),
        (b"F\x7f\xf8\0\0\0\0\0\0", "the float nan"),
        (b"Xa\x01" + b"\0" * 12, "without a node"),
        (b"", "cut short"),
        (b"\x83\x83j", "tag 131"),
    ],
)
def test_what_erlang_never_writes_is_an_error(data: bytes, said: str) -> None:
    """Atoms, floats and pids are as Erlang has them, or nothing."""
    with pytest.raises(TermError, match=said):
        read(data)


def test_the_deepest_term_is_read_and_written() -> None:
    """The limit of nesting is the same for bytes and text, both ways."""
    deepest, deeper = golden.nested(MAXIMUM_DEPTH - 1), golden.nested(MAXIMUM_DEPTH)
    assert read(encode(deepest)) == deepest == terms.read(terms.write(deepest))
    for attempt in (encode, terms.write):
        with pytest.raises(TermError, match="nested deeper"):
            attempt(deeper)
    data = bytearray(encode(deepest))
    data[-1:] = b"h\x01h\x01j"
    with pytest.raises(TermError, match="nested deeper"):
        read(bytes(data))


def test_large_packets_of_random_bytes_end() -> None:
    """Random bytes behind a large list, from a seed: as the worst that a packet can have."""
    source = random.Random(42)  # noqa: S311 - a seed that is known
    for _ in range(200):
        read_or_fail(b"l\0\1\0\0" + source.randbytes(20_000))
