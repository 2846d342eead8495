"""The model: Mnesia, DNS, epmd, disks and containers, as plain values that steps turn into others.

A `World` is what there is at one moment. `steps` and `acts` give all that may happen next, each
with its words: the next effect of each member's own program, and what an operator may do. What a
member decides is not modelled: `brain` asks the real decision.
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
    """The volume of a node: marker and Mnesia's folder; the identity 0 is that of no schema.

    `half`: a join was cut between the schema and the tables, of which it has no copy.
    """

    note: Note = Note()
    identity: int = 0
    members: Nodes = NOBODY
    downs: Nodes = NOBODY
    data: Nodes = NOBODY
    half: bool = False


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
    announced: str = ""
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
    DNS may mean: `doubt`, `outage` or `nobody`. `holds`: the volumes have leases, so a Mnesia that
    has data starts after the first look only.
    """

    size: int = 2
    names: str = "docker"
    leaves: bool = False
    discards: bool = False
    silence: str = "doubt"
    acts: frozenset[str] = frozenset({"start", "stop", "kill"})
    holds: bool = True


class World(NamedTuple):
    """All nodes; who founded each identity (the first is 1); whether DNS is silent.

    `cut` is the node that the network is cut off from, -1 for none; `apart` has the pairs of nodes
    that run in one cluster, and not together. `told` are the identities that an operator made, by
    JOIN_CLUSTER=false.
    """

    nodes: tuple[Node, ...]
    founders: tuple[int, ...] = ()
    silent: bool = False
    cut: int = -1
    apart: frozenset[Nodes] = frozenset()
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
    announces: str = ""


def connected(world: World, me: int, other: int) -> bool:
    """Tell whether the network between two nodes is whole."""
    return me == other or world.cut not in {me, other}


def resolves(rules: Rules, world: World, me: int, other: int) -> bool:
    """Tell whether the name of `other` has an address, at which something answers `me`."""
    node = world.nodes[other]
    if world.silent or not connected(world, me, other):
        return False
    return node.up and (node.healthy or rules.names != "healthy")


def sees(rules: Rules, world: World, me: int, other: int) -> str:
    """Return how `other` looks to `me`: the name of a `State`, in small letters."""
    node = world.nodes[other]
    if world.silent:
        return "unknown"
    there = node.up if rules.names == "docker" else rules.names == "fixed"
    if not connected(world, me, other) and (there or node.healthy):
        return "silent"
    if rules.names == "fixed" and not node.up:
        return "silent"
    if not resolves(rules, world, me, other):
        return "absent"
    if node.vm in {"none", "died"}:
        return node.announced or "stopped"
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
        and frozenset({i, me}) not in world.apart
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


def commits(world: World, me: int, what: int) -> World:
    """Have all that run with `me`, and have the tables, commit something."""
    for other in running_with(world, me):
        disk = world.nodes[other].disk
        if not disk.half:
            world = with_disk(world, other, data=disk.data | {what})
    return world


def goes_down(world: World, me: int) -> World:
    """Have the Mnesia of `me` stop: those that run with it note that."""
    for other in running_with(world, me) - {me} if world.nodes[me].vm == "running" else NOBODY:
        world = with_disk(world, other, downs=world.nodes[other].disk.downs | {me})
    world = world._replace(apart=frozenset(pair for pair in world.apart if me not in pair))
    return with_node(world, me, vm="none")


def cuts(world: World, me: int) -> World:
    """Cut the network of `me`: all that run with it go on, and each side notes the other down."""
    away = running_with(world, me) - {me} if world.nodes[me].vm == "running" else NOBODY
    for other in away:
        world = with_disk(world, other, downs=world.nodes[other].disk.downs | {me})
    world = with_disk(world, me, downs=world.nodes[me].disk.downs | away)
    pairs = frozenset(frozenset({me, other}) for other in away)
    return world._replace(cut=me, apart=world.apart | pairs)


def wrong(world: World, text: str) -> World:
    """Note that a property is broken."""
    return world if world.wrong else world._replace(wrong=text)
