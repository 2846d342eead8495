"""What the masking is made of: names, known forms, spans, and the reader of TOML."""

from __future__ import annotations

import pytest

from member_entrypoint.release import masking_patterns, masking_toml
from member_entrypoint.release.masking import mask
from member_entrypoint.release.masking_names import (
    is_clearly_sensitive,
    is_harmless,
    is_sensitive,
)
from member_entrypoint.release.masking_spans import Span, replace


@pytest.mark.parametrize(
    ("name", "clearly", "before_a_value"),
    [
        ("dbPassword", True, True),
        ("DB_PASS.WORD", True, True),
        ("API-KEY", True, True),
        ("x" * 70 + "-to-ken", True, True),
        ("secret.pem", True, True),
        ("key", False, True),
        ("SIGNING_KEYS", False, True),
        ("PIN", False, True),
        ("sig", False, True),
        ("spin", False, False),
        ("monkey", False, False),
        ("Hotkeys", False, False),
        ("server.key.pem", False, False),
        ("public_key", False, False),
        ("username-keys", False, False),
        ("mod_auth_token", False, False),
        ("port", False, False),
    ],
)
def test_names_are_judged_by_their_words(name: str, *, clearly: bool, before_a_value: bool) -> None:
    """However they are written; some only where a value follows."""
    assert is_clearly_sensitive(name) is clearly
    assert is_sensitive(name) is before_a_value


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("cookie", " true", True),
        ("cookie", "undefined})", True),
        ("cookie", "truely", False),
        ("password.format", '"scram"', True),
        ("password.format", '"S3CRET"', False),
        ("token_ttl", "60, ", True),
        ("token_ttl", "60 S3CRET", False),
        ("secret_file", '"/run/x"})', True),
        ("secret_file", '"/run/x" S3CRET', False),
        ("token_path", "/" + "a" * 299, True),
        ("token_path", "/" + "a" * 300, False),
        ("token", "/run/x", False),
        ("1", "/run/x", False),
    ],
)
def test_some_values_tell_nothing(name: str, value: str, *, expected: bool) -> None:
    """How a secret is stored, for how long it counts, where it is."""
    assert is_harmless(name, value) is expected


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("eyJa.eyJb", ["eyJa.eyJb"]),
        ("eyJabc", []),
        ("Bearer abcd", ["abcd"]),
        ("BASIC Abcd", ["Abcd"]),
        ("basic ab12", ["ab12"]),
        ("basic auth", []),
        ("DSN=m;UID=u", ["u"]),
        ("m; \tuid = u", ["u"]),
        ("x uid=u;m", ["u"]),
        ("uid=u,dc=example", []),
        (";x uid=u,dc=example", []),
        ("x;\nuid=u,dc=example", []),
        ("m;X uid=u,dc=example", []),
        ("user:p@h", ["p"]),
        ("u:p@q@h", ["p@q"]),
        ("u:@h", []),
        ("u:p/q@h", []),
        ("x/u:p@h", ["p"]),
        ("u:p@h/x", ["p"]),
        ("jid:u@h", []),
        ("://u:p@h", ["u:p"]),
        ("http://u:p@", ["u:p"]),
        ("http://a@x,http://b@y,http://c@z", ["a", "b", "c"]),
        ("http://h/p@x", []),
        ("http://h/p@x/y", []),
        ("http://u:p/q@h/x", ["u:p/q"]),
        ("a@http://h", []),
        ("a " + 13 * "aB1" + "a", [13 * "aB1" + "a"]),
        ("a " + 13 * "aB1", []),
        ("a " + 12 * "aB1" + "ab==", [12 * "aB1" + "ab=="]),
    ],
)
def test_some_secrets_are_known_by_their_form(text: str, hidden: list[str]) -> None:
    """Tokens, users of connection strings, passwords in addresses; not what looks like them."""
    assert [text[span.start : span.end] for span in masking_patterns.find(text)] == hidden


def test_spans_that_touch_become_one() -> None:
    """Their number tells how long a secret is."""
    assert replace("abcdef", [Span(2, 4), Span(0, 2), Span(3, 4)]) == "***ef"
    assert replace("abcdef", [Span(0, 1), Span(2, 3, "!")]) == "***b!def"


@pytest.mark.parametrize(
    ("deepest", "opening", "closing"),
    [(99, "[", "]"), (49, "{a = ", "}")],
    ids=["arrays", "tables"],
)
def test_a_file_may_be_nested_as_deep_as_the_parser_can_read_in_time(
    deepest: int, opening: str, closing: str
) -> None:
    """What is nested deeper is masked line by line."""
    for depth, shown in ((deepest, '"***"'), (deepest + 1, "***")):
        end = closing * depth + " # x"
        text = f'token = {opening * depth}"S3"{end}'
        assert mask(text, "x.toml") == (
            f"token = {opening * depth}{shown}{end}" if depth == deepest else "token = ***"
        )


@pytest.mark.parametrize(
    "text",
    [
        'token = "S3"',
        'x = 1\ntoken = "S3"\ny = 2',
        '[a]\ntoken = "S3"\n[b]\nx = 1',
        '[a]\nx = 1\n[b]\ntoken = "S3"',
        'x = [1, {token = "S3"}, 2]',
        'x = [{y = 1}, [{token = "S3"}]]',
        'to.ken = "S3"',
        'token = "S3"\nx = [1]',
        'token = ["***", "S3"]',
    ],
)
def test_what_our_reader_misses_is_noticed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real parser reads what is shown; where a secret is left, lines are masked instead."""
    monkeypatch.setattr(masking_toml, "_find_in_values", lambda *_: [])
    assert "S3" not in mask(text, "x.toml")
    shown = "x = 1\nsecret = true\n[token]\nttl = 60\nvalue = ['***']"
    assert mask(shown, "x.toml") == shown
