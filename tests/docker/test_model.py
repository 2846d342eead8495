"""The model of Mnesia that the simulation uses, step by step beside the real one."""

from __future__ import annotations

import json
import sys
import unittest.mock
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "simulation"))

from mnesia_model import (  # noqa: E402 - the simulation is beside these tests
    copies_tables,
    empties,
    forgets,
    joins,
    mnesia_starts,
    new_schema,
)
from world import (  # noqa: E402 - the simulation is beside these tests
    Node,
    Rules,
    World,
    goes_down,
    with_disk,
    with_node,
)

if TYPE_CHECKING:
    from containers import Cluster

RULES = Rules(3)
ANY = unittest.mock.ANY
Steps = list[tuple[str, int, int]]
FORMED: Steps = [("start", 0, 0), ("start", 1, 0), ("join", 1, 0), ("write", 0, 101)]
THREE: Steps = [*FORMED, ("start", 2, 0), ("join", 2, 0)]
CUT: Steps = [("start", 0, 0), ("start", 1, 0), ("write", 0, 101), ("join cut", 1, 0)]
SEQUENCES: dict[str, Steps] = {
    "a join copies, a stop is noted, a start comes back": [
        *FORMED,
        ("stop", 1, 0),
        ("write", 0, 102),
        ("start", 1, 0),
    ],
    "who was not the last waits for who was": [
        *THREE,
        ("stop", 0, 0),
        ("stop", 1, 0),
        ("write", 2, 102),
        ("stop", 2, 0),
        ("start", 0, 0),
        ("start", 1, 0),
        ("start", 2, 0),
    ],
    "both killed wait for each other": [
        *FORMED,
        ("stop", 0, 0),
        ("start", 0, 0),
        ("kill", 0, 0),
        ("kill", 1, 0),
        ("start", 1, 0),
        ("start", 0, 0),
    ],
    "one that waits for an empty one goes on when that joins": [
        *FORMED,
        ("stop", 0, 0),
        ("stop", 1, 0),
        ("wipe", 1, 0),
        ("start", 0, 0),
        ("start", 1, 0),
        ("join", 1, 0),
    ],
    "two that wait for an empty one go on when that joins": [
        *THREE,
        ("kill", 0, 0),
        ("kill", 1, 0),
        ("kill", 2, 0),
        ("wipe", 2, 0),
        ("start", 0, 0),
        ("start", 1, 0),
        ("start", 2, 0),
        ("join", 2, 0),
    ],
    "another identity ends the one that starts": [
        *FORMED,
        ("stop", 1, 0),
        ("stop", 0, 0),
        ("wipe", 0, 0),
        ("start", 0, 0),
        ("start", 1, 0),
    ],
    "removed while down, it makes itself known again": [
        *FORMED,
        ("kill", 1, 0),
        ("remove", 0, 1),
        ("start", 1, 0),
    ],
    "one that is removed comes back by a start of one that still lists it": [
        *THREE,
        ("kill", 1, 0),
        ("kill", 0, 0),
        ("remove", 2, 0),
        ("start", 1, 0),
        ("start", 0, 0),
    ],
    "the same where both start": [
        *THREE,
        ("kill", 0, 0),
        ("kill", 1, 0),
        ("remove", 2, 0),
        ("kill", 2, 0),
        ("start", 1, 0),
        ("start", 2, 0),
    ],
    "those that wait and meet list all whom one of them lists": [
        *FORMED,
        ("kill", 0, 0),
        ("start", 2, 0),
        ("join", 2, 1),
        ("kill", 1, 0),
        ("kill", 2, 0),
        ("start", 0, 0),
        ("start", 2, 0),
    ],
    "a join that was cut has a schema, and its tables from one that serves": [
        *CUT,
        ("kill", 1, 0),
        ("start", 1, 0),
    ],
    "a join that was cut cannot start before another one serves": [
        *CUT,
        ("kill", 1, 0),
        ("kill", 0, 0),
        ("start", 1, 0),
        ("start", 0, 0),
        ("start", 1, 0),
    ],
    "nobody waits for a join that was cut": [*CUT, ("kill", 1, 0), ("kill", 0, 0), ("start", 0, 0)],
    "a farewell leaves a schema of its own, and one that remains": [
        *FORMED,
        ("leave", 0, 0),
        ("stop", 1, 0),
        ("start", 1, 0),
        ("join", 0, 1),
    ],
}


