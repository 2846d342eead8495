"""The model: Mnesia, DNS, epmd, disks and containers, as plain values that steps turn into others.

A `World` is what there is at one moment. `steps` and `acts` give all that may happen next, each
with its words: the next effect of each member's own program, and what an operator may do. What a
member decides is not modelled: `brain` asks the real decision.

What is modelled of Mnesia, each held against the real one in `tests/process/test_mnesia_model.py`:
- a schema has an identity, made with it; a node without a schema makes one of its own;
- members that run note who goes down; a node that starts loads its tables from one that has, or
  when all others went down before it, or when all are there and none has; else it waits;
- a node that starts contacts the members of its schema; if one of them has another identity, the
  VM dies; if one that runs does not list it, it becomes a member again;
- joining deletes the data, then copies those of the others; leaving deletes them, and leaves a
  schema of its own behind.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Nodes = frozenset[int]
NOBODY: Nodes = frozenset()
At = tuple[Any, ...]
"""A step: its name, and what it needs; often the step that comes after it."""


class Note(NamedTuple):
    """What the marker says: its word, the other node (-1: none), and what was known then."""

    word: str = "none"
    other: int = -1
    identity: int = 0
    members: Nodes = NOBODY
    certain: bool = True


class Disk(NamedTuple):
    """The volume of a node: marker and Mnesia's folder; the identity 0 is that of no schema."""

    note: Note = Note()
    identity: int = 0
    members: Nodes = NOBODY
    downs: Nodes = NOBODY
    data: Nodes = NOBODY


class Node(NamedTuple):
    """A container: its disk, where its program is, and its VM.

    `vm` is `none`, `booting` (registered, without Mnesia), `waiting` (Mnesia waits for others),
    `running`, `going` (it stops), or `died`. `at` is `off`, `ended`, or the step that comes next.
    `healthy`: it has served since it was started, and a health check may still say so. `again`: a
    VM of its died since it was started.
    """

    disk: Disk = Disk()
    at: At = ("off",)
    vm: str = "none"
    announced: bool = False
    checked: bool = False
    doubts: bool = False
    locks: bool = False
    unready: bool = False
    alone: bool = False
    healthy: bool = False
    again: bool = False
    said: str = ""

    @property
    def up(self) -> bool:
        """Whether the container runs."""
        return self.at[0] not in {"off", "ended"}

    @property
    def serves(self) -> bool:
        """Whether people use it."""
        return self.at[0] == "serve" and self.vm == "running" and not self.unready


class Rules(NamedTuple):
    """What kind of world it is, and what its operator may do.

    `names`: `docker` (a name exists while its container runs), `fixed` (it always exists),
    `healthy` (once the member serves). `leaves`: a stop is a farewell. `silence` is what a silent
    DNS may mean: `doubt`, `outage` or `nobody`.
    """

    size: int = 2
    names: str = "docker"
    leaves: bool = False
    discards: bool = False
    silence: str = "doubt"
    acts: frozenset[str] = frozenset({"start", "stop", "kill"})


class World(NamedTuple):
    """All nodes; who founded each identity (the first is 1); whether DNS is silent.

    `told` are the identities that an operator made, by JOIN_CLUSTER=false.
    """

    nodes: tuple[Node, ...]
    founders: tuple[int, ...] = ()
    silent: bool = False
    writes: int = 0
    told: Nodes = NOBODY
    wrong: str = ""


class Answer(NamedTuple):
    """What a member decides: a word, and what it needs.

    `wait`, `run`, `join`, `new`, `refuse` before the VM runs; `serve`, `again`, `refuse`, `join`
    beside it; `yield`, `warn`, `certain` or `again` while it serves.
    """

    word: str
    whom: int = -1
    certain: bool = True
    why: str = ""
    clears: bool = False


def resolves(rules: Rules, world: World, other: int) -> bool:
    """Tell whether the name of `other` has an address, at which something answers."""
    node = world.nodes[other]
    if world.silent:
        return False
    return node.up and (node.healthy or rules.names != "healthy")


def sees(rules: Rules, world: World, other: int) -> str:
    """Return how `other` looks to the others: the name of a `State`, in small letters."""
    node = world.nodes[other]
    if world.silent:
        return "unknown"
    if rules.names == "fixed" and not node.up:
        return "silent"
    if not resolves(rules, world, other):
        return "absent"
    if node.vm in {"none", "died"}:
        return "empty" if node.announced else "stopped"
    return {"booting": "starting", "going": "going"}.get(node.vm, "up")


def running_with(world: World, me: int) -> Nodes:
    """Return the nodes whose Mnesia runs together with that of `me`, itself included."""
    disk = world.nodes[me].disk
    return frozenset(
        i
        for i, node in enumerate(world.nodes)
        if node.vm == "running"
        and node.disk.identity == disk.identity
        and (i == me or (me in node.disk.members and i in disk.members))
    )


