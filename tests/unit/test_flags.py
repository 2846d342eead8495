"""The one parser of the VM's flags: words as erlexec splits them, flags as init groups them."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.release.flags import MOST_FILES, Flags, flags, read, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-sname a@b\n-setcookie c", ["-sname", "a@b", "-setcookie", "c"]),
        ("a\tb\vc\fd\re", ["a", "b", "c", "d", "e"]),
        ("'a b' \"c d\"", ["a b", "c d"]),
        ("a'b c'd", ["ab cd"]),
        ("'a\nb'", ["a\nb"]),
        ("''", [""]),
        ("a\\ b \\'c\\'", ["a b", "'c'"]),
        ('"a\\"b', ["a\\b"]),
        ("a # -no flag\nb", ["a", "b"]),
        ("a#b\nc", ["a", "c"]),
        ("'a#b'", ["a#b"]),
        ("\\#a", ["#a"]),
        ("a\\\nb", ["a\nb"]),
        ("a\u00a0b\u2028c", ["a\u00a0b\u2028c"]),
        ("'never closed", ["never closed"]),
        ("ends in \\", ["ends", "in", ""]),
        ("# a comment with a lone\r-sname x", []),
        ("", []),
    ],
)
def test_words_are_split_as_erlexec_does(text: str, expected: list[str]) -> None:
    """Quotes have no escapes in them, and may span lines; a comment ends with its line."""
    assert [word.text for word in words(text)] == expected


def test_the_environment_has_no_comments() -> None:
    """There `#` is a character like others."""
    found = words("-a b#c # d", comments=False)
    assert [word.text for word in found] == ["-a", "b#c", "#", "d"]


@given(st.text(alphabet="-+ab\"'#\\ \t\n\r", max_size=40), st.booleans())
def test_words_stand_where_they_say(text: str, comments: bool) -> None:  # noqa: FBT001
    """In order, apart, and each of them again the same word by itself."""
    end = 0
    for word in words(text, comments=comments):
        assert end <= word.start < word.end <= len(text)
        alone = list(words(text[word.start : word.end], comments=comments))
        assert [again.text for again in alone] == [word.text]
        end = word.end


def test_values_belong_to_the_flag_before_them() -> None:
    """Also over lines, and for emulator flags; words without a flag are nobody's."""
    found = flags(words("lost -kernel a b\n c +K true -heart -- plain -x y -extra -z"))
    assert [(flag.name, *flag.texts) for flag in found] == [
        ("-kernel", "a", "b", "c"),
        ("+K", "true"),
        ("-heart",),
        ("-x", "y"),
    ]


def test_several_flags_on_one_line_are_several_flags() -> None:
    """A line with a TLS distribution at its end was taken for plain TCP."""
    given_flags = Flags(flags(words("-kernel x y -proto_dist inet_tls")))
    assert given_flags.get("proto_dist") == "inet_tls"
    assert "kernel" in given_flags


def test_the_last_of_equal_flags_counts_and_one_without_value_does_not() -> None:
    """The default stands where no value is given."""
    given_flags = Flags(flags(words("-a 1 -a 2 -a -b")))
    assert given_flags.get("a") == "2"
    assert given_flags.get("b", "default") == "default"
    assert given_flags.get("c", "default") == "default"
    assert "b" in given_flags


def test_the_first_of_equal_flags_is_empty_if_there_is_none() -> None:
    """As the last one; flags without a value are passed over."""
    given_flags = Flags(flags(words("-a -a 1 -a 2")))
    assert (given_flags.first("a"), given_flags.first("b")) == ("1", "")


def test_a_name_without_a_value_is_no_parameter() -> None:
    """Those before it are read all the same."""
    given_flags = Flags(flags(words("-kernel a 1 b")))
    assert (given_flags.parameter("kernel", "a"), given_flags.parameter("kernel", "b")) == ("1", "")


