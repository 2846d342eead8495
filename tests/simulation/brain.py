"""What the members of the model decide: the real decision, told what the model's world says."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from properties import was_removed
from world import Answer, connected, running_with, sees, wrong

from member_entrypoint.cluster import decision, inference
from member_entrypoint.cluster.knowledge import (
    Decision,
    Known,
    Marker,
    Peer,
    Phase,
    Record,
    Silence,
    State,
    Step,
)
from member_entrypoint.cluster.partition_rule import loses, why_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import Nodes, Note, Rules, World

STEPS = {
    Step.RUN: "run",
    Step.WAIT: "wait",
    Step.REFUSE: "refuse",
    Step.JOIN: "join",
    Step.START_CLUSTER: "new",
    Step.START_AGAIN: "look",
    Step.YIELD: "yield",
    Step.WARN: "warn",
    Step.CERTAIN: "certain",
}


@cache
def name(node: int) -> str:
    """Return the node name of a node of the model."""
    return f"mongooseim@m-{node + 1}"


@cache
def names(nodes: Nodes) -> frozenset[str]:
    """Return the node names of several."""
    return frozenset(map(name, nodes))


def number(node: str) -> int:
    """Return the node of the model with this name."""
    return int(node.rpartition("-")[2]) - 1


def identity(world: World, number: int) -> str:
    """Return an identity as the real ones look: the later it was made, the larger the time."""
    if not number:
        return ""
    return cookie(number, world.founders[number - 1])


@cache
def cookie(number: int, founder: int) -> str:
    """Return the text of an identity."""
    return f"{{{{{10**18 + number},-1,1}},{name(founder)}}}"


class Real:
    """The real decision. `decide` is the function asked, another one for mutations of it."""

    def __init__(self, decide: Callable[[Known], Decision] = decision.decide) -> None:
        """Begin with nothing asked."""
        self._decide = decide
        self._answers: dict[object, Decision] = {}

    def before(self, rules: Rules, world: World, me: int) -> Answer:
        """Decide before the VM runs."""
        known = self._known(rules, world, me, Phase.BEFORE)
        decided = self._ask(known, None)
        if decided.step is Step.ASK:
            decided = self._asked(rules, world, me, known)
        word = STEPS[decided.step]
        whom = number(decided.whom[0]) if decided.step is Step.JOIN else -1
        said = None
        if decided.step is Step.WAIT:
            told = dict(self._peers(rules, world, me))
            said = inference.announced(known._replace(peers=told))
        clears = inference.clears(known, peer(rules, world, me, whom) if whom >= 0 else None)
        why = f"{decided.rule} {','.join(decided.whom)}"
        announces = said.name.lower() if said else ""
        return Answer(word, whom, decided.certain, why, clears, announces)

    def beside(self, rules: Rules, world: World, me: int) -> Answer:
        """Decide beside a VM that boots."""
        return self._answer(rules, world, me, Phase.BESIDE)

    def joining(self, rules: Rules, world: World, me: int, other: int) -> Answer:
        """Decide right before `me` joins `other`, as `_wait_until_it_may` in `joining` does."""
        known = self._known(rules, world, me, Phase.BESIDE)._replace(target=name(other))
        reached = frozenset() if rules.names == "healthy" else known.record.members
        found = {node: Peer(State.REGISTERED) for node in reached}
        found[name(other)] = peer(rules, world, me, other)
        decided = self._ask(known, tuple(found.items()))
        if decided.step is Step.ASK:
            found |= {node: peer(rules, world, me, number(node)) for node in decided.whom}
            decided = self._ask(known, tuple(found.items()))
        return _answer(decided)

    def connects(self, rules: Rules, world: World, me: int) -> bool:
        """Tell whether a Mnesia that waits is connected to somebody, as `awaited.connect` does."""
        known = self._known(rules, world, me, Phase.BESIDE)
        known = known._replace(peers=dict(self._peers(rules, world, me)), patience_over=True)
        disk = world.nodes[me].disk
        waiting = {i for i in disk.members if world.nodes[i].vm == "waiting"}
        return bool(inference.to_connect(known, names(disk.members - waiting - disk.downs)))

    def later(self, rules: Rules, world: World, me: int) -> Answer:
        """Decide while it serves."""
        return self._answer(rules, world, me, Phase.SERVING)

    def judged(self, rules: Rules, world: World) -> World:
        """Return the world with what is wrong in it: two clusters, or one that is not ready."""
        if world.wrong:
            return world
        serving = {
            node.disk.identity: me
            for me, node in enumerate(world.nodes)
            if node.serves
            and node.disk.note.certain
            and not node.alone
            and node.disk.identity not in world.told
        }
        if len(serving) > 1:
            (first, a), (second, b), *_ = sorted(serving.items())
            return wrong(world, f"{a + 1} and {b + 1} serve in two clusters ({first}, {second})")
        if rules.names != "fixed" and not (world.silent or world.cut >= 0 or world.apart):
            for me in serving.values():
                if self.loses(rules, world, me) and not was_removed(world, me):
                    return wrong(world, f"{me + 1} is not ready because another one is away")
        return world

    def loses(self, rules: Rules, world: World, me: int) -> bool:
        """Tell whether the watcher of partitions would say that `me` is on the losing side."""
        together = running_with(world, me)
        own = identity(world, world.nodes[me].disk.identity)
        seen = {
            name(other): peer(rules, world, me, other)
            for other in world.nodes[me].disk.members - together
            if world.nodes[other].vm != "waiting"  # it runs with us, without its tables
        }
        missing = {node: why_missing(name(me), own, its) for node, its in seen.items()}
        return bool(missing) and loses(name(me), names(together), missing, seen)

    def _answer(self, rules: Rules, world: World, me: int, phase: Phase) -> Answer:
        known = self._known(rules, world, me, phase)
        return _answer(self._asked(rules, world, me, known))

    def _known(self, rules: Rules, world: World, me: int, phase: Phase) -> Known:
        disk = world.nodes[me].disk
        return Known(
            node=name(me),
            target=name(0) if me and not world.nodes[me].alone else None,
            alone=world.nodes[me].alone,
            has_schema=bool(disk.identity),
            identity=identity(world, disk.identity),
            members=names(disk.members) if disk.identity else None,
            record=record(world, disk.note),
            partial=disk.half and disk.note.word == "joining",
            again=world.nodes[me].again,
            discard=rules.discards,
            phase=phase,
            silence=Silence[rules.silence.upper()],
            patience_over=phase is Phase.BEFORE or (phase is Phase.SERVING and shown(rules, world)),
            hidden=rules.names == "healthy" and world.nodes[me].at[0] != "serve",
        )

    def _asked(self, rules: Rules, world: World, me: int, known: Known) -> Decision:
        return self._ask(known, self._peers(rules, world, me))

    def _peers(self, rules: Rules, world: World, me: int) -> tuple[tuple[str, Peer], ...]:
        others = (other for other in range(rules.size) if other != me)
        return tuple((name(other), peer(rules, world, me, other)) for other in others)

    def _ask(self, known: Known, peers: tuple[tuple[str, Peer], ...] | None) -> Decision:
        key = (known, peers)
        if key not in self._answers:
            told = None if peers is None else dict(peers)
            self._answers[key] = self._decide(known._replace(peers=told))
        return self._answers[key]


def _answer(decided: Decision) -> Answer:
    whom = number(decided.whom[0]) if decided.whom else -1
    why = f"{decided.rule} {','.join(decided.whom)}"
    return Answer(STEPS[decided.step], whom, decided.certain, why)


def shown(rules: Rules, world: World) -> bool:
    """Tell whether all that serve are in DNS by now: a doubt lasts longer than that takes."""
    return rules.names != "healthy" or all(
        node.at[0] in {"serve", "off", "ended", "lone"} for node in world.nodes
    )


def record(world: World, note: Note) -> Record:
    """Return what the marker's file of a node says."""
    return Record(
        Marker(note.word),
        name(note.other) if note.other >= 0 else "",
        identity(world, note.identity),
        names(note.members),
        note.certain,
    )


def peer(rules: Rules, world: World, me: int, other: int) -> Peer:
    """Return what `other` says when `me` asks it."""
    state = State[sees(rules, world, me, other).upper()]
    node = world.nodes[other]
    if state is State.STARTING:
        return Peer(state, record=record(world, node.disk.note))
    if state is not State.UP:
        return Peer(state)
    disk = node.disk
    running = frozenset(
        i
        for i, its in enumerate(world.nodes)
        if its.vm == node.vm
        and its.disk.identity == disk.identity
        and i in disk.members
        and connected(world, i, other)
        and frozenset({i, other}) not in world.apart
    )
    waits = node.vm == "waiting"
    return Peer(
        state,
        identity(world, disk.identity),
        names(disk.members),
        names(running | {other}),
        names(disk.downs),
        serves=not waits,
        record=record(world, disk.note),
    )
