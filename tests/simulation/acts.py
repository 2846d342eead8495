"""What may happen in the model: start, stop, kill, wipe, leave, remove; DNS and network fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnesia_model import (
    forgets,
)
from world import (
    Disk,
    Node,
    Note,
    Rules,
    World,
    commits,
    connected,
    cuts,
    goes_down,
    running_with,
    with_disk,
    with_node,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps import Brain

MOST_WRITES = 1


def acts(rules: Rules, world: World, brain: Brain) -> Iterator[tuple[str, World]]:
    """Yield what the operator may do, with words for it."""
    for me, node in enumerate(world.nodes):
        found = _with_a_container(rules, world, me) if node.up else _without(rules, world, me)
        for kind, words, after in found:
            if kind in rules.acts:
                yield words, brain.judged(rules, after)
    if "cut" in rules.acts and world.cut >= 0:
        yield "the network is whole again", world._replace(cut=-1)
    elif "cut" in rules.acts:
        for me in range(rules.size):
            yield f"cut {me + 1} off", cuts(world, me)
    if "silence" in rules.acts:
        text = "DNS answers again" if world.silent else "DNS is silent"
        yield text, world._replace(silent=not world.silent)


def _without(_rules: Rules, world: World, me: int) -> Iterator[tuple[str, str, World]]:
    """Yield what can be done about a container that does not run: the kind, words, what comes."""
    node, name = world.nodes[me], f"{me + 1}"
    yield "start", f"start {name}", starts(world, me)
    lone = with_node(starts(world, me), me, alone=True)
    lone = lone._replace(told=lone.told | ({node.disk.identity} - {0}))
    yield "alone", f"start {name} with JOIN_CLUSTER=false", lone
    if node.disk.note != Note():
        yield "strip", f"delete the marker of {name}", with_disk(world, me, note=Note())
    if node.disk != Disk():
        yield "wipe", f"wipe {name}", with_node(world, me, disk=Disk(), said="")


def _with_a_container(rules: Rules, world: World, me: int) -> Iterator[tuple[str, str, World]]:
    """Yield what can be done about one that runs."""
    node, name = world.nodes[me], f"{me + 1}"
    off = with_node(goes_down(world, me), me, at=("off",), said="")
    off = with_node(off, me, announced="", unready=False, locks=False)
    yield "kill", f"kill {name}", off
    if node.at[0] != "stop":
        yield "stop", f"stop {name}", stops(rules, world, me)
    if node.at[0] == "serve":
        yield "hook", f"{name} is told to leave", leaves(world, me, "lone")
    if node.serves and world.writes < MOST_WRITES:
        yield "write", f"write on {name}", writes(world, me)
    if node.serves:
        for gone in node.disk.members - running_with(world, me):
            if not (world.nodes[gone].up and connected(world, me, gone)):
                yield "remove", f"remove {gone + 1} on {name}", forgets(world, me, gone)


def starts(world: World, me: int) -> World:
    """Start a container."""
    return with_node(
        world, me, **(Node()._asdict() | {"disk": world.nodes[me].disk, "at": ("look",)})
    )


def stops(rules: Rules, world: World, me: int) -> World:
    """Stop a container, as by SIGTERM."""
    world = with_node(world, me, locks=False)
    node = world.nodes[me]
    if rules.leaves and node.at[0] == "serve":
        return leaves(world, me, "off")
    if node.vm == "none":
        return with_node(world, me, at=("off",), announced="", said="")
    return with_node(goes_down(world, me), me, at=("stop",), vm="going")


def leaves(world: World, me: int, after: str) -> World:
    """Begin a farewell; then the container stops, or its VM goes on alone."""
    disk = world.nodes[me].disk
    others = disk.members - {me}
    leaving = Note("leaving", min(others, default=-1), disk.identity, others)
    return with_node(world, me, at=("mark", leaving, ("leave", after, disk.note)))


def writes(world: World, me: int) -> World:
    """Commit something on all that run with `me`."""
    return commits(world, me, 100 + world.writes)._replace(writes=world.writes + 1)
