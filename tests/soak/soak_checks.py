"""What must hold when all is calm: pure functions of what each member says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from soak_clients import ERRORS, call, connect, life_of

from member_entrypoint.erlang import mnesia
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soak_clients import Book
    from soak_members import Member

ENTRIES = ("ets", "tab2list", [Atom("sample")])
SHOWN = 5
"""How many keys of those that are lost are named."""


class View(NamedTuple):
    """What a member says of itself and its cluster; all but `why` is empty if it says nothing."""

    why: str = ""
    """Why it does not answer, or why it is not ready; empty if it is."""
    identity: str = ""
    members: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()
    life: int = 0


def look(member: Member, *, probe: bool = True) -> View:
    """Ask a member; with `probe` also whether it is ready."""
    if not member.up:
        return View("it does not run")
    why = member.why_not_ready() if probe else ""
    try:
        with connect(member) as connection:
            members, running = (
                mnesia.names(call(connection, question))
                for question in (mnesia.MEMBERS, mnesia.RUNNING)
            )
            identity = str(call(connection, mnesia.IDENTITY))
            return View(why, identity, members, running, life_of(connection))
    except ERRORS as error:
        return View(why or f"its node does not answer: {error}")


def table_of(member: Member) -> dict[int, int]:
    """Return what is in a member's copy of the table; raises `ERRORS`."""
    with connect(member) as connection:
        rows = call(connection, ENTRIES)
    assert isinstance(rows, list)
    return {key: value for _, key, value in rows}


def not_one_cluster(views: Mapping[str, View], identity: str) -> list[str]:
    """Return, in words, what keeps these nodes from being the one cluster with that identity."""
    nodes = frozenset(views)
    wrong = []
    for node, view in sorted(views.items()):
        if view.why:
            wrong.append(f"{node}: {view.why}")
        if not view.identity:
            continue
        if identity and view.identity != identity:
            wrong.append(f"{node} is in another cluster: {view.identity}, not {identity}")
        elif view.members != nodes:
            wrong.append(f"{node} has as members {_named(view.members)}")
        elif view.running != nodes:
            wrong.append(f"{node} runs together with {_named(view.running)} only")
    return wrong


def lost_values(
    tables: Mapping[str, Mapping[int, int]],
    book: Book,
    disturbed: float,
    lives: Mapping[int, int],
) -> list[str]:
    """Return, in words, what is promised and not there, and where copies differ."""
    wrong = []
    for node, table in sorted(tables.items()):
        lost = book.lost(table, disturbed, lives)
        for key, last in sorted(lost.items())[:SHOWN]:
            wrong.append(
                f"{node} has {table.get(key)} for key {key}, but {last.value} was acknowledged by "
                f"chat-{last.member} {last.at - disturbed:+.1f} s from the disturbance"
            )
        if len(lost) > SHOWN:
            wrong.append(f"{node} has lost {len(lost)} values in all")
    first, *others = sorted(tables)
    for other in others:
        keys = tables[first].keys() | tables[other].keys()
        differ = [key for key in keys if tables[first].get(key) != tables[other].get(key)]
        if differ:
            wrong.append(
                f"{first} and {other} have {len(differ)} different values: {differ[:SHOWN]}"
            )
    return wrong


def _named(nodes: frozenset[str]) -> str:
    return ", ".join(sorted(nodes)) or "none"
