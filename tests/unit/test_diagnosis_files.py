"""Files that are looked at for mistakes: TOML with places, headers of programs, listeners."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from member_entrypoint.diagnosis import elf, listeners, toml
from member_entrypoint.diagnosis.findings import Findings
from member_entrypoint.errors import ClusteringError, ConfigurationError

HERE = os.uname().machine
PROGRAM = Path(sys.executable).resolve().read_bytes()[: elf.LONGEST_HEADER]


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"a = \n", 1, 5),
        (b"\xef\xbb\xbfa = \n", 1, 5),
        (b"[general]\n  hosts = [\n", 3, 1),
        (b"a = 1\na = 2\n", 2, 6),
        (b"# \xc3\xa9\nb = '\xe9'", 2, 6),
        (b"a = " + b"[" * 100_000, 1, 1),
        (b"a = 99999-01-01\n", 1, 10),
        (b"", 0, 0),
        (b'[a]\r\nb = "c"\r\n', 0, 0),
    ],
)
def test_the_place_of_a_mistake_is_told(content: bytes, line: int, column: int) -> None:
    """Counted from 1, a byte order mark not included; a file without one gives its tables."""
    if not line:
        assert isinstance(toml.parse(content), dict)
        return
    with pytest.raises(toml.WrongTomlError) as raised:
        toml.parse(content)
    assert (raised.value.line, raised.value.column) == (line, column), str(raised.value)


def header(machine: int, *, wide: bool = True, little: bool = True, loader: str = "") -> bytes:
    """Return the header of a program, with one program header that names its loader."""
    order = "<" if little else ">"
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    name = loader.encode() + b"\0"
    word = "Q" if wide else "I"
    start = 64 if wide else 52
    fixed = struct.pack(f"{order}HHI{word}{word}{word}", 2, machine, 1, 0, start, 0)
    size = 56 if wide else 32
    fixed += struct.pack(f"{order}IHHHHHH", 0, start, size, bool(loader), 0, 0, 0)
    place = start + size
    if wide:
        program = struct.pack(f"{order}IIQQQQQQ", 3, 4, place, 0, 0, len(name), 0, 1)
    else:
        program = struct.pack(f"{order}IIIIIIII", 3, place, 0, 0, len(name), 0, 4, 1)
    return ident + fixed + program + name


@pytest.mark.parametrize(
    ("content", "machine", "said"),
    [
        (PROGRAM, HERE, ""),
        (b"#!/bin/sh\n" * 100, HERE, ""),
        (b"", HERE, ""),
        (header(62), "x86_64", ""),
        (header(183), "x86_64", "it was compiled for aarch64, and this is x86_64"),
        (header(62), "aarch64", "it was compiled for x86_64, and this is aarch64"),
        (header(22, little=False), "x86_64", "it was compiled for s390x"),
        (header(3, wide=False), "x86_64", ""),
        (header(9999), "x86_64", "it was compiled for machine 9999"),
        (header(62, loader="/lib/ld-musl.so"), "x86_64", "its loader /lib/ld-musl.so does not"),
        (header(40, wide=False, little=False, loader="/no"), "armv7l", "its loader /no does not"),
        (header(62, loader="/bin/sh"), "x86_64", ""),
        (header(62, loader="/no")[:70], "x86_64", ""),
    ],
)
def test_a_program_that_cannot_run_is_told(content: bytes, machine: str, said: str) -> None:
    """By the machine, and by the loader that does not exist here; a cut header says nothing."""
    reason = elf.why_not_run(content, machine)
    assert reason.startswith(said)
    assert bool(reason) == bool(said)


def test_listeners_that_make_no_sense_are_no_traceback() -> None:
    """Whatever stands where tables should."""
    for tables in ({"listen": 1}, {"listen": {"c2s": 1}}, {"listen": {"c2s": [1, {}]}}):
        given = toml.Toml(dict(tables), "x")
        assert list(listeners.of_toml(given)) == []
        list(listeners.wrong_in_toml(given))
    udp = {"listen": {"x": [{"port": 5222, "proto": "udp"}, {"port": True}]}}
    assert [each.ports for each in listeners.of_toml(toml.Toml(udp, "x"))] == []


def test_the_status_is_that_of_the_first_thing_in_a_start() -> None:
    """What is refused, then the search for others, then the VM."""
    found = Findings()
    assert (found.status, found.verdict[:9]) == (0, "0 errors,")
    found.warning("x", "a warning", "do it")
    assert found.status == 0
    found.error("toml", "x")
    assert found.status == 1
    found.refused("plan", ClusteringError("x"))
    assert found.status == 2
    found.refused("files", ConfigurationError("one\ntwo"))
    found.refused("files", ConfigurationError("two"))
    assert found.status == 78
    assert found.verdict.startswith("4 errors, 1 warning: a start would fail, with exit status 78")
