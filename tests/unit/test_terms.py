"""Erlang's terms as text: what is written is read, and what is malformed is an error of ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_values import typed

from member_entrypoint import terms
from member_entrypoint.terms import Atom, TermError

characters = st.characters(codec="utf-8")
atoms = st.text(characters).map(Atom)
plain = st.one_of(
    atoms, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.binary()
)
values = st.recursive(plain, lambda inner: st.lists(inner) | st.lists(inner).map(tuple))
MARKS = ["[", "]", "{", "}", "<<", ">>", "#{", ",", ".", "|", '"', "'", "\\", "$", "%", "\n", " "]
snippets = st.lists(
    st.sampled_from([*MARKS, "\\x{", "\\x", "\\^", "-", "1", "1.5", "1.0e", "16#", "a", "é"])
    | st.text(max_size=3)
).map("".join)


@given(values)
def test_what_is_written_is_read(value: Any) -> None:
    """Reading is the reverse of writing."""
    assert typed(value) == typed(terms.read(terms.write(value)))


@given(st.text(characters))
def test_a_string_is_one_token_and_is_read_as_its_characters(text: str) -> None:
    """No character ends a string early: a path in app.config stays one."""
    assert [ord(char) for char in text] == terms.read(terms.string(text))
    assert [token.kind for token in terms.tokens(terms.string(text))] == ["string"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"'a\n\t\\\'\e\d\s\0'", "a\n\t\\'\x1b\x7f \0"),
        (r"'\x{1F600}\x41\x{e9}\101'", "\U0001f600AéA"),
        (r"'\^A\^z\q'", "\x01\x1aq"),
        ("été", "été"),
        ("ÿ_@1", "ÿ_@1"),
    ],
)
def test_atoms_are_read_with_their_escapes(text: str, value: str) -> None:
    """As the reference manual has them, and as `~w` prints them."""
    read = terms.read(text)
    assert isinstance(read, Atom)
    assert value == read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0e22", 1e22),
        ("-1.5E-7", -1.5e-7),
        ("+1", 1),
        ('"a\\x{4e16}"', [97, 0x4E16]),
        ("<<>>", b""),
        ("[ % a comment, ]\n1 , {} ]", [1, ()]),
    ],
)
def test_terms_are_read(text: str, value: Any) -> None:
    """Numbers, strings, binaries and what stands between terms."""
    assert typed(value) == typed(terms.read(text))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e22, "1.0e+22"),
        (5e-324, "5.0e-324"),
        (-0.0, "-0.0"),
        (True, "true"),
        (b"\x00\xff", "<<0,255>>"),
        ([(), []], "[{},[]]"),
        (2**20_000, f"16#{2**20_000:x}"),
    ],
    ids=lambda _: "",
)
def test_terms_are_written(value: Any, text: str) -> None:
    """A float has a point, as Erlang demands; an integer may have any length."""
    assert text == terms.write(value)


@pytest.mark.parametrize(
    "text",
    [
        *("{a b}", "[1 2]", "[1,]", "{,1}", "[1|2]", "<<300>>", "<<a>>", "<<-1>>", "<<1:1>>"),
        *("'a", '"a', "a'", "$a", "A", "_", "1.", "1.0e", "1e5", "1.0e999", "16#FF", "٣", "ªb"),
        *(r"'\x{110000}'", r"'\x{d800}'", r'"\x{dfff}"', "'\\x{" + "f" * 1_000_000 + "}'"),
        *("[" * 100_000, "{" * 101 + "}" * 101, "9" * 5000, "]", "}", ">>", "#Fun<a.1.2>"),
        *("[a}", "{a]", "<<1]", "", " ", "%"),
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_term_is_an_error(text: str) -> None:
    """The error says that it is about an Erlang term, and shows no more than a line of it."""
    with pytest.raises(TermError, match="Erlang") as error:
        terms.read(text)
    assert len(str(error.value)) < 500


@given(snippets)
def test_any_text_is_an_error_or_a_term(text: str) -> None:
    """Nothing else gets out, neither of the reader nor of the tokens."""
    try:
        value = terms.read(text)
    except TermError:
        pass
    else:
        assert typed(value) == typed(terms.read(terms.write(value)))
    found = list(terms.tokens(text))
    assert all(token.text == text[token.start : token.end] for token in found)


@pytest.mark.parametrize(
    "value", [float("nan"), float("-inf"), None, {}, [object], (set(),)], ids=repr
)
def test_what_erlang_does_not_have_is_not_written(value: Any) -> None:
    """The error says what it is."""
    with pytest.raises(TermError, match="no Erlang term for"):
        terms.write(value)


def test_a_string_without_an_end_is_one_token() -> None:
    """What follows a missing quote is not taken for terms."""
    found = [(token.kind, token.text) for token in terms.tokens('["b]\\')]
    assert found == [("mark", "["), ("unfinished", '"b]\\')]


def test_values_are_shown_to_a_person() -> None:
    """Also an integer that Python does not print."""
    assert terms.show([(Atom("a"), 1.5), []]) == "[{a,1.5},[]]"
    assert terms.show(-(2**20_000)) == f"-16#{2**20_000:x}"


@pytest.mark.parametrize("piece", ['"\\"', "'\\'", "$\\x{A", "\\x{", '"', "1.", "{a,"])
def test_a_megabyte_of_anything_is_split(piece: str) -> None:
    """In time that grows with the length of the text; else this would not end within the hour."""
    text = piece * ((1 << 20) // len(piece)) + "'"
    covered = sum(len(token.text) for token in terms.tokens(text))
    assert covered == len(text)
