"""Sequences of events that once ended badly, each with what must come of it.

Between two acts of the operator all members come to rest. A sequence that a search prints has each
step, and is pasted into `STEP_BY_STEP`.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from acts import acts
from brain import Real
from search import RESTS, formed, recover, replay, settle
from steps import steps
from world import Node, Rules, World

from member_entrypoint.cluster import decision, inference, knowledge

ALL_ACTS = frozenset(
    {"start", "stop", "kill", "wipe", "hook", "remove", "silence", "alone", "strip", "write", "cut"}
)


class Sequence(NamedTuple):
    """A world, what is done in it, who serves then, and what those say who do not."""

    rules: Rules
    done: tuple[str, ...]
    serve: frozenset[int]
    said: str = ""
    fresh: bool = False


def nodes(*numbers: int) -> frozenset[int]:
    """Return the nodes with these numbers, the first is 1."""
    return frozenset(number - 1 for number in numbers)


LOST_PRIMARY = ("stop 2", "stop 3", "stop 1", "wipe 1", "start 1", "start 2", "start 3")
WAITS_FOR_BOTH = (
    "kill 1",
    "DNS is silent",
    "start 1",
    "cut 2 off",
    "the network is whole again",
    "DNS answers again",
)
SEQUENCES = {
    "both leave when they stop; restart 2, then 1": Sequence(
        Rules(2, leaves=True), ("stop 2", "start 2", "stop 1", "start 1"), nodes(1, 2)
    ),
    "the primary leaves and stops, the other one is restarted, the primary comes back": Sequence(
        Rules(2),
        ("1 is told to leave", "stop 1", "stop 2", "start 2", "start 1"),
        nodes(1, 2),
    ),
    "the primary's disk is lost, and it is started before the others": Sequence(
        Rules(3), LOST_PRIMARY, nodes(1), "other_cluster"
    ),
    "the same where the others are started first": Sequence(
        Rules(3),
        ("stop 2", "stop 3", "stop 1", "wipe 1", "start 2", "start 3"),
        nodes(),
        "",
    ),
    "an empty primary in a network of three, its DNS is silent in a pod": Sequence(
        Rules(3, silence="outage"),
        ("kill 1", "wipe 1", "DNS is silent", "start 1", "DNS answers again"),
        nodes(1, 2, 3),
    ),
    "the same where silence may mean a lone machine": Sequence(
        Rules(3),
        ("kill 1", "wipe 1", "DNS is silent", "start 1", "DNS answers again"),
        nodes(2, 3),
        "second",
    ),
    "three are started at once, and only healthy ones are in DNS": Sequence(
        Rules(3, names="healthy"), ("start 3", "start 1", "start 2"), nodes(1, 2, 3), fresh=True
    ),
    "a hook leaves in each of two pods that are restarted": Sequence(
        Rules(2),
        ("2 is told to leave", "stop 2", "start 2", "1 is told to leave", "stop 1", "start 1"),
        nodes(1, 2),
    ),
    "a fresh node starts while the primary has left and not stopped yet": Sequence(
        Rules(2),
        ("1 is told to leave", "kill 2", "stop 1", "start 1", "start 2"),
        nodes(1, 2),
    ),
    "the last to stop loses its disk": Sequence(
        Rules(2), ("stop 1", "stop 2", "wipe 2", "start 1", "start 2"), nodes(1, 2)
    ),
    "a member comes back whose last partner is gone, while another one has left and runs": Sequence(
        Rules(3),
        ("kill 1", "remove 1 on 3", "2 is told to leave", "kill 3", "start 1"),
        nodes(),
        "outside",
    ),
    "one starts between two sides of a partition": Sequence(
        Rules(3),
        ("kill 1", "cut 2 off", "the network is whole again", "start 1"),
        nodes(2, 3),
        "apart",
    ),
    "a Mnesia waits for two that run apart when it can see them": Sequence(
        Rules(3), WAITS_FOR_BOTH, nodes(2, 3), "apart"
    ),
    "one of the losing side is restarted before the other one": Sequence(
        Rules(5),
        (
            "cut 4 off",
            "the network is whole again",
            "cut 5 off",
            "the network is whole again",
            "kill 4",
            "start 4",
            "kill 5",
        ),
        nodes(1, 2, 3, 4),
    ),
    "three sides of one member each": Sequence(
        Rules(3),
        (
            "cut 1 off",
            "the network is whole again",
            "cut 2 off",
            "the network is whole again",
            "kill 3",
            "start 3",
        ),
        nodes(1, 2),
        "apart",
    ),
    "it runs alone after a farewell, and has data of its own then": Sequence(
        Rules(2),
        ("2 is told to leave", "stop 2", "start 2 with JOIN_CLUSTER=false", "stop 2", "start 2"),
        nodes(1),
        "own_data",
    ),
}


def act_by_act(rules: Rules, brain: Real, world: World, done: tuple[str, ...]) -> World:
    """Do what an operator does; the members come to rest after each act."""
    for act in done:
        world, _ = settle(rules, brain, dict(acts(rules, world, brain))[act])
    return world


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_ends_well(name: str) -> None:
    """One cluster serves, and who does not says why."""
    rules, done, serve, said, fresh = SEQUENCES[name]
    rules, brain = rules._replace(acts=ALL_ACTS), Real()
    world = World((Node(),) * rules.size) if fresh else formed(rules, brain)
    world = act_by_act(rules, brain, world, done)
    assert not world.wrong
    serving = {me for me, node in enumerate(world.nodes) if node.serves}
    assert serving == serve
    assert len({world.nodes[me].disk.identity for me in serving}) <= 1
    assert not said or any(said in node.said for node in world.nodes)
    world, _ = recover(rules, brain, world)
    assert not world.wrong


def test_who_is_connected_to_both_sides_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Mnesia that waits would take the data of one, whoever wins."""
    rules, brain = Rules(3, acts=ALL_ACTS), Real()
    *before, at_last = WAITS_FOR_BOTH
    world = act_by_act(rules, brain, formed(rules, brain), tuple(before))
    assert world.nodes[0].vm == "waiting"
    world = dict(acts(rules, world, brain))[at_last]
    assert not any(after.wrong for _, after in steps(rules, brain, world))
    monkeypatch.setattr(inference, "to_connect", lambda _, awaited: tuple(awaited))
    assert any(after.wrong for _, after in steps(rules, brain, world))