def test_flags_come_from_files_and_environment_in_the_order_of_the_vm(tmp_path: Path) -> None:
    """ERL_AFLAGS first, then the files, then ERL_FLAGS, then ERL_ZFLAGS."""
    (tmp_path / "one").write_text("-a one -b one -c one")
    (tmp_path / "two").write_text("-b two -c two")
    environment = {"ERL_AFLAGS": "-a first -d first", "ERL_FLAGS": "-c env", "ERL_ZFLAGS": "-e z"}
    found = read(str(tmp_path), ["one", "two", "missing"], environment, current=str(tmp_path))
    assert [found.get(name) for name in "abcde"] == ["one", "two", "env", "first", "z"]


@pytest.mark.parametrize("variable", ["ERL_AFLAGS", "ERL_FLAGS", "ERL_ZFLAGS"])
def test_a_variable_has_no_comments(variable: str) -> None:
    """In files, all after the `#` is one."""
    found = read("/nowhere", [], {variable: "-a b#c -d #e"}, current="/")
    assert (found.get("a"), found.get("d")) == ("b#c", "#e")


def test_what_is_not_written_yet_counts_instead_of_the_file(tmp_path: Path) -> None:
    """The container looks at the flags of the files that it is about to write."""
    for name in ("vm.args", "vm.dist.args"):
        (tmp_path / name).write_text(f"-old {name}")
    unwritten = {"vm.args": b"\xef\xbb\xbf-new rendered"}
    found = read(str(tmp_path), ["vm.args", "vm.dist.args"], {}, current="/", unwritten=unwritten)
    assert found.all("old") == [("vm.dist.args",)]
    assert found.get("new") == "rendered"


def test_a_file_that_is_missing_has_no_words(tmp_path: Path) -> None:
    """So the flag before it gets no value, and the one after it keeps its own."""
    (tmp_path / "vm.args").write_text("-a -args_file missing -b 1")
    found = read(str(tmp_path), ["vm.args"], {}, current=str(tmp_path))
    assert (found.all("a"), found.all("b")) == ([()], [("1",)])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into it; a start must not stand still."""
    os.mkfifo(tmp_path / "vm.args")
    assert "sname" not in read(str(tmp_path), ["vm.args"], {}, current=str(tmp_path))


def test_bytes_that_are_no_text_do_not_hide_the_flags_beside_them(tmp_path: Path) -> None:
    """The VM takes Latin-1 in comments."""
    (tmp_path / "vm.args").write_bytes(b"# caf\xe9\n-a 1")
    assert read(str(tmp_path), ["vm.args"], {}, current=str(tmp_path)).get("a") == "1"


def test_as_many_files_are_read_as_are_allowed(tmp_path: Path) -> None:
    """One more is left, as it would be in a circle of files."""
    names = [str(number) for number in range(1, MOST_FILES + 1)]
    for name, following in itertools.pairwise([*names, "last"]):
        (tmp_path / name).write_text(f"-read {name} -args_file {following}")
    (tmp_path / "last").write_text("-read last")
    found = read(str(tmp_path), names[:1], {}, current=str(tmp_path))
    assert found.all("read") == [(name,) for name in names]


def test_files_that_files_name_are_read_in_their_places(tmp_path: Path) -> None:
    """Their relative paths begin where the VM is started; one that names itself ends."""
    current = tmp_path / "current"
    current.mkdir()
    (tmp_path / "vm.args").write_text("\ufeff-a 1 -args_file more.args -a 3 -args_file")
    (current / "more.args").write_text("-b 2 -args_file more.args")
    found = read(str(tmp_path), ["vm.args"], {}, current=str(current))
    assert (found.get("a"), found.get("b")) == ("3", "2")


def test_a_byte_order_mark_is_no_part_of_the_first_flag(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    (tmp_path / "vm.args").write_bytes(b"\xef\xbb\xbf-proto_dist inet_tls")
    found = read(str(tmp_path), ["vm.args"], {}, current=str(tmp_path))
    assert found.get("proto_dist") == "inet_tls"
