"""The simulation finds what it is there for: each mutation of the decision breaks something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from brain import Real
from scenarios import DAILY, SCENARIOS, Scenario
from world import Rules

from member_entrypoint.cluster import decision, inference
from member_entrypoint.cluster.knowledge import Decision, Known, Marker, Peer, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from search import Found

TOLD = Scenario(Rules(2, leaves=True, acts=DAILY | {"remove", "wipe"}), 4)
DEEP = 6
PATIENCE = 30.0
"""Acts and seconds; what is found is found after one to six acts, in a few seconds."""
WITHOUT_A_RULE = {
    "with_data": "two, restarts",
    "own_data": "two, told to run alone",
    "other_cluster": "two, lost disks",
    "second": "two, DNS is silent",
    "not_new": "two, lost disks",
    "unclear": "two, lost disks",
    "farewell": "two, farewells",
    "others_exist": "two, lost disks",
    "cluster_exists": "two, lost disks",
    "wait_for_target": "two, first start",
    "removed": "two, farewells",
    "home": "three, farewells",
    "outside": "three, hooks",
    "apart": "three, partitions",
}


def search(name: str) -> Found:
    """Search a scenario, or without a name farewells with removals, until something is found."""
    scenario = SCENARIOS[name] if name else TOLD
    return scenario._replace(depth=DEEP).search(Real(), seconds=PATIENCE)


@pytest.mark.parametrize("rule", WITHOUT_A_RULE)
def test_a_rule_that_is_missing_is_found(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is needed for what must hold."""
    others = [one for one in decision.RULES if one.name != rule]
    assert len(others) == len(decision.RULES) - 1
    monkeypatch.setattr(decision, "RULES", others)
    found = search(WITHOUT_A_RULE[rule])
    assert found.wrong, str(found)


def no_reach(known: Known, running: dict[str, Peer]) -> Decision:
    """Join whoever runs, whether the others are reached or not."""
    del known
    return Decision(Step.JOIN, (min(running),))


def joined_or_not(known: Known) -> bool:
    """Take each join that was begun for one that came through."""
    return known.has_schema and known.record.marker is not Marker.LEFT


def never_through(known: Known) -> bool:
    """Take no join for one that came through."""
    return inference_has_data(known) and known.record.marker is not Marker.JOINING


inference_has_data, inference_clears = inference.has_data, inference.clears
MUTATIONS: dict[str, tuple[str, Callable[..., object], str]] = {
    "joins without reaching all": (
        "join_one_of",
        no_reach,
        "three, first start, only healthy names",
    ),
    "a node alone is never a cluster": (
        "is_cluster",
        lambda _, peer: len(peer.members) > 1,
        "two, lost disks",
    ),
    "each schema is data": ("has_data", joined_or_not, "two, first start"),
    "no join has come through": ("has_data", never_through, "two, lost disks"),
    "nothing is data": ("has_data", lambda _: False, "two, restarts"),
    "each lone schema is data of its own": (
        "is_own_data",
        lambda known: known.members == {known.node},
        "",
    ),
    "nobody is younger": ("is_younger", lambda *_: False, "two, DNS is silent"),
    "no other cluster is seen": ("in_other_clusters", lambda _: {}, "two, lost disks"),
    "nobody runs in our cluster": ("ours", lambda *_: {}, "three, farewells"),
    "all run in our cluster": ("ours", lambda known, _: inference.up(known), "two, farewells"),
    "nobody has removed us": ("removed_by", lambda _: (), "two, farewells"),
    "a join that was cut has come through": (
        "has_data",
        lambda known: inference_has_data(known._replace(partial=False)),
        "two, first start",
    ),
    "what a cut join has left is kept": (
        "clears",
        lambda known, target: inference_clears(known._replace(partial=False), target),
        "two, lost disks",
    ),
    "nobody is in between": ("in_between", lambda _: False, "three, hooks"),
    "all are in between": ("in_between", lambda _: True, "two, first start"),
    "all may lose their data": ("may_discard", lambda _: True, "two, hooks"),
    "nobody may lose data": ("may_discard", lambda _: False, "two, farewells"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_wrong_conclusion_is_found(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is concluded wrongly breaks something."""
    name, replacement, where = MUTATIONS[mutation]
    for module in (decision, inference):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, replacement)
    found = search(where)
    assert found.wrong, str(found)
