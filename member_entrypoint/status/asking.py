"""Asks all members at the same time, each in a thread of its own, until one deadline.

A member that does not answer costs the others nothing: who is late is left behind.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.knowledge import Nodes, Peer, State
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang.rpc import RpcError
from member_entrypoint.terms import Atom

FIRST_WAIT = 0.1
"""Seconds for this node to say at which addresses the others are; after that, DNS is asked."""
SHARE = 0.9
"""The part of the time that one question may take: what is said of it should come in time."""


class Asked(NamedTuple):
    """What each node says, this one too; `connected`: those that this one has connections to."""

    peers: dict[str, Peer]
    connected: frozenset[str]


class _Round:
    """Questions that are on their way, and the answers that have come."""

    def __init__(self) -> None:
        self._found: dict[str, Peer] = {}
        self._changed = threading.Condition()

    def begin(self, node: str, ask: Callable[[], Peer]) -> None:
        """Ask in a thread that nobody waits for at the end of the process."""
        try:
            threading.Thread(target=self._run, args=(node, ask), daemon=True).start()
        except RuntimeError:
            # No more threads, as with a low limit of processes.
            self._run(node, ask)

    def _run(self, node: str, ask: Callable[[], Peer]) -> None:
        try:
            peer = ask()
        except Exception as error:  # noqa: BLE001 - one answer less must not cost the others
            peer = Peer(State.BUSY, why=f"{node} could not be asked: {error!r}")
        with self._changed:
            self._found[node] = peer
            self._changed.notify_all()

    def wait(self, nodes: Iterable[str], until: float) -> dict[str, Peer]:
        """Return the answers as soon as those of `nodes` have come, at `until` at the latest."""
        wanted = set(nodes)
        with self._changed:
            while not wanted <= self._found.keys():
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return dict(self._found)


def ask(
    member: Member, nodes: Iterable[str], on_disk: Callable[[], Nodes], timeout: float
) -> Asked:
    """Return what this node and `nodes` say, and those whom they list, within `timeout` seconds.

    `on_disk` are the members that the disk knows, asked where this node does not say its own. No VM
    is booted for it.
    """
    deadline = time.monotonic() + timeout
    member.erlang.boots_vms = False
    own, connected, asked = member.node, set[str](), _Round()
    named = set(nodes) - {own}

    def ask_own() -> Peer:
        peer = peers.ask_node(member, own, SHARE * timeout)
        if peer.state in {State.UP, State.STARTING}:
            addresses = connections(member, SHARE * timeout)
            connected.update(addresses)
            member.erlang.known_addresses.update(addresses)
        return peer

    def begin(new: Iterable[str]) -> None:
        for node in new:
            left = max(0.1, round(SHARE * (deadline - time.monotonic()), 1))
            asked.begin(node, lambda node=node, left=left: peers.look_once(member, node, left))  # type: ignore[misc]

    asked.begin(own, ask_own)
    found = asked.wait({own}, min(deadline, time.monotonic() + FIRST_WAIT))
    if own not in found or found[own].state is not State.UP:
        named |= on_disk() - {own}
    begin(named)
    known = named | {own}
    while True:
        found = asked.wait(known, deadline)
        new = listed(own, found) - known
        if not new:
            break
        begin(new)
        known |= new
    late = Peer(State.SILENT, why=f"no answer within {timeout:g} s")
    return Asked({node: found.get(node, late) for node in sorted(known)}, frozenset(connected))


def listed(own: str, found: dict[str, Peer]) -> set[str]:
    """Return all that this node lists, and those whom it lists list."""
    near = found[own].members if own in found else frozenset()
    mine = found[own].identity if own in found else ""
    others = [peer.members for peer in found.values() if mine and peer.identity == mine]
    return set(near.union(*others))


def connections(member: Member, timeout: float) -> dict[str, tuple[str, ...]]:
    """Return the nodes that this one is connected to, with their addresses.

    So nobody has to ask DNS for those. Source: `net_kernel:nodes_info/0`.
    """
    try:
        (answer,) = member.erlang.ask(member.node, [("net_kernel", "nodes_info", [])], timeout)
    except RpcError:
        return {}
    return addresses_in(answer)


def addresses_in(answer: Any) -> dict[str, tuple[str, ...]]:
    """Return the nodes, and their addresses where they are known, from what `nodes_info` gives."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in answer[1] if _is_ok(answer) else ():
        if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], list)):  # noqa: PLR2004
            continue
        told = {item[0]: item[1:] for item in entry[1] if isinstance(item, tuple) and item}
        if told.get("type") == ("normal",):
            found[str(entry[0])] = _address(told.get("address", ()))
    return found


def _is_ok(answer: Any) -> bool:
    return isinstance(answer, tuple) and answer[:1] == (Atom("ok"),) and isinstance(answer[1], list)


def _address(told: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the address in `#net_address{address = {Ip, Port}, ...}`."""
    try:
        parts = told[0][1][0]
        if len(parts) == 4:  # noqa: PLR2004 - the two lengths of addresses
            return (".".join(map(str, parts)),)
        return (":".join(f"{part:x}" for part in parts),) if len(parts) == 8 else ()  # noqa: PLR2004
    except (IndexError, TypeError, ValueError):
        return ()
