"""All forms of the credentials in REPO are masked, each as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder_entrypoint.masking import Mask

# Few characters, so that a part often begins like another; %3A, %25 and %61 are decoded.
PARTS = st.lists(st.sampled_from(["a", "b", ":", "%", "25", "%3A", "%25", "%61"]), max_size=8)


@pytest.mark.parametrize(
    ("user_information", "text"),
    [
        ("a%40b:x%21", "a@b:x!"),
        ("a%40b:x%21", "a%40b:x%21"),
        ("name:pa%21%21", "pa!!"),
        ("name:pa!!", "pa!!"),
        ("aaaa:aaaa:aaaa", "aaaa:aaaa:aaaa"),
        ("name:pass%25", "pass%25"),
    ],
)
def test_each_form_of_the_credentials_is_masked(user_information: str, text: str) -> None:
    """Decoded or not, with or without the user's name, four characters long or more."""
    assert Mask(f"https://{user_information}@host/x").text(f"<{text}>") == "<***>"


@pytest.mark.parametrize("password", ["pa!", "%61%61%61"])
def test_passwords_of_three_characters_are_masked_with_the_name_only(password: str) -> None:
    """A decoded password that is shorter than four characters may be a part of a word."""
    decoded = password.replace("%61", "a")
    mask = Mask(f"https://name:{password}@host/x")
    assert mask.text(f"<{decoded}> <name:{decoded}>") == f"<{decoded}> <***>"


@given(PARTS, PARTS)
def test_no_form_leaves_the_end_of_a_longer_one(user: list[str], password: list[str]) -> None:
    """A form that begins with another is masked to its end."""
    pair = f"{''.join(user)}:{''.join(password)}"
    secret = pair.partition(":")[2]
    mask = Mask(f"https://{pair}@host/x")
    assert mask.text(f"<{pair}>") == "<***>"
    if len(secret) >= 4:
        assert mask.text(f"<{secret}>") == "<***>"
