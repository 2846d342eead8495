"""The messages of the distribution protocol: what is in them, without a connection.

Source: "Distribution Protocol" in the ERTS manual.
"""

import os
import struct

from member_entrypoint.erlang.etf import (
    LONGEST_ATOM,
    NEW_PID,
    NEW_REFERENCE,
    OLD_PID,
    OLD_REFERENCE,
    Identifier,
    Reader,
)
from member_entrypoint.lean_typing import Any
from member_entrypoint.terms import Atom, TermError

try:
    # What hashlib takes without OpenSSL, whose library takes 3 ms to load.
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:
    from hashlib import md5

FLAGS = {
    "EXTENDED_REFERENCES": 0x4,
    "DIST_MONITOR": 0x8,
    "FUN_TAGS": 0x10,
    "DIST_MONITOR_NAME": 0x20,
    "NEW_FUN_TAGS": 0x80,
    "EXTENDED_PIDS_PORTS": 0x100,
    "EXPORT_PTR_TAG": 0x200,
    "BIT_BINARIES": 0x400,
    "NEW_FLOATS": 0x800,
    "UTF8_ATOMS": 0x10000,
    "MAP_TAG": 0x20000,
    "BIG_CREATION": 0x40000,
    "HANDSHAKE_23": 0x1000000,
    "UNLINK_ID": 0x2000000,
    "V4_NC": 0x400000000,
}
OUR_FLAGS = sum(FLAGS.values())
OLD_FLAGS = OUR_FLAGS & 0xFFFFFF & ~FLAGS["BIG_CREATION"]
LOWEST = 5  # version of the protocol
SEND, REG_SEND = 2, 6
MONITOR_P, MONITOR_P_EXIT = 19, 21
MONITOR_P_EXIT_LENGTH = 5
DOWN = Atom("DOWN")
PASS_THROUGH = b"p"
WAITS_EMPTY, WAITS = b"mongooseim_entrypoint_waits_empty", b"mongooseim_entrypoint_waits"
"""The status in a handshake with a member that waits, without a VM; a node takes it for a no.
The second one: it knows others that may have the data."""
KNOWS = {WAITS_EMPTY: False, WAITS: True}
TLS_ALERT = b"\x15\x03"
"""How the answer of a TLS server begins to whom does not speak TLS."""


def hello(name: bytes, creation: int, *, new: bool) -> bytes:
    """Return the first message of a handshake: our name; `new`: of OTP 23 and newer."""
    if new:
        return struct.pack("!cQIH", b"N", OUR_FLAGS, creation, len(name)) + name
    return struct.pack("!cHI", b"n", LOWEST, OLD_FLAGS) + name


def waits(node: str, *, knows: bool) -> str:
    """Return in words that a member waits with an empty disk, where `node` would be."""
    more = ", for one that may have the data" if knows else ""
    return f"{node} waits itself, with an empty disk{more}"


def printable(text: str) -> str:
    """Return what a node says of itself, fit for a line of the log."""
    return "".join(char if char.isprintable() else "?" for char in text[:LONGEST_ATOM])


def read_challenge(frame: bytes, *, new: bool) -> tuple[int, str]:
    """Return the challenge in a frame of the handshake, and the name of the node that sent it.

    Raises struct.error or UnicodeError for a frame that is none.
    """
    layout = "!cQIIH" if new else "!cHII"
    fields = struct.unpack_from(layout, frame)
    if fields[0] != (b"N" if new else b"n"):
        raise struct.error("not a challenge")
    name = frame[struct.calcsize(layout) :]
    return fields[2 if new else 3], name[: fields[4] if new else None].decode()


def random_number() -> int:
    """Return a random number of 32 bits; `secrets` would take 5 ms to import."""
    return int.from_bytes(os.urandom(4))


def digest(cookie: str, challenge: int) -> bytes:
    """Return what proves to the sender of `challenge` that we know `cookie`."""
    return md5(f"{cookie}{challenge}".encode(), usedforsecurity=False).digest()  # type: ignore[no-any-return]


def pid(node: str, creation: int, *, new: bool) -> Identifier:
    """Return the pid of the only process of a node; `new` ones are those of OTP 23 and newer."""
    if new:
        return Identifier(NEW_PID, node, struct.pack("!III", 1, 0, creation))
    return Identifier(OLD_PID, node, struct.pack("!IIB", 1, 0, creation & 3))


def reference(node: str, creation: int, number: int, *, new: bool) -> Identifier:
    """Return the reference of a node that has this number."""
    if new:
        rest = struct.pack("!IIII", creation, number, 0, 0)
        return Identifier(NEW_REFERENCE, node, rest, 3)
    rest = struct.pack("!BIII", creation & 3, number, 0, 0)
    return Identifier(OLD_REFERENCE, node, rest, 3)


def delivered(packet: bytes) -> list[Any]:
    """Return the message that a packet of a node delivers to us: one, or none.

    The end of a process that is monitored comes as `(DOWN, Reason)`. Raises `TermError` for a
    packet that is malformed.
    """
    if packet[:1] != PASS_THROUGH:
        raise TermError("a packet of another kind than was agreed on")
    reader = Reader(packet[1:])
    control = reader.term()
    if not isinstance(control, tuple) or not control or type(control[0]) is not int:
        raise TermError("a control message that is none")
    if control[0] in {SEND, REG_SEND}:
        return [reader.term()]
    if control[0] != MONITOR_P_EXIT:
        return []
    if len(control) != MONITOR_P_EXIT_LENGTH:
        raise TermError("a control message that is none")
    return [(DOWN, control[4])]
