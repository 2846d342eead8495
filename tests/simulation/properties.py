"""What must hold in the model, beside what `brain` judges of each world: by what is to be seen."""

from __future__ import annotations

from world import Rules, World, is_lone, resolves, running_with, sees, wrong


def judged_at_rest(rules: Rules, world: World) -> World:
    """Return the world, wrong if not all serve in one cluster without a reason that is said.

    A reason counts only where what the operator may do can lead to it.
    """
    if world.wrong:
        return world
    disks = [node.disk for node in world.nodes if node.serves and not node.alone]
    identities = {disk.identity for disk in disks} - world.told
    said = {node.said.split(" ")[0] for node in world.nodes} & permitted(rules)
    young = [d for d in disks if not d.note.certain and d.identity > min(identities, default=0)]
    if len(identities) > 1 and (young or "first" not in said):
        return world._replace(wrong="two clusters remain")
    for me, node in enumerate(world.nodes):
        with_us = running_with(world, me)
        for other, its in enumerate(world.nodes):
            together = other in with_us or its.disk.identity != node.disk.identity
            # One was removed where the other one is, as somebody wanted it: it is not ready.
            removed = was_removed(world, me) or was_removed(world, other)
            if node.serves and its.serves and not (together or removed):
                return wrong(world, f"{me + 1} and {other + 1} of one cluster remain apart")
    told = said or any(node.alone for node in world.nodes) or lost_last(world) or rivals(world)
    if not told and not all(node.serves for node in world.nodes):
        still = "; ".join(f"{me + 1}: {n.at[0]} {n.said}" for me, n in enumerate(world.nodes))
        return world._replace(wrong=f"not all serve, and nobody says what to do ({still})")
    return world


def judged_where_it_stands(rules: Rules, world: World) -> World:
    """Return the world, wrong if one waits for others though the cluster that it left serves.

    Where only healthy members are in DNS, it does not find all that run there.
    """
    if world.wrong or rules.names == "healthy":
        return world
    for me, node in enumerate(world.nodes):
        note, others = node.disk.note, [i for i, its in enumerate(world.nodes) if its.serves]
        if node.at == ("look",) and note.word in {"joining", "leaving", "left"} and note.identity:
            there = [i for i in others if world.nodes[i].disk.identity == note.identity]
            if there and node.said.split(" ")[0] not in {"outside", "apart"}:
                return wrong(world, f"{me + 1} waits, though {there[0] + 1} is in its cluster")
    return world


def lost_last(world: World) -> bool:
    """Tell whether a Mnesia waits for one whose disk is lost, and not only that one's is.

    It goes on by itself when that one joins it, not when several have to, or when that one can join
    only through another one that has lost its disk, too; each says for whom it waits. One whose
    join was cut has a schema of its own meanwhile.
    """
    return any(
        sum(its.disk.identity != node.disk.identity for its in world.nodes) > 1
        for node in world.nodes
        if node.vm == "waiting"
    )


def rivals(world: World) -> bool:
    """Tell whether one that gave way, and says so, and those that serve do not list each other.

    That is what farewells leave that were cut: each is what remains of the cluster.
    """
    serving = {me for me, node in enumerate(world.nodes) if node.serves}
    gave_way = (n for n in world.nodes if n.at == ("ended",) and n.said.startswith("removed"))
    return any(not node.disk.members & serving for node in gave_way)


def permitted(rules: Rules) -> set[str]:
    """Return the rules that may keep a member from serving in the end."""
    reasons = {
        "other_cluster": {"wipe", "silence", "strip", "alone"},
        "second": {"silence", "wipe"},
        "first": {"silence", "wipe"},
        "own_data": {"alone", "strip"},
        "removed": {"remove", "strip", "alone"},
        "farewell": {"wipe", "strip"},
        "two_clusters": {"wipe", "strip"},
        "left": {"hook"},
        # Of a join that was cut, by one whose marker is gone: its VM ends, and says why.
        "half": {"alone", "strip"},
    }
    found = {reason for reason, needs in reasons.items() if needs & rules.acts}
    # Who waits for another one is not in DNS then, and that one cannot find it.
    return found | {"wait_for_target", "mnesia"} if rules.names == "healthy" else found


def keepers(rules: Rules, world: World, me: int) -> list[int]:
    """Return the others that exist, as can be seen, and have a cluster's data on their disks."""
    return [
        other
        for other, node in enumerate(world.nodes)
        if other != me
        and sees(rules, world, me, other) not in {"absent", "empty"}
        and node.disk.data
        and not node.alone
        and not is_lone(world, other)
    ]


def with_all_tables(rules: Rules, world: World, me: int) -> list[int]:
    """Return the others that serve in the cluster of `me`, which has its schema alone.

    A server that starts may copy the tables that it lacks, or not. Whose marker was deleted, or who
    is told to run alone, cannot know.
    """
    disk = world.nodes[me].disk
    cut = disk.half and disk.note.word == "joining" and not world.nodes[me].alone
    return [
        other
        for other, node in enumerate(world.nodes)
        if cut
        and node.serves
        and node.disk.identity == disk.identity
        and resolves(rules, world, me, other)
    ]


def may_discard(rules: Rules, world: World, me: int) -> bool:
    """Tell whether `me` may lose its data: the operator said so, or its farewell was cut."""
    return rules.discards or world.nodes[me].disk.note.word not in {"none", "started", "joined"}


def forgotten_by(rules: Rules, world: World, me: int) -> list[int]:
    """Return the members of the cluster of `me` that run, if none of them lists it any more."""
    running = [
        other
        for other, node in enumerate(world.nodes)
        if other != me
        and node.vm == "running"
        and node.disk.identity == world.nodes[me].disk.identity
        and resolves(rules, world, me, other)
    ]
    listed = any(me in world.nodes[other].disk.members for other in running)
    return [] if listed else running


def strangers(rules: Rules, world: World, me: int) -> list[int]:
    """Return the members of the schema of `me` that run in another cluster, as can be seen.

    Those on their way into one or out of one are not meant: nobody knows yet where they will be.
    """
    disk = world.nodes[me].disk
    return [
        other
        for other in sorted(disk.members - {me})
        if resolves(rules, world, me, other)
        and world.nodes[other].vm in {"waiting", "running"}
        and world.nodes[other].disk.identity != disk.identity
        and world.nodes[other].disk.note.word in {"none", "started", "joined"}
    ]


def was_removed(world: World, me: int) -> bool:
    """Tell whether `me`, and all that run with it, were removed on a side that goes on."""
    with_us = running_with(world, me) | {me}
    return any(
        node.vm == "running"
        and node.disk.identity == world.nodes[me].disk.identity
        and not node.disk.members & with_us
        for node in world.nodes
    )
