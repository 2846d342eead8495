"""Asks all members at the same time, each in a thread of its own, until one deadline.

A member that does not answer costs the others nothing: who is late is left behind.
"""

import _thread
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.knowledge import NOBODY, Nodes, Peer, State
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


class _Question:
    """A question that is on its way, in a thread that no end of the process waits for."""

    def __init__(self, node: str, ask: Callable[[], Peer]) -> None:
        self._node = node
        self._ask = ask
        self._answer: Peer | None = None
        self._open = _thread.allocate_lock()
        self._open.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            # No more threads, as with a low limit of processes.
            self._run()

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:  # noqa: BLE001 - one answer less must not cost the others
            self._answer = Peer(State.BUSY, why=f"{self._node} could not be asked: {error!r}")
        self._open.release()

    def answer(self, until: float) -> Peer | None:
        """Return the answer, None if it has not come at `until`, an instant of `time.monotonic`."""
        if self._open.acquire(timeout=max(0.0, until - time.monotonic())):
            self._open.release()
        return self._answer


def ask(
    member: Member, nodes: Iterable[str], on_disk: Callable[[], Nodes], timeout: float
) -> Asked:
    """Return what this node and `nodes` say, and those whom they list, within `timeout` seconds.

    `on_disk` are the members that the disk knows, asked where this node does not say its own. No VM
    is booted for it.
    """
    deadline = time.monotonic() + timeout
    member.erlang.boots_vms = False
    own, connected = member.node, list[Nodes]()

    def ask_own() -> Peer:
        peer = peers.ask_node(member, own, SHARE * timeout)
        if peer.state in {State.UP, State.STARTING}:
            addresses = connections(member, SHARE * timeout)
            connected.append(frozenset(addresses))
            member.erlang.known_addresses.update(addresses)
        return peer

    asked = {own: _Question(own, ask_own)}

    def begin(new: Iterable[str]) -> None:
        left = max(0.1, round(SHARE * (deadline - time.monotonic()), 1))
        for node in new:
            asked[node] = _Question(node, partial(peers.look_once, member, node, left))

    said = asked[own].answer(min(deadline, time.monotonic() + FIRST_WAIT))
    named = set(nodes) - {own}
    if said is None or said.state is not State.UP:
        named |= on_disk() - {own}
    begin(named)
    while True:
        answers = {node: question.answer(deadline) for node, question in asked.items()}
        found = {node: answer for node, answer in answers.items() if answer}
        new = listed(own, found) - asked.keys()
        if not new:
            break
        begin(new)
    late = Peer(State.SILENT, why=f"no answer within {timeout:g} s")
    return Asked({node: found.get(node, late) for node in sorted(asked)}, NOBODY.union(*connected))


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