def model(world: World, word: str, me: int, other: int) -> World:  # noqa: PLR0911 - a word each
    """Do one thing in the model."""
    if word == "start":
        return settled(with_node(world, me, at=("serve",), vm="booting"))
    if word in {"stop", "kill"}:
        return with_node(goes_down(world, me), me, at=("off",))
    if word == "wipe":
        return with_node(world, me, disk=Node().disk)
    if word in {"join", "join cut"}:
        emptied = empties(RULES, goes_down(world, me), me)
        world = joins(RULES, emptied._replace(wrong=""), me, other)
        return settled(world if word == "join cut" else copies_tables(world, me, other))
    if word == "remove":
        return forgets(world, me, other)
    if word == "write":
        for node in range(RULES.size):
            disk = world.nodes[node].disk
            if world.nodes[node].vm == "running" and disk.identity == world.nodes[me].disk.identity:
                world = with_disk(world, node, data=disk.data | {other})
        return world
    assert word == "leave"
    left = forgets(goes_down(world, me), min(world.nodes[me].disk.members - {me}), me)
    return with_node(new_schema(left, me), me, vm="running")


def settled(world: World) -> World:
    """Let each Mnesia that boots or waits go on until nothing changes."""
    before = None
    while before != world:
        before = world
        for me, node in enumerate(world.nodes):
            if node.vm in {"booting", "waiting"}:
                world = mnesia_starts(RULES, world, me)
    return world


def expected(world: World) -> list[dict[str, Any]]:
    """Return what the model says of each node, as the real ones are described."""
    found: list[dict[str, Any]] = []
    for node in world.nodes:
        if node.vm not in {"running", "waiting"}:
            found.append({"vm": node.vm})
            continue
        disk = node.disk
        known = {
            "vm": node.vm,
            "identity": disk.identity,
            "members": sorted(map(str, disk.members)),
        }
        if node.vm == "running":
            # Without tables of its own it reads those of another one.
            known["data"] = ANY if disk.half else sorted(map(str, disk.data))
        found.append(known)
    return found


def real(line: str, identities: dict[str, int]) -> list[dict[str, Any]]:
    """Return what the real nodes say, identities by the order in which they were first seen."""
    found: list[dict[str, Any]] = []
    for node in json.loads(line):
        if node["vm"] not in {"running", "waiting"}:
            found.append({"vm": node["vm"]})
            continue
        number = identities.setdefault(node["identity"], len(identities) + 1)
        known = {"vm": node["vm"], "identity": number, "members": node["members"]}
        if node["vm"] == "running":
            known["data"] = node["data"]
        found.append(known)
    return found


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_model_of_mnesia_does_what_mnesia_does(cluster: Cluster, name: str) -> None:
    """After each step: who runs, who waits, which identity, which members, which data."""
    container = cluster.run("model", "sleep", "1000")
    erl = container.exec("sh", "-c", "echo /usr/lib/mongooseim/erts-*/bin/erl").stdout.strip()
    script = Path(__file__).with_name("mnesia_nodes.py").read_text(encoding="utf-8")
    steps = SEQUENCES[name]
    done = container.exec("python3", "-I", "-c", script, erl, "3", json.dumps(steps), timeout=150)
    lines = done.stdout.splitlines()
    assert len(lines) == len(steps), done
    world, identities = World((Node(),) * 3), dict[str, int]()
    for step, line in zip(steps, lines, strict=True):
        world = model(world, *step)
        numbers = real(line, identities)
        assert renumbered(numbers) == renumbered(expected(world)), step


def renumbered(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return nodes with identities that only tell which of them are the same."""
    order: dict[int, int] = {}
    return [
        {**node, "identity": order.setdefault(node["identity"], len(order))}
        if "identity" in node
        else node
        for node in nodes
    ]
