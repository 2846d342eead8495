"""What a member does beside its VM that boots: it looks around, and its Mnesia starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnesia_model import mnesia_starts, sides
from properties import forgotten_by, may_discard, strangers
from world import Note, Rules, World, goes_down, with_node, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps import Brain


def served(note: Note, me: int) -> Note:
    """Return the marker of a node with data that serves; the identity -1 is filled in later."""
    if note.word == "starting":
        return Note("started", me, -1, certain=note.certain)
    if note.word == "started":
        return note._replace(identity=-1)
    return Note("joined", max(note.other, 0), -1, certain=note.certain)


def settles(
    rules: Rules, brain: Brain, world: World, me: int, rest: list[Any]
) -> Iterator[tuple[str, World]]:
    """Boot the VM, and look around beside it; either may come first."""
    mode, other = rest
    node, name = world.nodes[me], f"{me + 1}"
    if rules.holds and mode == "data" and not node.alone:
        yield from _looks_first(rules, brain, world, me)
        return
    if not node.alone and mode != "join" and (not node.checked or node.vm == "waiting"):
        yield from _checks(rules, brain, world, me)
    if node.vm == "booting":
        yield from _starts_mnesia(rules, world, me)
    elif node.vm == "waiting":
        yield from _goes_on(rules, brain, world, me)
    if node.alone and node.vm == "running":
        yield f"{name} has started, alone", with_node(world, me, at=("serve",), healthy=True)
    elif node.alone:
        return
    elif node.vm == "running" and (mode == "join" or node.checked):
        if mode == "join":
            yield f"{name} begins to join {other + 1}", with_node(world, me, at=("join", other))
            return
        note = served(node.disk.note, me)
        at = ("mark", note._replace(certain=note.certain and not node.doubts), ("serve",))
        yield f"{name} has started", with_node(world, me, at=at)


def _looks_first(rules: Rules, brain: Brain, world: World, me: int) -> Iterator[tuple[str, World]]:
    """Look while the VM boots, and cannot start its Mnesia: nothing that harms it is to be seen."""
    answer = brain.beside(rules, world, me)
    if answer.word in {"refuse", "look"}:
        yield from _checks(rules, brain, world, me)
        return
    if others := strangers(rules, world, me):
        world = wrong(world, f"{me + 1} has its Mnesia meet {others[0] + 1}, of another cluster")
    if not world.silent and (parted := sides(rules, world, me)):
        world = wrong(world, f"{me + 1} has its Mnesia meet {len(parted)} that run apart")
    yield f"{me + 1} has looked first", with_node(world, me, at=("settle", "seen", -1))


def _starts_mnesia(rules: Rules, world: World, me: int) -> Iterator[tuple[str, World]]:
    started = mnesia_starts(rules, world, me)
    if started.nodes[me].vm == "waiting":
        started = with_node(started, me, said="mnesia")
    elif started.nodes[me].vm == "running":
        started = with_node(started, me, said="")
    if started != world:
        yield f"{me + 1}'s Mnesia starts", started


def _goes_on(rules: Rules, brain: Brain, world: World, me: int) -> Iterator[tuple[str, World]]:
    """Have a Mnesia that waits meet those that run; it is not brought to both sides of a cut."""
    parted = sides(rules, world, me)
    if parted and brain.connects(rules, world, me):
        text = f"{me + 1} is connected to {len(parted)} that run apart"
        yield text, wrong(world, text)
    elif not parted:
        yield from _starts_mnesia(rules, world, me)


def _checks(rules: Rules, brain: Brain, world: World, me: int) -> Iterator[tuple[str, World]]:
    name = f"{me + 1}"
    answer = brain.beside(rules, world, me)
    if answer.word == "run":
        note = world.nodes[me].disk.note
        if by := forgotten_by(rules, world, me):
            world = wrong(world, f"{name} goes on, though {by[0] + 1} has removed it")
        if not world.silent and (parted := sides(rules, world, me)):
            world = wrong(world, f"{name} takes the data of one of {len(parted)} that run apart")
        doubts = note.certain and not answer.certain
        looked = with_node(world, me, checked=True, doubts=doubts)
        yield f"{name} has looked around", looked
    elif answer.word == "refuse":
        down = goes_down(world, me)
        yield f"{name} refuses", with_node(down, me, at=("ended",), said=answer.why or "refused")
    elif answer.word == "look":
        down = goes_down(world, me)
        yield f"{name} starts anew", with_node(down, me, at=("look",), again=True)
    elif answer.word == "join" and not may_discard(rules, world, me):
        yield (
            f"{name} decides to join again",
            wrong(world, f"{name} gives up its data, though nobody said that it may"),
        )
    elif answer.word == "join" and world.nodes[me].vm == "running":
        its = world.nodes[answer.whom].disk
        note = Note("joining", answer.whom, its.identity, its.members)
        at = ("mark", note, ("join", answer.whom))
        yield f"{name} decides to join again", with_node(world, me, at=at)