CAME_BACK = "two that left one after the other start first; the one that came back has the data"
STEP_BY_STEP: dict[str, tuple[Rules, tuple[str, ...]]] = {
    "one is removed, and another one that still lists it brings it back": (
        Rules(3, acts=ALL_ACTS),
        ("kill 1", "kill 2", "remove 1 on 3", "kill 3", RESTS),
    ),
    "a farewell is cut, the next one leaves and runs on": (
        Rules(3, acts=ALL_ACTS),
        (
            "1 is told to leave",
            "1 notes 'leaving'",
            "1 leaves",
            "kill 1",
            "2 is told to leave",
            RESTS,
        ),
    ),
    "all others are killed before it joins one of them": (
        Rules(3, acts=ALL_ACTS),
        ("kill 1", "wipe 1", "start 1", "kill 2", "1 decides: join", "kill 3", RESTS),
    ),
    "one was removed, and so was another one that starts with it": (
        Rules(5, acts=ALL_ACTS, leaves=True),
        (
            "stop 3",
            "kill 5",
            "stop 2",
            "2 notes 'leaving'",
            "2 leaves",
            "2 notes 'joined'",
            "2 has stopped",
            "kill 1",
            "remove 2 on 4",
            "remove 5 on 4",
            "kill 4",
            "start 5",
            "wipe 1",
            RESTS,
        ),
    ),
    "another one joins while this one decides to": (
        Rules(3, leaves=True),
        (
            "stop 1",
            "1 notes 'leaving'",
            "1 leaves",
            "1 has a schema of its own",
            "1 has left",
            "1 notes 'left'",
            "1 has stopped",
            "start 1",
            "1 decides: join",
            "stop 2",
            "2 notes 'leaving'",
            "2 leaves",
            "2 has a schema of its own",
            RESTS,
        ),
    ),
    "a farewell is cut while the other one joins": (
        Rules(2, acts=ALL_ACTS),
        (
            "kill 1",
            "wipe 1",
            "start 1",
            "1 decides: join",
            "2 is told to leave",
            "2 notes 'leaving'",
            "kill 2",
            RESTS,
        ),
    ),
    "the primary leaves while the only other one joins it again": (
        Rules(2, leaves=True),
        (
            "stop 2",
            "2 notes 'leaving'",
            "2 leaves",
            "2 has a schema of its own",
            "2 has left",
            "2 notes 'left'",
            "2 has stopped",
            "start 2",
            "2 decides: join",
            "2 notes 'joining'",
            "2 deletes a schema that nobody has used",
            "2 has its stale entry removed",
            "2's VM boots",
            "2's Mnesia starts",
            "2 begins to join 1",
            "2 looks again",
            "2 deletes its schema",
            "stop 1",
            "2 copies the schema of 1",
            "2 copies the data of 1",
            "2 notes 'joined'",
            "1 notes 'leaving'",
            "1 leaves",
            "kill 2",
            RESTS,
        ),
    ),
    CAME_BACK: (
        Rules(3, leaves=True, acts=frozenset({"start", "stop", "kill", "hook"})),
        (
            "stop 3",
            "3 notes 'leaving'",
            "3 leaves",
            "3 has a schema of its own",
            "3 has left",
            "3 notes 'left'",
            "3 has stopped",
            "1 is told to leave",
            "1 notes 'leaving'",
            "1 leaves",
            "1 has a schema of its own",
            "kill 1",
            "start 3",
            "3 decides: join",
            "3 notes 'joining'",
            "3 deletes a schema that nobody has used",
            "3 has its stale entry removed",
            "3's VM boots",
            "3's Mnesia starts",
            "3 begins to join 2",
            "3 looks again",
            "3 deletes its schema",
            "3 copies the schema of 2",
            "3 copies the data of 2",
            "3 notes 'joined'",
            "2 is told to leave",
            "2 notes 'leaving'",
            "2 leaves",
            "2 has a schema of its own",
            "kill 3",
            "kill 2",
            "start 1",
            "start 2",
            RESTS,
        ),
    ),
}


