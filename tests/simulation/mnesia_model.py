"""The model of Mnesia: what becomes of schemas and data when nodes start, join, leave and part.

What is modelled of Mnesia, each held against the real one in `tests/docker/test_model.py`:
- a schema has an identity, made with it; a node without a schema makes one of its own;
- members that run note who goes down; a node that starts loads its tables from one that has, or
  when all others went down before it, or when all are there and none has; else it waits;
- a node that starts contacts the members of its schema; if one of them has another identity, the
  VM dies; if one that runs does not list it, it becomes a member again;
- those that meet have all members that one of them lists: one that was removed may come back so;
- joining deletes the data, then copies the schema of the others, then their tables; a VM cannot
  start with the schema alone, if nobody serves; leaving deletes the data, and leaves a schema of
  its own behind;
- when the network is cut, each side notes the other down; whole again, they run apart until they
  start anew (`tests/process/test_partition_reunion.py`).
"""

from __future__ import annotations

from world import (
    NOBODY,
    Nodes,
    Rules,
    World,
    connected,
    resolves,
    running_with,
    with_disk,
    with_node,
    wrong,
)


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
        half=False,
    )


def mnesia_starts(rules: Rules, world: World, me: int) -> World:
    """Start the Mnesia of `me`, or have it look again: it runs, waits, or the VM dies."""
    disk = world.nodes[me].disk
    if not disk.identity:
        return with_node(new_schema(world, me), me, vm="running")
    up = [
        other
        for other in sorted(disk.members - {me})
        if world.nodes[other].vm in {"waiting", "running"} and resolves(rules, world, me, other)
    ]
    alike = [other for other in up if world.nodes[other].disk.identity == disk.identity]
    if alike != up and world.nodes[me].vm == "booting":
        return with_node(world, me, vm="died")
    up = alike
    running = [o for o in up if world.nodes[o].vm == "running" and not world.nodes[o].disk.half]
    if disk.half and not running:
        return with_node(world, me, vm="died")
    world = merges(world, me, up)
    if running:
        return _runs(_copies(world, me, running[0]), me)
    disk = world.nodes[me].disk
    others = frozenset(i for i in disk.members - {me} if not world.nodes[i].disk.half)
    if others <= disk.downs or others <= set(up):
        return _runs(with_disk(world, me, downs=disk.downs - set(up)), me)
    return with_node(world, me, vm="waiting")


def lists(world: World, nodes: Nodes, members: Nodes, *, back: int = -1) -> World:
    """Have these nodes list others as members; `back` is not down any more."""
    for other in nodes:
        downs = world.nodes[other].disk.downs - {back}
        world = with_disk(world, other, members=members, downs=downs)
    return world


def merges(world: World, me: int, up: list[int]) -> World:
    """Have all that `me` meets, and that run with those, list all whom one of them lists."""
    met = frozenset({me}).union(up, *(running_with(world, i) for i in up))
    members = frozenset({me}).union(*(world.nodes[i].disk.members for i in met))
    return lists(world, met, members, back=me)


def _copies(world: World, me: int, other: int) -> World:
    """Have `me` the data of `other`, and its list of members."""
    its = world.nodes[other].disk
    return with_disk(
        world,
        me,
        identity=its.identity,
        members=its.members,
        downs=NOBODY,
        data=its.data,
        half=its.half,
    )


def _runs(world: World, me: int) -> World:
    """Have the Mnesia of `me` run: apart from those that run and that it does not reach.

    Sides that ran apart are brought together by it, though none of them gets the other's data.
    """
    world = with_node(world, me, vm="running")
    identity = world.nodes[me].disk.identity
    others = {
        i
        for i, node in enumerate(world.nodes)
        if i != me and node.vm == "running" and node.disk.identity == identity
    }
    met = {i for i in others if connected(world, me, i)}
    apart = {pair for pair in world.apart if not pair <= met}
    return world._replace(apart=frozenset(apart | {frozenset({i, me}) for i in others - met}))


def empties(rules: Rules, world: World, me: int) -> World:
    """Delete the data of `me`, and see whether somebody else still has them."""
    disk = world.nodes[me].disk
    world = with_disk(world, me, identity=0, members=NOBODY, downs=NOBODY, data=NOBODY, half=False)
    left = frozenset().union(*(node.disk.data for node in world.nodes))
    if disk.data - left and not rules.discards:
        world = wrong(world, f"the last copy of what was committed is deleted, on {me + 1}")
    return with_node(world, me, vm="booting")


def joins(rules: Rules, world: World, me: int, other: int) -> World:
    """Copy the schema of the cluster of `other` to `me`, whose own was deleted."""
    cluster = running_with(world, other) | {other}
    disk = world.nodes[other].disk
    members = disk.members | {me}
    # One that comes back with its data takes no turn: it may appear between look and join.
    hidden = [
        i
        for i in sorted(cluster - {me})
        if not resolves(rules, world, me, i)
        and world.cut < 0
        and world.nodes[i].disk.note.word == "joining"
        and not (world.nodes[i].at[0] == "settle" or world.nodes[i].checked)
    ]
    if hidden:
        world = wrong(world, f"{me + 1} joins, and does not reach {hidden[0] + 1}: a split")
    world = lists(world, cluster, members, back=me)
    world = with_disk(_copies(world, me, other), me, data=NOBODY, half=True)
    if world.nodes[other].vm == "waiting":
        world = _runs(world, other)
    world = with_node(world, me, vm="running")
    apart = {frozenset({me, i}) for pair in world.apart if other in pair for i in pair - {other}}
    return world._replace(apart=world.apart | apart)


def copies_tables(world: World, me: int, other: int) -> World:
    """Copy the tables of the cluster of `other` to `me`, which has its schema."""
    its = world.nodes[other].disk
    return with_disk(world, me, data=its.data, half=its.half)


def sides(rules: Rules, world: World, me: int) -> Nodes:
    """Return the members of the cluster of `me` that it sees running apart from each other.

    Those whom neither it lists nor a member that it meets, it does not meet either.
    """
    identity, listed = world.nodes[me].disk.identity, world.nodes[me].disk.members
    running = (i for i in listed if world.nodes[i].vm == "running")
    reached = (i for i in running if resolves(rules, world, me, i))
    met = listed.union(*(world.nodes[i].disk.members for i in reached))
    return frozenset(
        i
        for pair in world.apart
        for i in pair
        if me not in pair
        and all(j in met and resolves(rules, world, me, j) for j in pair)
        and all(world.nodes[j].disk.identity == identity for j in pair)
    )


def forgets(world: World, by: int, gone: int) -> World:
    """Have the members that run with `by` remove `gone` from their schema."""
    disk = world.nodes[by].disk
    cluster = running_with(world, by) | {by}
    return lists(world, cluster, disk.members - {gone})
