"""Watches the Mnesia of this node for partitions of the cluster.

Nothing is polled while all members run together: Mnesia sends an event when a member goes down or
comes up, and when it finds that two members have changed their data apart. Then the missing members
are asked, and asked again until they are back.
"""

import time
from collections.abc import Mapping

from member_entrypoint import counts, state
from member_entrypoint.cluster import facts, notices, peers
from member_entrypoint.cluster.doubt import Doubt
from member_entrypoint.cluster.knowledge import Peer
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.partition_rule import (
    DIVIDED,
    SETTLED,
    Hesitation,
    Missing,
    Reunion,
    Tie,
    loses,
    no_longer_missing,
    parted,
    why_missing,
)
from member_entrypoint.erlang import distribution, mnesia
from member_entrypoint.erlang.distribution import Connection
from member_entrypoint.erlang.messages import DOWN
from member_entrypoint.erlang.rpc import RpcError
from member_entrypoint.errors import PartitionError
from member_entrypoint.lean_typing import Any
from member_entrypoint.network.own_addresses import OwnAddresses
from member_entrypoint.terms import Atom

# All in seconds.
WATCH_TIMEOUT = 5.0
CHECK_INTERVAL = 3.0
CHECK_INTERVAL_ALL_DOWN = 30.0
RECONNECT_INTERVAL, LONGEST_INTERVAL = 2.0, 30.0
AGAIN_AND_AGAIN = 3  # times
CONFIRM_AFTER = 1.5
LOOK_TIMEOUT = 3.0
LONGEST_BUSY = 30.0


def watch(member: Member, restarts: int) -> None:
    """Watch until this process is ended.

    Raises `PartitionError` when this node should restart because of
    PARTITION_POLICY=restart-minority; `restarts` is how often it has done so already.
    """
    if not member.erlang.reach.direct:
        member.log.info("partitions are not watched: only a VM speaks this distribution")
        doubt = Doubt(member)
        while (due := doubt.due()) is not None:
            time.sleep(max(0.0, due - time.monotonic()))
            doubt.look_if_due()
        return
    watcher, failures = Watcher(member, restarts), Failures(member)
    while True:
        try:
            watcher.follow(failures)
        except (distribution.DistributionError, RpcError, OSError) as error:
            failures.add(str(error))
        time.sleep(failures.pause)


class Failures:
    """How often in a row this node could not be watched; that is said once, and noted."""

    def __init__(self, member: Member) -> None:
        """Begin with none."""
        self._member = member
        self._count = 0

    @property
    def pause(self) -> float:
        """Seconds until the next try."""
        return float(min(LONGEST_INTERVAL, RECONNECT_INTERVAL * 1.5**self._count))

    def add(self, reason: str) -> None:
        """Add one; say so when they have become many."""
        self._count += 1
        root = self._member.settings.root
        if self._count == AGAIN_AND_AGAIN:
            text = "partitions are not watched: this node cannot be asked"
            self._member.log.error(text, reason=reason, tried_every_seconds=LONGEST_INTERVAL)
        if self._count >= AGAIN_AND_AGAIN:
            state.note_failing(root, "watch", time.monotonic())

    def clear(self) -> None:
        """Begin anew: it is watched now."""
        if self._count >= AGAIN_AND_AGAIN:
            state.forget(self._member.settings.root, f"{state.FAILING_FILE}watch")
            self._member.log.info("partitions are watched again")
        self._count = 0


