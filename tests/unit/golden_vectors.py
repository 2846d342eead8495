"""What the golden vectors in `golden/` are about: the terms, and the conversation with a node.

`golden/make.py` has real Erlang make them; the tests hold our modules to them.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from member_entrypoint.erlang import distribution, messages
from member_entrypoint.erlang.distribution import Connection
from member_entrypoint.erlang.etf import Identifier
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    import pytest

GOLDEN = Path(__file__).with_name("golden")
UNSUPPORTED = object()
"""What Erlang writes and we do not read."""

NODE = b"s\x04a@bc"
OLD_NODE = b"d\x00\x04a@bc"


def nested(levels: int) -> Any:
    """Return an empty list in so many tuples."""
    value: Any = []
    for _ in range(levels):
        value = (value,)
    return value


READ: dict[str, tuple[str | bytes, Any]] = {
    "byte": ("255", 255),
    "integer": ("256", 256),
    "negative integer": ("-2147483648", -(2**31)),
    "small big": ("2147483648", 2**31),
    "negative small big": ("-(1 bsl 64)", -(2**64)),
    "large big": ("1 bsl 2048", 2**2048),
    "negative large big": ("-(1 bsl 2048)", -(2**2048)),
    "float": ("1.5", 1.5),
    "negative zero": ("-0.0", -0.0),
    "smallest float": ("5.0e-324", 5e-324),
    "largest float": ("1.7976931348623157e308", 1.7976931348623157e308),
    "true": ("true", Atom("true")),
    "empty atom": ("''", Atom("")),
    "atom with a quote": (r"'it\'s'", Atom("it's")),
    "atom with escapes": (r"'a\n\t\\\e\x{7f}'", Atom("a\n\t\\\x1b\x7f")),
    "node": ("'mongooseim@chat-1'", Atom("mongooseim@chat-1")),
    "Latin-1 atom": (r"'\x{e9}t\x{e9}'", Atom("été")),
    "small Unicode atom": (r"'\x{4e16}\x{1f600}'", Atom("世\U0001f600")),
    "longest atom": ("list_to_atom(lists:duplicate(255, $a))", Atom("a" * 255)),
    "longest Unicode atom": (r"list_to_atom(lists:duplicate(255, 16#4e16))", Atom("世" * 255)),
    "empty tuple": ("{}", ()),
    "small tuple": ("{ok, [], {1}}", (Atom("ok"), [], (1,))),
    "large tuple": ("list_to_tuple(lists:duplicate(300, x))", (Atom("x"),) * 300),
    "nil": ("[]", []),
    "string": ('"abc"', [97, 98, 99]),
    "long string": ("lists:duplicate(300, 7)", [7] * 300),
    "list of integers": ("[256, -1]", [256, -1]),
    "Unicode string": (r'"\x{4e16}"', [0x4E16]),
    "nested lists": ("[[], [[]], [a, [1.0]]]", [[], [[]], [Atom("a"), [1.0]]]),
    "improper list": ("[1, 2 | three]", [1, 2, Atom("three")]),
    "binary": ("<<0, 255>>", b"\x00\xff"),
    "empty binary": ("<<>>", b""),
    "map": ("#{a => #{}, [1] => 2.5}", [(Atom("a"), []), ([1], 2.5)]),
    "deep": (
        "lists:foldl(fun(_, T) -> {T} end, [], lists:seq(1, 99))",
        nested(99),
    ),
    "bit string": ("<<1:1>>", UNSUPPORTED),
    "export": ("fun lists:map/2", UNSUPPORTED),
    "fun": ("fun(X) -> X end", UNSUPPORTED),
    "compressed": ("compressed", UNSUPPORTED),
    "local pid of the new form": (
        b"X" + NODE + bytes.fromhex("00000001 00000002 00000003"),
        Identifier(88, "a@bc", bytes.fromhex("000000010000000200000003")),
    ),
    "pid of the old form": (
        b"g" + OLD_NODE + bytes.fromhex("00000001 00000002 03"),
        Identifier(103, "a@bc", bytes.fromhex("000000010000000203")),
    ),
    "port of the old form": (
        b"f" + OLD_NODE + bytes.fromhex("00000001 03"),
        Identifier(102, "a@bc", bytes.fromhex("0000000103")),
    ),
    "port of the new form": (
        b"Y" + NODE + bytes.fromhex("00000001 00000003"),
        Identifier(89, "a@bc", bytes.fromhex("0000000100000003")),
    ),
    "port of OTP 24": (
        b"x" + NODE + bytes.fromhex("0000000100000001 00000003"),
        Identifier(120, "a@bc", bytes.fromhex("000000010000000100000003")),
    ),
    "oldest reference": (
        b"e" + OLD_NODE + bytes.fromhex("00000001 03"),
        Identifier(101, "a@bc", bytes.fromhex("0000000103")),
    ),
    "reference of the old form": (
        b"r\x00\x03" + OLD_NODE + bytes.fromhex("03 00000001 00000002 00000003"),
        Identifier(114, "a@bc", bytes.fromhex("03000000010000000200000003"), 3),
    ),
    "reference of the new form": (
        b"Z\x00\x03" + NODE + bytes.fromhex("00000003 00000001 00000002 00000003"),
        Identifier(90, "a@bc", bytes.fromhex("00000003000000010000000200000003"), 3),
    ),
    "reference of five words": (
        b"Z\x00\x05" + NODE + bytes.fromhex("00000003 00000001" + "00000002" * 4),
        Identifier(90, "a@bc", bytes.fromhex("0000000300000001" + "00000002" * 4), 5),
    ),
    "small Latin-1 atom": (b"s\x02\xe9a", Atom("éa")),
    "UTF-8 atom with two bytes of length": (b"v\x00\x03\xe4\xb8\x96", Atom("世")),
    "large tuple of one": (b"i\x00\x00\x00\x01a\x07", (7,)),
    "large big of one byte": (b"o\x00\x00\x00\x01\x01\x07", -7),
}
"""By name: the Erlang expression that makes a term, or bytes that Erlang reads; and our value.

