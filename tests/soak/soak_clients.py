"""Clients that write values to all members, and the book of what was acknowledged to them.

What counts as promised, and may not be lost, is what a member of the cluster acknowledged, and

- which was at least `FLUSHED` seconds old when something was next done to the cluster, which was
  whole: all members had it then, so it survives while one of them keeps its disk (Mnesia writes
  what it logs to the disk after 2 s at most); or
- whose VM has run on until all was calm again, however disturbed the others were.

All else may be lost: what a member acknowledged that was then killed, or was restarted because it
was on the losing side of a partition.

Clients write only where the server has started: no real client comes in before. A Mnesia that
starts takes a transaction as soon as it knows one other copy of the table, and commits it there
only; the remaining copies never get it (seen with OTP 25).
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from member_entrypoint.erlang import mnesia
from member_entrypoint.erlang.distribution import Connection, DistributionError
from member_entrypoint.erlang.epmd import NotRegisteredError
from member_entrypoint.terms import Atom, TermError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soak_members import Member

COOKIE = "sample"
TIMEOUT = 3.0
"""Seconds that a client waits for anything."""
FLUSHED = 4.0
PAUSE = 0.03
"""Seconds between two writes."""
KEYS = 300
LISTENERS = ("erlang", "whereis", [Atom("mongooseim_sup")])
"""The process that has the listeners; `undefined` until the server has started."""
ERRORS = (DistributionError, NotRegisteredError, TermError, OSError)


class Attempt(NamedTuple):
    """A value that was written: when, on which member, and in which life of its VM."""

    value: int
    member: int
    life: int
    at: float
    """Monotonic seconds of the acknowledgement."""


@dataclass
class Book:
    """What was acknowledged, by key; in the order of the values, since one thread writes them."""

    acknowledged: dict[int, list[Attempt]] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    """Keys with a write that got no answer: it may still come, so they are looked at no more."""
    count: int = 0

    def note(self, key: int, attempt: Attempt) -> None:
        """Note what was acknowledged."""
        self.acknowledged.setdefault(key, []).append(attempt)
        self.count += 1

    def doubt(self, key: int) -> None:
        """Note that a write got no answer."""
        self.doubtful.add(key)
        self.acknowledged.pop(key, None)

    def promised(self, disturbed: float, lives: Mapping[int, int]) -> dict[int, Attempt]:
        """Return for each key the last that is promised.

        The cluster was whole until `disturbed`; `lives` are those of the VMs that run now.
        """
        found = {}
        for key, attempts in self.acknowledged.items():
            for attempt in attempts:
                if attempt.at <= disturbed - FLUSHED or lives.get(attempt.member) == attempt.life:
                    found[key] = attempt
        return found

    def lost(
        self, table: Mapping[int, int], disturbed: float, lives: Mapping[int, int]
    ) -> dict[int, Attempt]:
        """Return what is promised and not in the table, where only something newer may stand."""
        promised = self.promised(disturbed, lives)
        return {key: last for key, last in promised.items() if table.get(key, 0) < last.value}

    def settle(self, table: Mapping[int, int], disturbed: float, lives: Mapping[int, int]) -> None:
        """Forget what has been overwritten, and what was lost without having been promised."""
        promised = self.promised(disturbed, lives)
        for key, attempts in self.acknowledged.items():
            still = {table.get(key)}
            if key in promised:
                still.add(promised[key].value)
            attempts[:] = [each for each in attempts if each.value in still]


class Writer:
    """A thread that writes value after value, each to a member by chance."""

    def __init__(self, members: Sequence[Member], book: Book, seed: int) -> None:
        """Take the dice's seed; `start` begins."""
        self._members = members
        self._book = book
        self._dice = random.Random(seed)  # noqa: S311 - the same dice from the same seed
        self._keys = list(range(KEYS))
        self._next_key = KEYS
        self._value = 0
        self._open: dict[int, tuple[Connection, int]] = {}
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clients", daemon=True)
        self.identity = ""
        """Of the cluster: who is in another one, or in none, is not written to."""

    def __enter__(self) -> Self:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def pausing(self) -> threading.Lock:
        """Return a lock: nobody writes while it is held, and no write is under way."""
        return self._turn

    def _run(self) -> None:
        while not self._ended.wait(PAUSE):
            with self._turn:
                if self.identity:
                    self._write(self._dice.choice(self._members))
        for connection, _ in self._open.values():
            connection.close()

    def _write(self, member: Member) -> None:
        try:
            connection, life = self._connection(member)
            if str(call(connection, mnesia.IDENTITY)) != self.identity:
                return
            if call(connection, LISTENERS) == Atom("undefined"):
                return
        except ERRORS:
            self._drop(member)
            return
        place = self._dice.randrange(KEYS)
        key, self._value = self._keys[place], self._value + 1
        arguments = [Atom("sample"), key, self._value]
        try:
            answer = connection.call("mongooseim_store", "write", arguments, TIMEOUT)
        except ERRORS:
            answer = None
            self._drop(member)
        if answer == (Atom("atomic"), Atom("ok")):
            self._book.note(key, Attempt(self._value, member.number, life, time.monotonic()))
        elif not (isinstance(answer, tuple) and answer[0] == "aborted"):
            self._book.doubt(key)
            self._keys[place], self._next_key = self._next_key, self._next_key + 1

    def _connection(self, member: Member) -> tuple[Connection, int]:
        if member.number not in self._open:
            connection = connect(member, "clients")
            self._open[member.number] = connection, 0  # `_drop` closes it if it does not answer
            self._open[member.number] = connection, life_of(connection)
        return self._open[member.number]

    def _drop(self, member: Member) -> None:
        connection, _ = self._open.pop(member.number, (None, 0))
        if connection is not None:
            connection.close()


def connect(member: Member, host: str = "looks") -> Connection:
    """Connect to a member's node as a hidden node on `host`; raises `ERRORS`.

    Names come again after 64 connections: who keeps some open needs a host of its own.
    """
    if not member.up:
        raise NotRegisteredError(f"{member.node} does not run")
    return Connection(member.address, member.node, host, COOKIE, TIMEOUT)


def call(connection: Connection, question: tuple[str, str, list[Any]]) -> object:
    """Return the answer to a question; raises `ERRORS`, also where the node says `badrpc`."""
    answer = connection.call(*question, TIMEOUT)
    if isinstance(answer, tuple) and answer[:1] == (Atom("badrpc"),):
        raise DistributionError(f"it answers {answer[1]}"[:200])
    return answer


def life_of(connection: Connection) -> int:
    """Return what is different for each start of a VM: its offset of time, in nanoseconds."""
    offset = call(connection, ("erlang", "time_offset", []))
    assert isinstance(offset, int)
    return offset
