"""What the programs of the members do, effect by effect; what they decide is asked of the brain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mnesia_model import (
    copies_tables,
    empties,
    forgets,
    joins,
    new_schema,
)
from properties import keepers, with_all_tables
from settling import settles
from world import (
    NOBODY,
    Answer,
    At,
    Note,
    Rules,
    World,
    commits,
    connected,
    goes_down,
    resolves,
    running_with,
    with_disk,
    with_node,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Brain(Protocol):
    """The real decisions, asked about a node of the model."""

    def before(self, rules: Rules, world: World, me: int) -> Answer:
        """Decide before the VM runs."""

    def beside(self, rules: Rules, world: World, me: int) -> Answer:
        """Decide beside a VM that boots."""

    def joining(self, rules: Rules, world: World, me: int, other: int) -> Answer:
        """Decide right before it joins `other`."""

    def connects(self, rules: Rules, world: World, me: int) -> bool:
        """Tell whether its Mnesia, which waits, is connected to somebody."""

    def later(self, rules: Rules, world: World, me: int) -> Answer:
        """Decide while it serves, in doubt whether there is another cluster."""

    def loses(self, rules: Rules, world: World, me: int) -> bool:
        """Tell whether it is on the losing side of a partition."""

    def judged(self, rules: Rules, world: World) -> World:
        """Return the world with what is wrong in it."""


def steps(rules: Rules, brain: Brain, world: World) -> Iterator[tuple[str, World]]:
    """Yield all that the members' programs may do next, with words for it."""
    for me in range(rules.size):
        yield from steps_of(rules, brain, world, me)


def steps_of(rules: Rules, brain: Brain, world: World, me: int) -> Iterator[tuple[str, World]]:
    """Yield what the program of one member may do next."""
    if world.nodes[me].up:
        for words, after in own_steps(rules, brain, world, me):
            yield words, brain.judged(rules, after)


def alone(note: Note) -> Note:
    """Return the marker of a node that is told to run alone."""
    return Note() if note.word in {"joining", "left", "leaving", "starting"} else note


def own_steps(rules: Rules, brain: Brain, world: World, me: int) -> Iterator[tuple[str, World]]:
    """Yield what the program of `me` may do next, by where it is."""
    node = world.nodes[me]
    name = f"{me + 1}"
    what, *rest = node.at
    if node.vm == "died":
        yield f"{name}'s VM dies of another identity", _died(rules, brain, world, me)
    elif what in EFFECTS:
        yield EFFECTS[what](rules, world, me, *rest)
    elif what == "look":
        yield from _looks(rules, brain, world, me)
    elif what == "settle":
        yield from settles(rules, brain, world, me, rest)
    elif what == "join" and node.disk.half:
        yield _copies_tables(world, me, rest[0])
    elif what == "join":
        yield from _joins(rules, brain, world, me, rest[0])
    elif what == "serve":
        yield from _serves(rules, brain, world, me)
    elif what == "left":
        yield from _has_left(world, me, *rest)


def _mark(_rules: Rules, world: World, me: int, note: Note, after: At) -> tuple[str, World]:
    if note.identity < 0:
        disk = world.nodes[me].disk
        note = note._replace(identity=disk.identity, members=disk.members)
    noted = with_disk(world, me, note=note)
    healthy = noted.nodes[me].healthy or after == ("serve",)
    return f"{me + 1} notes '{note.word}'", with_node(noted, me, at=after, healthy=healthy)


def _clear(rules: Rules, world: World, me: int, after: At) -> tuple[str, World]:
    emptied = with_node(empties(rules, world, me), me, vm="none", at=after)
    return f"{me + 1} deletes a schema that nobody has used", emptied


def _stale(rules: Rules, world: World, me: int, other: int) -> tuple[str, World]:
    node = world.nodes[other]
    if node.vm == "running" and resolves(rules, world, me, other) and me in node.disk.members:
        world = forgets(world, other, me)
    after = with_node(world, me, at=("boot", "join", other))
    return f"{me + 1} has its stale entry removed", after


def _boot(_rules: Rules, world: World, me: int, mode: str, other: int) -> tuple[str, World]:
    booted = with_node(world, me, vm="booting", at=("settle", mode, other), announced="")
    return f"{me + 1}'s VM boots", booted


