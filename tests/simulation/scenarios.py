"""The worlds that are searched: what their operators may do, and from where it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from search import Exhaustive, Found, formed
from world import Node, Rules, World

if TYPE_CHECKING:
    from brain import Real

DAILY = frozenset({"start", "stop", "kill"})
DISKS = DAILY | {"wipe"}
FAREWELLS = DAILY | {"hook", "remove"}
PARTITIONS = DAILY | {"cut"}
"""Without lost disks: a network that is cut hides them from the other side. Removals only of two:
sides of three that remove members of each other are nobody's one cluster any more."""
EVERYTHING = DISKS | FAREWELLS | {"silence", "alone", "write"}
UNSEEN = EVERYTHING - {"alone"}
"""Where only healthy members are in DNS, two clusters that an operator made do not see each other
in time: who has data does not wait for names."""


class Scenario(NamedTuple):
    """A kind of world; `depth` is how many acts of the operator are tried, in each order."""

    rules: Rules
    depth: int
    fresh: bool = False

    def begin(self, brain: Real) -> World:
        """Return the world to begin with: all fresh, or a cluster of all."""
        if self.fresh:
            return World((Node(),) * self.rules.size)
        return formed(self.rules, brain)

    def search(self, brain: Real, seconds: float = 1e9) -> Found:
        """Try every interleaving."""
        return Exhaustive(self.rules, brain, self.begin(brain)).run(self.depth, seconds=seconds)


SCENARIOS = {
    "two, first start": Scenario(Rules(2), 4, fresh=True),
    "two, restarts": Scenario(Rules(2), 5),
    "two, farewells": Scenario(Rules(2, leaves=True), 4),
    "two, hooks": Scenario(Rules(2, acts=FAREWELLS), 4),
    "two, lost disks": Scenario(Rules(2, acts=DISKS), 3),
    "two, lost markers": Scenario(Rules(2, acts=DISKS | {"strip"}), 3),
    "two, lost markers of farewells": Scenario(Rules(2, leaves=True, acts=DAILY | {"strip"}), 4),
    "two, told to run alone": Scenario(Rules(2, leaves=True, acts=DAILY | {"alone"}), 4),
    "two, DNS is silent": Scenario(Rules(2, acts=DISKS | {"silence"}), 3),
    "two, DNS is silent at first": Scenario(Rules(2, acts=DAILY | {"silence"}), 4, fresh=True),
    "two, DNS is silent in pods": Scenario(Rules(2, silence="outage", acts=DISKS | {"silence"}), 3),
    "two, everything": Scenario(Rules(2, acts=EVERYTHING), 3),
    "two, everything, names are fixed": Scenario(Rules(2, names="fixed", acts=EVERYTHING), 3),
    "two, everything, only healthy names": Scenario(Rules(2, names="healthy", acts=UNSEEN), 3),
    "two, data may be lost": Scenario(Rules(2, discards=True, acts=EVERYTHING), 3),
    "three, first start": Scenario(Rules(3), 3, fresh=True),
    "three, first start, only healthy names": Scenario(Rules(3, names="healthy"), 3, fresh=True),
    "three, restarts": Scenario(Rules(3), 3),
    "three, farewells": Scenario(Rules(3, leaves=True), 3),
    "three, hooks": Scenario(Rules(3, acts=FAREWELLS | {"wipe"}), 3),
    "three, lost disks": Scenario(Rules(3, acts=DISKS), 3),
    "two, partitions": Scenario(Rules(2, acts=PARTITIONS | {"remove"}), 4),
    "three, partitions": Scenario(Rules(3, acts=PARTITIONS), 3),
    "two, lost disks, no leases": Scenario(Rules(2, acts=DISKS, holds=False), 3),
    "two, farewells, no leases": Scenario(Rules(2, leaves=True, holds=False), 4),
    "three, hooks, no leases": Scenario(Rules(3, acts=FAREWELLS, holds=False), 3),
    "three, partitions, no leases": Scenario(Rules(3, acts=PARTITIONS, holds=False), 3),
    "three, everything": Scenario(Rules(3, acts=EVERYTHING), 2),
}
