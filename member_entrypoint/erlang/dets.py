"""Reads a dets file: the records that Mnesia keeps on the disk, without a VM.

Source: `dets_v9.erl` of OTP. All records of one hash slot lie in one block: its size (4 bytes, all
that is in it counted), its status (4 bytes), then for each record its size (4 bytes, themselves
counted) and its term.

A block that is given up gets another status. A file that was not closed may hold less than Mnesia's
log; what is not understood is an error.
"""

import struct

from member_entrypoint.erlang.etf import Reader
from member_entrypoint.files.whole import regular
from member_entrypoint.lean_typing import Any
from member_entrypoint.terms import TermError

ACTIVE = struct.pack("!I", 0x12345678)
COOKIE = struct.pack("!I", 0x00ABCDEF)
HEADER = 0x30
LARGEST_FILE = 1 << 26
"""Bytes; a schema of a thousand tables takes 1 % of that."""


def read(path: str) -> list[Any]:
    """Return the records in the file at `path`; raises OSError, or `TermError` if it is no such."""
    with open(path, "rb", opener=regular) as file:
        data = file.read(LARGEST_FILE)
    if data[4:8] != COOKIE:
        raise TermError("not a dets file")
    found: list[Any] = []
    at = data.find(ACTIVE, HEADER)
    while at >= 0:
        (size,) = struct.unpack_from("!I", data, at - 4)
        begin, end = at + 4, at - 4 + size
        records = _records(data[begin:end]) if begin < end <= len(data) else []
        found += records
        at = data.find(ACTIVE, end if records else begin)
    return found


def _records(block: bytes) -> list[Any]:
    """Return the records that fill a block; none if they do not."""
    found, at = [], 0
    while at < len(block):
        try:
            (size,) = struct.unpack_from("!I", block, at)
            found.append(Reader(block[at + 4 : at + size]).term())
        except (struct.error, TermError):
            return []
        at += size
    return found if at == len(block) else []