class Watcher:
    """Watches the members; keeps which of them are missing, and whether this node loses."""

    def __init__(self, member: Member, restarts: int) -> None:
        """Begin with no member missing."""
        self._member = member
        self._hesitation = Hesitation(restarts)
        self._reunion = Reunion()
        self._addresses = OwnAddresses(member.host, member.places.hosts)
        self._missing: dict[str, Missing] = {}
        self._since: dict[str, float] = {}
        self._ended: set[str] = set()
        self._loses = False
        self._identity, _ = facts.read_schema(member.places, member.node)
        self._doubt = Doubt(member)

    def follow(self, failures: Failures) -> None:
        """Subscribe to the events of this node's Mnesia; check the members after each.

        Returns when Mnesia stops, or does not take the subscription.
        """
        member = self._member
        with member.erlang.connect(member.node, WATCH_TIMEOUT) as connection:
            connection.monitor("mnesia_subscr")
            system = [connection.pid, Atom("system")]
            answer = connection.call("mnesia_subscr", "subscribe", system, WATCH_TIMEOUT)
            if not (isinstance(answer, tuple) and answer[:1] == (Atom("ok"),)):
                return
            failures.clear()
            while True:
                self._doubt.look_if_due()
                self._check(connection)
                if not self._wait(connection):
                    return

    def _wait(self, connection: Connection) -> bool:
        """Wait for the next check of the members; return False when Mnesia has stopped."""
        deadline = self._doubt.due()
        if self._missing:
            settled = set(self._missing.values()) <= SETTLED
            pause = CHECK_INTERVAL_ALL_DOWN if settled else CHECK_INTERVAL
            deadline = min(time.monotonic() + pause, deadline or float("inf"))
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                event = connection.receive(left)
            except distribution.NoAnswerError:
                if deadline is not None and time.monotonic() >= deadline:
                    return True
                raise
            if isinstance(event, tuple) and event[:1] == (DOWN,):
                return False
            if told := notices.heard(event):
                self._doubt.hear(*told)
                return True
            if _concerns_members(event):
                return True

    def _check(self, connection: Connection) -> None:
        """See which members are missing and why; note, log and do what follows from that."""
        member = self._member
        running, missing, seen = self._members(connection)
        if not self._missing.items() >= missing.items():
            # A member that has just stopped does not answer for a moment before its name is gone. A
            # member that has just started looks as if it ran apart until this node connects to it.
            time.sleep(CONFIRM_AFTER)
            running, missing, seen = self._members(connection)
        if member.node not in running:
            return
        self._find_unmerged(connection, running, missing)
        loses_now = loses(member.node, self._reunion.together(running), missing, seen)
        self._note_partition(missing, loses_now=loses_now)
        self._note_members(running, missing)
        self._log_changes(running, missing, loses_now=loses_now)
        self._missing, self._loses = missing, loses_now
        self._restart_if_due(missing)

    def _members(
        self, connection: Connection
    ) -> tuple[frozenset[str], dict[str, Missing], dict[str, Peer]]:
        """Return the members that run together with this node, and why the others do not.

        With it comes what those say. A member that was down stays down when its host stops
        answering, too.
        """
        known, running = (
            mnesia.names(connection.call(*call, WATCH_TIMEOUT))
            for call in (mnesia.MEMBERS, mnesia.RUNNING)
        )
        away = sorted(known - running)
        found = dict[str, Peer]()
        if self._addresses.lost():
            states = dict.fromkeys(away, Missing.SILENT)
        else:
            found = peers.look_at(self._member, away, LOOK_TIMEOUT)
            own = self._member.node
            states = {node: why_missing(own, self._identity, found[node]) for node in away}
        now = time.monotonic()
        busy = [node for node, why in states.items() if why is Missing.BUSY]
        self._since = {node: self._since.get(node, now) for node in busy}
        # What was seen to end does not come back by its host going silent, too.
        self._ended &= set(away)
        self._ended |= {node for node in away if states[node] is Missing.DOWN}
        for node, why in states.items():
            if why is Missing.SILENT and node in self._ended:
                states[node] = Missing.DOWN
            elif why is Missing.BUSY and now - self._since[node] > LONGEST_BUSY:
                states[node] = Missing.SILENT
        return running, states, found

    def _find_unmerged(
        self, connection: Connection, running: frozenset[str], missing: dict[str, Missing]
    ) -> None:
        """Add to `missing` the members that run together with this node and are not merged."""
        others = sorted(running - {self._member.node})
        ties = _ties(connection, others) if others else {}
        self._reunion.forget([*others, *missing])
        self._reunion.update(running, ties, whole=not missing)
        missing.update(dict.fromkeys(sorted(self._reunion.unmerged), Missing.UNMERGED))

    def _log_changes(
        self, running: frozenset[str], missing: Mapping[str, Missing], *, loses_now: bool
    ) -> None:
        member, log = self._member, self._member.log
        verdict = (
            "this side loses, so this node is not ready"
            if loses_now
            else "this side wins, so this node stays ready"
        )
        for node, why in missing.items():
            if self._missing.get(node) is why:
                continue
            if why in {Missing.ELSEWHERE, Missing.REFUSES}:
                log.error(f"{member.node} goes on without {node}", reason=why.value)
            elif why in {Missing.DOWN, Missing.BUSY}:
                if self._missing.get(node) not in {Missing.DOWN, Missing.BUSY}:
                    log.info(f"{member.node} goes on without {node}", reason=why.value)
            elif why is Missing.SILENT:
                log.warning(f"{member.node} has lost {node}", reason=why.value, verdict=verdict)
            else:
                split = "run apart" if why is Missing.APART else "run together with different data"
                log.error(
                    f"the cluster is split: {member.node} and {node} {split}",
                    verdict=verdict,
                    what_to_do=self._what_to_do(node, loses_now=loses_now),
                )
        for node in sorted(self._missing.keys() - missing.keys()):
            log.info(no_longer_missing(member.node, node, running))
        if loses_now != self._loses:
            log.warning(f"{member.node} is {'not ready' if loses_now else 'ready again'}")

    def _what_to_do(self, node: str, *, loses_now: bool) -> str:
        if not loses_now:
            return f"{node} has to start anew"
        if self._member.settings.partition_policy == "ignore":
            return (
                "start this node anew, it will take the data of the others; "
                "PARTITION_POLICY=restart-minority does so by itself"
            )
        return "none, this node will start anew, as PARTITION_POLICY=restart-minority says"

    def _note_partition(self, missing: Mapping[str, Missing], *, loses_now: bool) -> None:
        """Write the file that makes `health ready` fail while this side loses; else remove it."""
        root = self._member.settings.root
        if not loses_now:
            state.forget(root, state.PARTITION_FILE)
            return
        away = ", ".join(sorted(parted(missing)))
        state.note(root, state.PARTITION_FILE, f"on the losing side of a partition, without {away}")

    def _note_members(self, running: frozenset[str], missing: Mapping[str, Missing]) -> None:
        """Note for the metrics how many members there are, by how this one sees them."""
        seen = ["running" for _ in running - missing.keys()]
        reasons = (Missing.APART if why in DIVIDED else why for why in missing.values())
        seen += [why.name.lower() for why in reasons]
        numbers = {each: seen.count(each) for each in sorted(set(seen))}
        counts.write_members(self._member.settings.root, numbers)

    def _restart_if_due(self, missing: Mapping[str, Missing]) -> None:
        """Raise `PartitionError` if it is time to restart, and that is the policy."""
        over = self._hesitation.is_over(missing.values(), time.monotonic(), losing=self._loses)
        if over and self._member.settings.partition_policy == "restart-minority":
            raise PartitionError(
                f"{self._member.node} starts anew, as PARTITION_POLICY=restart-minority says: "
                "it takes the data of the other side, and loses what it alone has changed since"
            )


