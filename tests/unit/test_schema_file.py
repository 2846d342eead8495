"""Reading the identity of a cluster from a schema file, as real Mnesia has written it."""

import itertools
import shutil
import struct
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.cluster import facts
from member_entrypoint.erlang import dets, rpc
from member_entrypoint.places import Places
from member_entrypoint.terms import Atom, TermError

FILE = Path(__file__).parent / "schemas" / "otp25.DAT"
IDENTITY = "{{1796085092961906401,-576460752303423438,1},a1@vm}"
NODE = "mongooseim@m-1"


def test_identity_and_members_are_read_from_a_schema() -> None:
    """Of the table `schema` itself, not of another one beside it."""
    records = dets.read(str(FILE))
    assert [record[1] for record in records] == ["schema", "t"]
    assert rpc.read_schema(records) == (IDENTITY, frozenset({"a1@vm"}))


@pytest.mark.parametrize(
    ("tables", "holders"),
    [
        ([["a", "b"]], {"a", "b"}),
        ([["a", "b"], ["a"]], {"a"}),
        ([["a", "b"], ["b"], ["a", "b"]], {"b"}),
        ([["a", "b"], []], set()),
    ],
)
def test_who_has_a_copy_of_each_table_is_read_from_a_schema(
    tables: list[list[str]], holders: set[str]
) -> None:
    """Of whatever kind; the schema is the first of them."""
    kinds = itertools.cycle(map(Atom, rpc.COPIES))
    records = [
        (Atom("schema"), Atom(f"t{number}"), [(next(kinds), [Atom(node) for node in nodes])])
        for number, nodes in enumerate(tables)
    ]
    assert rpc.holders_of_all(records) == holders
    with pytest.raises(TermError):
        rpc.holders_of_all([])


@pytest.mark.parametrize("properties", [[("cookie", 1, 2)], [1], 1, [()], [([], 1)]])
def test_a_schema_whose_properties_make_no_sense_says_nothing(
    properties: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from damage, or a Mnesia that nobody here has seen: no traceback."""
    record = (Atom("schema"), Atom("schema"), properties)
    monkeypatch.setattr(dets, "read", lambda _: [record])
    places = Places(str(tmp_path))
    readable = properties == [("cookie", 1, 2)]
    expected: object = ("1", frozenset()) if readable else ("", None)
    assert facts.read_schema(places, NODE) == expected
    assert facts.lacks_tables(places, NODE) is readable


def test_a_node_lacks_tables_if_the_schema_has_one_without_it(tmp_path: Path) -> None:
    """What cannot be read lacks nothing, as far as is known."""
    places = Places(str(tmp_path))
    assert not facts.lacks_tables(places, "a1@vm")
    for node in ("a1@vm", "another@vm"):
        Path(places.mnesia(node)).mkdir(parents=True)
        shutil.copyfile(FILE, Path(places.mnesia(node)) / "schema.DAT")
    assert not facts.lacks_tables(places, "a1@vm")
    assert facts.lacks_tables(places, "another@vm")


def test_a_block_that_was_given_up_does_not_count(tmp_path: Path) -> None:
    """An old version of a record stays in the file, with another status."""
    data = FILE.read_bytes()
    at = data.find(dets.ACTIVE, dets.HEADER)
    copy = tmp_path / "schema.DAT"
    copy.write_bytes(data[:at] + struct.pack("!I", 0x3ABCDEF) + data[at + 4 :])
    with pytest.raises(TermError, match="one schema"):
        rpc.read_schema(dets.read(str(copy)))


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"not a dets file at all, but long enough"])
def test_what_is_no_schema_says_nothing(tmp_path: Path, content: bytes) -> None:
    """Then a VM may be asked."""
    places = Places(str(tmp_path))
    folder = Path(places.mnesia(NODE))
    folder.mkdir(parents=True)
    assert facts.read_schema(places, NODE) == ("", None)
    (folder / "schema.DAT").write_bytes(content)
    assert facts.read_schema(places, NODE) == ("", None)


@given(st.integers(0, len(FILE.read_bytes())), st.binary(max_size=64))
def test_a_damaged_schema_says_the_truth_or_nothing(at: int, junk: bytes) -> None:
    """Whatever stands in the file, reading it ends."""
    data = FILE.read_bytes()
    damaged = data[:at] + junk + data[at + len(junk) :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dets, "open", lambda *_, **__: _File(damaged), raising=False)
        try:
            dets.read("any")
        except TermError:
            return


class _File:
    """A file that has these bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def read(self, size: int) -> bytes:
        return self._data[:size]