def _leave(_rules: Rules, world: World, me: int, after: str, before: Note) -> tuple[str, World]:
    return f"{me + 1} leaves", _leaves(world, me, after, before)


def _stop(_rules: Rules, world: World, me: int) -> tuple[str, World]:
    return f"{me + 1} has stopped", with_node(world, me, vm="none", at=("off",), unready=False)


EFFECTS: dict[str, Callable[..., tuple[str, World]]] = {
    "mark": _mark,
    "stale": _stale,
    "clear": _clear,
    "boot": _boot,
    "leave": _leave,
    "stop": _stop,
}


def _died(rules: Rules, brain: Brain, world: World, me: int) -> World:
    """Let the member find out why; it starts anew, or ends with the reason."""
    world = with_node(world, me, vm="none", checked=False)
    node = world.nodes[me]
    if node.alone:
        return with_node(world, me, at=("ended",), said="alone")
    if node.disk.half and node.disk.note.word != "joining":
        return with_node(world, me, at=("ended",), said="half")
    answer = brain.beside(rules, world, me)
    if answer.word == "refuse":
        return with_node(world, me, at=("ended",), said=answer.why)
    return with_node(world, me, at=("look",), again=True)


def _looks(rules: Rules, brain: Brain, world: World, me: int) -> Iterator[tuple[str, World]]:
    name, disk = f"{me + 1}", world.nodes[me].disk
    answer = brain.before(rules, world, me)
    if answer.word == "wait":
        waits = with_node(world, me, announced=answer.announces, said=answer.why)
        if waits != world:
            yield f"{name} waits", waits
        return
    if answer.word == "refuse":
        said = answer.why or "refused"
        ended = with_node(world, me, at=("ended",), said=said, announced="")
        yield f"{name} refuses", ended
        return
    at: At = ("boot", "data", -1)
    if answer.word == "run":
        note = alone(disk.note) if world.nodes[me].alone else disk.note
        at = ("mark", note, at) if note != disk.note else at
    elif answer.word == "new":
        at = ("boot", "new", -1)
        at = ("clear", at) if answer.clears else at
        at = ("mark", Note("starting", me, certain=answer.certain), at)
    else:
        at = _prepares(world, me, answer)
    decided = with_node(world, me, at=at, checked=False, said="")
    if answer.word == "new" and answer.certain:
        for other in keepers(rules, world, me):
            decided = wrong(decided, f"{name} starts a new cluster, though {other + 1} is there")
    if answer.word == "run" and (whole := with_all_tables(rules, world, me)):
        text = f"{name} starts without all tables, though {whole[0] + 1} has them"
        decided = wrong(decided, text)
    yield f"{name} decides: {answer.word}", decided


def _prepares(world: World, me: int, answer: Answer) -> At:
    """Return what is done before a VM boots that is to join, as `prepare_to_join` does."""
    other, its = answer.whom, world.nodes[answer.whom].disk
    at: At = ("boot", "join", other)
    if not world.nodes[me].disk.identity:
        at = ("stale", other)
    elif answer.clears:
        at = ("clear", ("stale", other))
    return ("mark", Note("joining", other, its.identity, its.members), at)


def _joins(
    rules: Rules, brain: Brain, world: World, me: int, other: int
) -> Iterator[tuple[str, World]]:
    """Join: look again, under a lock where names are hidden; delete, copy, see what came of it."""
    node, its, name = world.nodes[me], world.nodes[other], f"{me + 1}"
    there = its.vm in {"running", "waiting"} and resolves(rules, world, me, other)
    anew = with_node(goes_down(world, me), me, at=("look",), checked=False, locks=False)
    if node.checked and node.vm == "booting" and there:
        joined = joins(rules, world, me, other)
        if its.disk.identity != node.disk.note.identity:
            wrong_one = with_node(goes_down(joined, me), me, at=("look",), checked=False)
            wrong_one = with_node(wrong_one, me, locks=False)
            yield f"{name} has joined another cluster, starts anew", wrong_one
            return
        yield f"{name} copies the schema of {other + 1}", joined
    elif node.checked and node.vm == "booting":
        alone = with_node(new_schema(world, me), me, vm="none", at=("look",), checked=False)
        alone = with_node(alone, me, locks=False)
        yield f"{name}'s join fails, it has a schema of its own, starts anew", alone
    elif node.checked and node.disk.identity == its.disk.identity and there:
        yield f"{name} has joined already", _joined(world, me, other)
    elif node.checked and there:
        yield f"{name} deletes its schema", empties(rules, goes_down(world, me), me)
    elif node.checked:
        yield f"{name} cannot join, starts anew", anew
    elif not any(n.locks for n in world.nodes):
        answer = brain.joining(rules, world, me, other)
        if answer.word == "join" and answer.whom == other:
            hidden = rules.names == "healthy"
            yield f"{name} looks again", with_node(world, me, checked=True, locks=hidden)
        elif answer.word != "wait" or answer.whom == other:
            yield f"{name} starts anew: {answer.why}", anew