def _ties(connection: Connection, nodes: list[str]) -> dict[str, Tie]:
    """Return what ties nodes to the one that is asked; those that do not answer are left out.

    Without time warps, the offset of a VM's time is set when it starts, in nanoseconds. Each
    connection between VMs has a process. The nodes are asked by the VM's own connections; OTP 22
    and older cannot do that.
    """
    arguments = [[Atom(node) for node in nodes], Atom("erlang"), Atom("time_offset"), []]
    milliseconds = int(LOOK_TIMEOUT * 1000)
    lives = connection.call("erpc", "multicall", [*arguments, milliseconds], WATCH_TIMEOUT)
    links = connection.call("net_kernel", "nodes_info", [], WATCH_TIMEOUT)
    if not isinstance(lives, list) or not (isinstance(links, tuple) and links[0] == "ok"):
        return {}
    owners = {node: dict(properties).get("owner") for node, properties in links[1]}
    return {
        node: Tie(said[1], owners[node])
        for node, said in zip(nodes, lives, strict=True)
        if isinstance(said, tuple) and said[0] == "ok" and node in owners
    }


def _concerns_members(event: Any) -> bool:
    """Tell whether a message is an event of Mnesia about other members."""
    if not (isinstance(event, tuple) and event[:1] == (Atom("mnesia_system_event"),)):
        return False
    what = event[1]
    return isinstance(what, tuple) and what[0] in {
        "mnesia_up",
        "mnesia_down",
        "inconsistent_database",
    }
