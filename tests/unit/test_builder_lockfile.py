"""What rebar.lock and rebar.config say of dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder_entrypoint.lockfile import (
    GitDependency,
    GitRequest,
    Lock,
    Package,
    read_lock,
    unlocked_requests,
)

if TYPE_CHECKING:
    from pathlib import Path

HASH = "0b7fa8c8f87306ea1ab88f841af78ca399768a10"
LOCK = f"""\
{{"1.2.0",
[{{<<"base16">>,{{pkg,<<"base16">>,<<"2.0.1">>}},1}},
 {{<<"cqerl">>,
  {{git,"https://github.com/esl/cqerl.git",
       {{ref,"{HASH}"}}}},
  0}},
 {{<<"exml">>,{{pkg,<<"hexml">>,<<"4.2.1">>}},0}},
 {{<<"part">>,{{git_subdir,"git@host:x/y.git",{{ref,"{HASH}"}},"apps/part"}},2}}]}}.
[
{{pkg_hash,[
 {{<<"base16">>, <<"AAAA">>}},
 {{<<"exml">>, <<"BBBB">>}}]}},
{{pkg_hash_ext,[
 {{<<"base16">>, <<"CCCC">>}},
 {{<<"exml">>, <<"DDDD">>}}]}}
].
"""
EXPECTED = Lock(
    (Package("base16", "base16", "2.0.1", "cccc"), Package("exml", "hexml", "4.2.1", "dddd")),
    (
        GitDependency("cqerl", "https://github.com/esl/cqerl.git", HASH),
        GitDependency("part", "git@host:x/y.git", HASH),
    ),
)
OLD = f"""\
[{{<<"lager">>,{{pkg,<<"lager">>,<<"3.0">>}},0}},
 {{<<"exml">>,{{git,"https://host/exml",{{ref,"{HASH}"}}}},0}}].
"""
CONFIG = """\
{deps, [{cqerl, {git, "https://github.com/esl/cqerl.git", {branch, "master"}}},
        {new, ".*", {git, "https://host/new", {branch, "main"}}}]}.
%% {commented, {git, "https://host/commented", {tag, "1"}}}
{plugins, [{provider_asn1, {git, "https://host/asn1", {tag, "0.2.3"}}},
           {'rebar3-x', "1.0"},
           {bare, {git, "https://host/bare"}}]}.
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LOCK, EXPECTED),
        (
            OLD,
            Lock(
                (Package("lager", "lager", "3.0", None),),
                (GitDependency("exml", "https://host/exml", HASH),),
            ),
        ),
        ("[].\n", Lock()),
        (None, Lock()),
    ],
)
def test_all_that_a_lock_pins_is_read(tmp_path: Path, text: str | None, expected: Lock) -> None:
    """Packages with the checksum of their file, commits; of new locks, old ones and none."""
    if text is not None:
        (tmp_path / "rebar.lock").write_text(text)
    assert read_lock(tmp_path) == expected


def test_applications_are_those_of_both_kinds() -> None:
    """In the order of the alphabet, whatever the order of the lock."""
    assert EXPECTED.applications == ["base16", "cqerl", "exml", "part"]


def test_what_the_lock_does_not_pin_is_found_in_the_configuration(tmp_path: Path) -> None:
    """Plugins, and dependencies that are new; no comments, and nothing that the lock has."""
    (tmp_path / "rebar.config").write_text(CONFIG)
    assert unlocked_requests(tmp_path, EXPECTED) == [
        GitRequest("https://host/new", "branch", "main"),
        GitRequest("https://host/asn1", "tag", "0.2.3"),
        GitRequest("https://host/bare", "branch", ""),
    ]