def _joined(world: World, me: int, other: int) -> World:
    """Have it noted next that the join came to its end."""
    note = Note("joined", other, -1, certain=world.nodes[other].disk.note.certain)
    return with_node(world, me, at=("mark", note, ("serve",)), checked=False, locks=False)


def _copies_tables(world: World, me: int, other: int) -> tuple[str, World]:
    """Copy the tables after the schema, if the other node is still there, and has them."""
    reached = other in running_with(world, me) and connected(world, me, other)
    if reached and not world.nodes[other].disk.half:
        copied = _joined(copies_tables(world, me, other), me, other)
        return f"{me + 1} copies the data of {other + 1}", copied
    anew = with_node(goes_down(world, me), me, at=("look",), checked=False, locks=False)
    return f"{me + 1} has not all tables, starts anew", with_node(anew, me, again=True)


def _serves(rules: Rules, brain: Brain, world: World, me: int) -> Iterator[tuple[str, World]]:
    node, name = world.nodes[me], f"{me + 1}"
    identity = node.disk.identity
    if identity not in node.disk.data:
        yield f"people use {name}", commits(world, me, identity)
    if not node.disk.note.certain and not node.alone:
        answer = brain.later(rules, world, me)
        if answer.word == "yield" and not node.unready:
            yield (
                f"{name} finds another cluster",
                with_node(world, me, unready=True, said=answer.why),
            )
        elif answer.word == "warn" and not node.said:
            yield f"{name} warns", with_node(world, me, said=answer.why)
        elif answer.word == "certain":
            note = node.disk.note._replace(certain=True)
            yield f"{name} is certain", with_node(with_disk(world, me, note=note), me)


def _leaves(world: World, me: int, after: str, before: Note) -> World:
    """Leave as MongooseIM does: all others must run, else nothing happens but the stop."""
    node = world.nodes[me]
    others = node.disk.members - {me}
    back = ("stop",) if after == "off" else ("serve",)
    reached = [o for o in others if world.nodes[o].vm == "running" and me in running_with(world, o)]
    stays = [
        o
        for o in reached
        if not world.nodes[o].disk.half
        and world.nodes[o].disk.note.word not in {"joining", "starting", "leaving", "left"}
    ]
    if not stays or len(reached) < len(others):
        world = goes_down(world, me) if after == "off" else world
        at = ("mark", before, back)
        return with_node(world, me, at=at, vm="going" if after == "off" else node.vm)
    first = min(others)
    stay = frozenset().union(*(world.nodes[o].disk.data for o in others))
    if node.disk.data - stay:
        world = wrong(world, f"{me + 1} leaves with the last copy of what was committed")
    world = forgets(goes_down(world, me), first, me)
    # Kills come before the data are deleted, and before the marker is written.
    left = node.disk.note._replace(word="left", members=frozenset(others))
    world = with_disk(world, me, note=left._replace(word="leaving"))
    return with_node(world, me, vm="booting", at=("left", left, after))


def _has_left(world: World, me: int, left: Note, after: str) -> Iterator[tuple[str, World]]:
    """Make the schema anew, write the marker."""
    node, name = world.nodes[me], f"{me + 1}"
    if node.vm == "booting":
        emptied = with_disk(world, me, data=NOBODY)
        renewed = with_node(new_schema(emptied, me), me, vm="running")
        yield f"{name} has a schema of its own", renewed
        return
    if after == "off":
        yield f"{name} has left", with_node(world, me, at=("mark", left, ("stop",)), vm="going")
    else:
        at = ("mark", left, ("lone",))
        yield f"{name} has left", with_node(world, me, at=at, said="left")
