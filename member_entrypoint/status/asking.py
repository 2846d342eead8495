"""Asks all members at the same time, each in a thread of its own, until one deadline.

A member that does not answer costs the others nothing: who is late is left behind.
"""

import _thread
import time
from collections.abc import Callable, Iterable
from functools import partial

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.knowledge import Nodes, Peer, State
from member_entrypoint.cluster.member import Member
from member_entrypoint.lean_typing import TYPE_CHECKING, Any, NamedTuple
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

FIRST_WAIT = 0.1
"""Seconds for this node to say at which addresses the others are; after that, DNS is asked."""
SHARE = 0.9
"""The part of the time that one question may take: what is said of it should come in time."""


class Asked(NamedTuple):
    """What each node says, this one too; `connected`: those that this one has connections to."""

    peers: dict[str, Peer]
    connected: frozenset[str]


def _begin(ask: "Callable[[], T]") -> "Callable[[float], T | None]":
    """Ask in a thread that no end of the process waits for; return what gives the answer.

    That takes an instant of `time.monotonic`, and returns None if the answer has not come by then.
    """
    answers: list[T] = []
    known = _thread.allocate_lock()
    known.acquire()

    def run() -> None:
        answers.append(ask())
        known.release()

    def answer(until: float) -> "T | None":
        if known.acquire(timeout=max(0.0, until - time.monotonic())):
            known.release()
        return answers[0] if answers else None

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:
        # No more threads, as with a low limit of processes.
        run()
    return answer


def ask(
    member: Member,
    nodes: Iterable[str],
    on_disk: Callable[[], Nodes],
    timeout: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> Asked:
    """Return what this node and `nodes` say, and those whom they list, within `timeout` seconds.

    `on_disk` are the members that the disk knows, asked where this node does not say its own. Those
    to which this node is connected are asked before it has said whom it lists. `meanwhile` is
    called once, while they answer. No VM is booted for it.
    """
    deadline = time.monotonic() + timeout
    member.erlang.boots_vms = False
    own = member.node
    asked = {own: _begin(partial(_see, member, own, SHARE * timeout))}

    def begin(new: Iterable[str]) -> None:
        left = max(0.1, round(SHARE * (deadline - time.monotonic()), 1))
        for node in set(new) - asked.keys():
            asked[node] = _begin(partial(_see, member, node, left))

    reached = _begin(partial(connections, member, SHARE * timeout))
    known = reached(min(deadline, time.monotonic() + FIRST_WAIT)) or {}
    member.erlang.known_addresses.update(known)
    wanted = {own, *nodes}
    begin(wanted | known.keys())
    meanwhile()
    said = asked[own](deadline)
    wanted |= said.members if said and said.state is State.UP else on_disk()
    while True:
        begin(wanted)
        answers = {node: asked[node](deadline) for node in wanted}
        found = {node: answer for node, answer in answers.items() if answer}
        if not (more := listed(own, found) - wanted):
            break
        wanted |= more
    late = Peer(State.SILENT, why=f"no answer within {timeout:g} s")
    connected = frozenset(reached(0.0) or ())
    return Asked({node: found.get(node, late) for node in sorted(wanted)}, connected)


def _see(member: Member, node: str, timeout: float) -> Peer:
    """Return what a node says, and what was seen of it; raises nothing."""
    try:
        if node == member.node:
            return peers.ask_node(member, node, timeout)
        return peers.look_once(member, node, timeout)
    except Exception as error:  # noqa: BLE001 - one answer less must not cost the others
        return Peer(State.BUSY, why=f"{node} could not be asked: {error!r}")


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
        return addresses_in(answer)
    except Exception:  # noqa: BLE001 - DNS is asked, then
        return {}


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
