"""Is there another cluster of this base name? Looked for while that is in doubt, and listened for.

A cluster that was started though another one may have existed goes on looking, until DNS says that
there is none. Members that find themselves beside another cluster tell it; that needs no looking.
"""

import time

from member_entrypoint import state
from member_entrypoint.cluster import facts, looking, words
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.knowledge import Decision, Known, Phase, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.notices import tell

# All in seconds.
FIRST_INTERVAL = 5.0
LONGEST_INTERVAL = 30.0
SHORTEST_DOUBT = 120.0
"""Members that start at the same time are in DNS by then, also where that takes being ready."""
HEARD_FOR = 150.0
"""How long what others have told counts, unless they repeat it."""


class Doubt:
    """What this member knows of other clusters, and whether it goes on looking."""

    def __init__(self, member: Member) -> None:
        """Begin with what the marker says."""
        self._member = member
        self._began = time.monotonic()
        self._interval = FIRST_INTERVAL
        self._next: float | None = None
        self._said = ""
        self._said_hidden = False
        self._heard: dict[str, float] = {}
        if not facts.read_marker(member.places, member.node).certain:
            self._next = self._began

    def due(self) -> float | None:
        """Return the instant of the next look, or of forgetting; None where there is none."""
        instants = [at for at in (self._next, *self._heard.values()) if at is not None]
        return min(instants, default=None)

    def hear(self, node: str, text: str) -> None:
        """Take what another member says of its cluster."""
        if node not in self._heard:
            self._member.log.error(
                f"there is a second cluster: {node} is in {text}",
                what_to_do=words.ways_out(self._known(), node),
            )
        self._heard[node] = time.monotonic() + HEARD_FOR
        self._note(f"{node} is in {text}")

    def look_if_due(self) -> None:
        """Look, or forget what was heard, if it is time."""
        now = time.monotonic()
        expired = [node for node, until in self._heard.items() if now >= until]
        for node in expired:
            del self._heard[node]
        if expired and not self._heard and not self._said:
            self._note("")
        if self._next is not None and now >= self._next:
            self._look(now)

    def _known(self) -> Known:
        known = facts.read_known(self._member, schema=True)
        over = time.monotonic() - self._began >= SHORTEST_DOUBT
        return known._replace(phase=Phase.SERVING, patience_over=over)

    def _look(self, now: float) -> None:
        """Ask the others; act on the decision."""
        known = looking.ask(self._member, self._known())
        decision = decide(known)
        if known.hidden and known.patience_over and not self._said_hidden:
            self._said_hidden = True
            self._member.log.warning(
                f"{self._member.host} is still not in DNS, so no other member can find this node",
                what_to_do=words.HIDDEN,
            )
        if decision.step is Step.CERTAIN:
            self._next = None
            record = known.record._replace(certain=True)
            facts.write_marker(self._member.places, self._member.node, record)
            self._member.log.info(f"{self._member.node} is in the only cluster of its name")
        else:
            self._interval = min(LONGEST_INTERVAL, self._interval * 1.5)
            self._next = now + self._interval
        if decision.step in {Step.YIELD, Step.WARN}:
            self._found(known, decision)
        elif self._said:
            self._member.log.info("the second cluster is gone")
            self._said = ""
            self._note("")
            state.forget(self._member.settings.root, state.YIELD_FILE)

    def _found(self, known: Known, decision: Decision) -> None:
        """Say on both sides that there are two clusters; the younger, in doubt, is not ready."""
        tell(self._member, known, decision.whom)
        text = words.both(known, decision.whom)
        if decision.step is Step.YIELD:
            note = "another cluster exists, which is older; the log says what to do"
            state.note(self._member.settings.root, state.YIELD_FILE, note)
        if text == self._said:
            return
        self._said = text
        self._note(text)
        verdict = "this node is not ready" if decision.step is Step.YIELD else "this node goes on"
        self._member.log.error(
            f"there is a second cluster: {text}",
            verdict=verdict,
            what_to_do=words.ways_out(known, decision.whom[0]),
        )

    def _note(self, text: str) -> None:
        """Note it for the metrics; empty: there is none."""
        root = self._member.settings.root
        if text:
            state.note(root, state.OTHER_CLUSTER_FILE, text)
        else:
            state.forget(root, state.OTHER_CLUSTER_FILE)