The bytes are of forms that the Erlang of today reads, and does not write any more.
"""

WRITTEN: dict[str, Any] = {
    "atoms": [Atom("ok"), Atom(""), Atom("it's"), Atom("été"), Atom("世"), Atom("世" * 255)],
    "truth values": [True, False],
    "integers": [0, 255, -1, 2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**2040 - 1, -(2**2040)],
    "floats": [0.0, -1.5, 1e22, 1e-7, 5e-324],
    "strings": ["", "chat", 'a"b\\\n', "世"],
    "binaries": [b"", b"\x00\xff"],
    "lists": [[], [[]], [1, [Atom("a")]]],
    "tuples": [(), (1,), ((), (2,)), (Atom("x"),) * 255, (Atom("x"),) * 256],
    "pids": [
        Identifier(88, "a@bc", b"\0\0\0\1\0\0\0\2\0\0\0\3"),
        Identifier(103, "a@bc", b"\1" * 9),
    ],
    "references": [
        Identifier(90, "a@bc", b"\0\0\0\3" + b"\0\0\0\1" * 3, 3),
        Identifier(114, "a@bc", b"\3" + b"\0\0\0\1" * 3, 3),
    ],
}
"""By name: what we write, and Erlang reads."""

COOKIE = "sample"
NAME = "real"
TARGET = f"{NAME}@127.0.0.1"
OWN_HOST = "127.0.0.2"
LONG = 30.0
EVALUATED = """
register(golden_process, spawn(fun() -> receive stop -> exit(over) end end)),
io:put_chars("ready\\n").
"""
"""What the node does when it starts, for `talk`."""
SAID = [
    Atom(TARGET),
    [(2**70,), [99], b"b", Atom("a"), 2.5, 1],
    ("badrpc", ("EXIT", ("no", [("erlang", "error", ["no"], [])]))),
    ("badrpc", ("EXIT", ("undef", [("no_such_module", "f", [], [])]))),
    Atom("later"),
    Atom("to a name"),
    (Atom("DOWN"), Atom("over")),
]
"""What the node says in `talk`."""


def load(name: str) -> Any:
    """Return what a file of golden vectors has."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def make_predictable(patch: pytest.MonkeyPatch) -> None:
    """Have connections use the same name, creation and challenge each time."""
    patch.setattr(distribution, "_TOKEN", "golden")
    patch.setattr(distribution, "_NUMBERS", itertools.cycle([7]))
    patch.setattr(os, "getpid", lambda: 42)
    # The one for the creation, then the challenge.
    random = itertools.cycle([0x12345678, 0xCAFECAFE])
    patch.setattr(messages, "random_number", lambda: next(random))


def talk(address: str, epmd_port: int) -> list[Any]:
    """Hold the conversation that was recorded, and return what the node said."""
    with Connection(address, TARGET, OWN_HOST, COOKIE, LONG, epmd_port=epmd_port) as node:
        said = [
            node.call("erlang", "node", [], LONG),
            node.call("lists", "reverse", [[1, 2.5, Atom("a"), b"b", "c", (2**70,)]], LONG),
            node.call("erlang", "error", [Atom("no")], LONG),
            node.call("no_such_module", "f", [], LONG),
        ]
        node.monitor("golden_process")
        # The node is silent for longer than it takes it to send a tick.
        later = [Atom("send"), [node.pid, Atom("later")]]
        node.call("timer", "apply_after", [2500, Atom("erlang"), *later], LONG)
        said.append(node.receive(LONG))
        # A name, not a pid: REG_SEND.
        named = (Atom("somebody"), Atom(node.pid.node))
        node.call("erlang", "send", [named, Atom("to a name")], LONG)
        said.append(node.receive(LONG))
        node.call("erlang", "send", [Atom("golden_process"), Atom("stop")], LONG)
        said.append(node.receive(LONG))
    return said