@pytest.mark.parametrize("name", STEP_BY_STEP)
def test_a_sequence_of_steps_ends_well(name: str) -> None:
    """As a search has found it."""
    rules, words = STEP_BY_STEP[name]
    brain = Real()
    world = replay(rules, brain, formed(rules, brain), words)
    assert not world.wrong


def test_a_sequence_that_breaks_something_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`replay` and `recover` do find what is wrong."""
    rules, words = STEP_BY_STEP["the primary leaves while the only other one joins it again"]
    forgetful = [rule for rule in decision.RULES if rule.name != "farewell"]
    monkeypatch.setattr(decision, "RULES", forgetful)
    monkeypatch.setattr(inference, "has_data", lambda _: False)
    monkeypatch.setattr(decision, "has_data", lambda _: False)
    brain = Real()
    assert replay(rules, brain, formed(rules, brain), words).wrong


def test_who_says_that_it_is_empty_though_it_knows_others_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A primary believes it, and starts a second cluster."""
    rules, words = STEP_BY_STEP[CAME_BACK]

    def announced(known: knowledge.Known) -> knowledge.State | None:
        waits = known.target is not None and not inference.has_data(known)
        return knowledge.State.EMPTY if waits else None

    monkeypatch.setattr(inference, "announced", announced)
    brain = Real()
    assert replay(rules, brain, formed(rules, brain), words).wrong


def test_states_of_the_model_are_those_of_the_decision() -> None:
    """Words of the model's markers and sights are names there."""
    for word in ("starting", "started", "joining", "joined", "leaving", "left"):
        assert knowledge.Marker(word)
    for state in ("absent", "unknown", "silent", "stopped", "empty", "starting", "going", "up"):
        assert knowledge.State[state.upper()]