def is_lone(world: World, me: int) -> bool:
    """Tell whether the schema of `me` is one of its own that nobody else is in."""
    disk = world.nodes[me].disk
    return disk.members == {me} and world.founders[disk.identity - 1] == me


def with_node(world: World, me: int, **changes: Any) -> World:
    """Return the world with a node changed."""
    nodes = list(world.nodes)
    nodes[me] = nodes[me]._replace(**changes)
    return world._replace(nodes=tuple(nodes))


def with_disk(world: World, me: int, **changes: Any) -> World:
    """Return the world with the disk of a node changed."""
    return with_node(world, me, disk=world.nodes[me].disk._replace(**changes))


def goes_down(world: World, me: int) -> World:
    """Have the Mnesia of `me` stop: those that run with it note that."""
    for other in running_with(world, me) - {me} if world.nodes[me].vm == "running" else NOBODY:
        world = with_disk(world, other, downs=world.nodes[other].disk.downs | {me})
    return with_node(world, me, vm="none")


def wrong(world: World, text: str) -> World:
    """Note that a property is broken."""
    return world if world.wrong else world._replace(wrong=text)


# Mnesia ------------------------------------------------------------------------------------------


def new_schema(world: World, me: int) -> World:
    """Make a schema of its own for `me`; what it had is gone."""
    world = world._replace(founders=(*world.founders, me))
    if world.nodes[me].alone:
        world = world._replace(told=world.told | {len(world.founders)})
    return with_disk(
        world,
        me,
        identity=len(world.founders),
        members=frozenset({me}),
        downs=NOBODY,
        data=NOBODY,
    )


def mnesia_starts(rules: Rules, world: World, me: int) -> World:
    """Start the Mnesia of `me`, or have it look again: it runs, waits, or the VM dies."""
    disk = world.nodes[me].disk
    if not disk.identity:
        return with_node(new_schema(world, me), me, vm="running")
    up = [
        other
        for other in sorted(disk.members - {me})
        if world.nodes[other].vm in {"waiting", "running"} and resolves(rules, world, other)
    ]
    alike = [other for other in up if world.nodes[other].disk.identity == disk.identity]
    if alike != up and world.nodes[me].vm == "booting":
        return with_node(world, me, vm="died")
    up = alike
    running = [other for other in up if world.nodes[other].vm == "running"]
    if running:
        first = running[0]
        members = world.nodes[first].disk.members | {me}
        for other in running_with(world, first):
            its = world.nodes[other].disk
            world = with_disk(world, other, members=members, downs=its.downs - {me})
        world = with_disk(
            world, me, members=members, downs=NOBODY, data=world.nodes[first].disk.data
        )
        return with_node(world, me, vm="running")
    others = disk.members - {me}
    if others <= disk.downs or others <= set(up):
        return with_node(with_disk(world, me, downs=disk.downs - set(up)), me, vm="running")
    return with_node(world, me, vm="waiting")


def empties(rules: Rules, world: World, me: int) -> World:
    """Delete the data of `me`, and see whether somebody else still has them."""
    disk = world.nodes[me].disk
    world = with_disk(world, me, identity=0, members=NOBODY, downs=NOBODY, data=NOBODY)
    left = frozenset().union(*(node.disk.data for node in world.nodes))
    if disk.data - left and not rules.discards:
        world = wrong(world, f"the last copy of what was committed is deleted, on {me + 1}")
    return with_node(world, me, vm="booting")


def joins(rules: Rules, world: World, me: int, other: int) -> World:
    """Copy schema and data of the cluster of `other` to `me`, whose own are deleted."""
    cluster = running_with(world, other) | {other}
    disk = world.nodes[other].disk
    members = disk.members | {me}
    # One that comes back with its data takes no turn: it may appear between look and join.
    hidden = [
        i
        for i in sorted(cluster - {me})
        if not resolves(rules, world, i)
        and world.nodes[i].disk.note.word == "joining"
        and not (world.nodes[i].at[0] == "settle" or world.nodes[i].checked)
    ]
    if hidden:
        world = wrong(world, f"{me + 1} joins, and does not reach {hidden[0] + 1}: a split")
    for i in cluster:
        its = world.nodes[i].disk
        world = with_disk(world, i, members=members, downs=its.downs - {me})
    world = with_disk(
        world, me, identity=disk.identity, members=members, downs=NOBODY, data=disk.data
    )
    if world.nodes[other].vm == "waiting":
        world = with_node(world, other, vm="running")
    return with_node(world, me, vm="running")


def forgets(world: World, by: int, gone: int) -> World:
    """Have the members that run with `by` remove `gone` from their schema."""
    for other in running_with(world, by) | {by}:
        its = world.nodes[other].disk
        world = with_disk(world, other, members=its.members - {gone}, downs=its.downs - {gone})
    return world
