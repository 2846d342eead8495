"""Do all members run together? Watches the Mnesia of this node, and says when they run apart.

It asks nothing while all is well: Mnesia tells when a member goes down or comes up, and when it
finds that two members changed their data without each other. Then the missing members are looked
at, and looked at again until they are back.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any

from member_entrypoint import state
from member_entrypoint.cluster import peers
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.partition_rule import Missing, loses, no_longer_missing
from member_entrypoint.cluster.peers import State
from member_entrypoint.erlang import distribution
from member_entrypoint.erlang.distribution import DOWN, Connection
from member_entrypoint.erlang.rpc import RpcError
from member_entrypoint.errors import PartitionError
from member_entrypoint.network.own_addresses import OwnAddresses
from member_entrypoint.terms import Atom

ASK_TIMEOUT = 5.0
LOOK_AGAIN = 3.0
LOOK_AGAIN_AT_STOPPED = 30.0
CONNECT_AGAIN = 2.0
CONFIRM = 1.5
LONGEST_HESITATION = 300.0


def watch(member: Member, restarts: int) -> None:
    """Watch until this process is ended.

    Raises `PartitionError` when this node should start anew, as PARTITION_POLICY=restart-minority
    has it; `restarts` is how often it did already, and makes it hesitate.
    """
    if not member.erlang.speaks_plain_tcp():
        member.log.info("partitions are not watched: the distribution is not plain TCP")
        return
    watcher = Watcher(member, restarts)
    while True:
        with contextlib.suppress(distribution.DistributionError, RpcError, OSError):
            watcher.follow()
        time.sleep(CONNECT_AGAIN)


class Watcher:
    """What was seen last, said last, and since when this node loses."""

    def __init__(self, member: Member, restarts: int) -> None:
        """Begin with nothing known."""
        self._member = member
        self._hesitation = min(LONGEST_HESITATION, LOOK_AGAIN * 2**restarts)
        self._addresses = OwnAddresses(member.node.partition("@")[2], member.places.hosts)
        self._missing: dict[str, Missing] = {}
        self._loses = False
        self._apart_since: float | None = None

    def follow(self) -> None:
        """Subscribe to the events of our Mnesia and look at each; returns when Mnesia stops."""
        member = self._member
        with member.erlang.connect(member.node, ASK_TIMEOUT) as connection:
            connection.monitor("mnesia_subscr")
            system = [connection.pid, Atom("system")]
            answer = connection.call("mnesia_subscr", "subscribe", system, ASK_TIMEOUT)
            if not (isinstance(answer, tuple) and answer[:1] == (Atom("ok"),)):
                return
            while True:
                self._look(connection)
                if not self._wait(connection):
                    return

    def _wait(self, connection: Connection) -> bool:
        """Wait for something to look at; False when Mnesia has stopped."""
        pause = None
        if self._missing:
            again = set(self._missing.values()) != {Missing.DOWN}
            pause = LOOK_AGAIN if again else LOOK_AGAIN_AT_STOPPED
        deadline = None if pause is None else time.monotonic() + pause
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
            if _concerns_members(event):
                return True

    def _look(self, connection: Connection) -> None:
        member = self._member
        running, missing = self._members(connection)
        if not self._missing.items() >= missing.items():
            # One that has just stopped does not answer for a moment before its name is gone, one
            # that has just started looks as if it ran apart before it is let in.
            time.sleep(CONFIRM)
            running, missing = self._members(connection)
        if member.node not in running:
            return
        loses_now = loses(member.node, running, missing)
        self._write(missing, loses_now=loses_now)
        self._say(running, missing, loses_now=loses_now)
        self._missing, self._loses = missing, loses_now
        self._act(missing)

    def _members(self, connection: Connection) -> tuple[frozenset[str], dict[str, Missing]]:
        """Return the members that run together with this node, and why the others do not.

        One that is known to be down stays so when its host does not answer any more either.
        """
        known = _names(connection, "db_nodes")
        running = _names(connection, "running_db_nodes")
        cut_off = self._addresses.lost()
        states = peers.ask_all(
            sorted(known - running),
            lambda node: Missing.SILENT if cut_off else why_missing(self._member, node),
        )
        for node, why in states.items():
            if why is Missing.SILENT and self._missing.get(node) is Missing.DOWN:
                states[node] = Missing.DOWN
        return running, states

    def _say(
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
            if why is Missing.DOWN:
                log.info(f"{member.node} goes on without {node}", reason=why.value)
            elif why is Missing.SILENT:
                log.warning(f"{member.node} has lost {node}", reason=why.value, verdict=verdict)
            else:
                log.error(
                    f"the cluster is split: {member.node} and {node} run apart",
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

    def _write(self, missing: Mapping[str, Missing], *, loses_now: bool) -> None:
        """Keep the file that says to `health ready` that this side loses."""
        path = self._member.places.partition_file
        if not loses_now:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        away = ", ".join(name for name, why in missing.items() if why is not Missing.DOWN)
        state.write(path, f"on the losing side of a partition, without {away}")

    def _act(self, missing: Mapping[str, Missing]) -> None:
        """Ask for a new start if that is the policy, and can heal: the other side answers."""
        apart = self._loses and Missing.APART in missing.values()
        if not apart or self._member.settings.partition_policy != "restart-minority":
            self._apart_since = None
            return
        now = time.monotonic()
        if self._apart_since is None:
            self._apart_since = now
        if now - self._apart_since >= self._hesitation:
            raise PartitionError(
                f"{self._member.node} starts anew, as PARTITION_POLICY=restart-minority says: "
                "it takes the data of the other side, and loses what it alone has changed since"
            )


def why_missing(member: Member, node: str) -> Missing:
    """Look at a member that does not run with this node.

    They run apart when it, too, has noted that this node went down: Mnesia's own sign of a
    partition. One that has not is on its way up, and waits for this node.
    """
    found = peers.state_of(member, node)
    if found in {State.UNKNOWN, State.SILENT}:
        return Missing.SILENT
    if found not in {State.UP, State.ALONE}:
        return Missing.DOWN
    try:
        with_it = peers.mnesia_nodes(member, node, "running_db_nodes")
        noted = member.erlang.rpc(node, "mnesia_recover", "get_mnesia_downs", [], ASK_TIMEOUT)
    except RpcError:
        return Missing.SILENT
    if member.node in with_it:
        return Missing.SILENT
    return Missing.APART if member.node in map(str, noted) else Missing.DOWN


def _concerns_members(event: Any) -> bool:
    """Tell whether an event of Mnesia's is about other members."""
    if not (isinstance(event, tuple) and event[:1] == (Atom("mnesia_system_event"),)):
        return False
    what = event[1]
    return isinstance(what, tuple) and what[0] in {
        "mnesia_up",
        "mnesia_down",
        "inconsistent_database",
    }


def _names(connection: Connection, key: str) -> frozenset[str]:
    answer = connection.call("mnesia", "system_info", [Atom(key)], ASK_TIMEOUT)
    if not isinstance(answer, list):
        raise RpcError(f"Mnesia does not say its {key}")
    return frozenset(str(name) for name in answer)
