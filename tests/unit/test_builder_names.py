"""Names in file names: safe, and never the same for two things."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder_entrypoint.names import printable, safe_name

NAMES = st.one_of(
    st.text(min_size=1),
    st.from_regex(r"[a-c/.\-]{1,4}(-[0-9a-f]{10})?", fullmatch=True),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("master", "master"),
        ("4.2.0", "4.2.0"),
        ("MongooseIM_x+y-z", "MongooseIM_x+y-z"),
        ("feature-x", "feature-x"),
        ("a37c196abc", "a37c196abc"),
        ("feature/x", "feature-x-217d2bf51f"),
        ("feature//x", "feature-x-3b0d3308e7"),
        ("feature-x-217d2bf51f", "feature-x-217d2bf51f-1f3577df4c"),
        ("..", "name-5ec1f7e700"),
        ("X/", "X-06e3c8d78b"),
        ("-x-/", "x-ba209c6544"),
        ("\udcff", "name-a8100ae6aa"),
    ],
)
def test_names_become_what_the_documentation_says(name: str, expected: str) -> None:
    """Plain names stay, others get a part of their hash."""
    assert safe_name(name) == expected


@given(NAMES)
def test_names_are_safe(name: str) -> None:
    """Whatever the name, it is short, of a few characters, and no path."""
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,90}", safe_name(name))


@given(NAMES, NAMES)
def test_different_names_stay_different(one: str, other: str) -> None:
    """No two names become the same."""
    assert (safe_name(one) == safe_name(other)) == (one == other)


@given(NAMES)
def test_a_changed_name_is_changed_again(name: str) -> None:
    """Nobody can ask for a name that stands for another."""
    if safe_name(name) != name:
        assert safe_name(safe_name(name)) != safe_name(name)


def test_shown_names_take_one_line() -> None:
    """Control characters in file names are shown as escapes."""
    assert printable("a\nb") == r"a\nb"
    assert printable("é") == "é"
    assert printable("é\n") == r"\xe9\n"
