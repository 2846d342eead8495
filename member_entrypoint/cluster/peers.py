"""The other nodes that may be members: their names, and whether and how each of them runs."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

from member_entrypoint import programs
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.node import split_ordinal
from member_entrypoint.erlang import epmd
from member_entrypoint.erlang.rpc import RpcError
from member_entrypoint.network import names
from member_entrypoint.terms import Atom

ORDINALS = 10  # how many of them are tried, from that of the primary on
SCAN_DNS_TIMEOUT = 2.0  # seconds for each of many nodes
SCAN_TIMEOUT = 1.0  # seconds for the answer of each of many nodes, or of the epmd of its host
ANSWER_TIMEOUT = 10.0  # seconds for a node that all depends on
EPMD_START_TIMEOUT = 10.0  # seconds
WAITS_EMPTY = "-waits-empty"
LARGEST_POOL = 16  # threads
T = TypeVar("T")


class State(Enum):
    """What is known about another node."""

    ABSENT = "its name does not exist"
    STOPPED = "its host answers, and the node does not run there"
    UP = "it runs as a member of our cluster, or of one with several members"
    ALONE = "it runs as the only member of a cluster"
    STARTING = "it runs, and its Mnesia does not run"
    EMPTY = "it waits for the primary, with an empty disk"
    SILENT = "its name exists, but its host does not answer"
    UNKNOWN = "DNS does not say whether its name exists"


def candidates(member: Member) -> list[str]:
    """Return the names that other members may have.

    These are the names with the same base and the ordinals from that of the primary on. With long
    names they are also the hosts behind the domain, which in Kubernetes is the headless service.
    """
    label, dot, domain = member.host.partition(".")
    base = split_ordinal(label)
    if base is None:
        return []
    first = int(member.settings.master_ordinal)
    hosts = [f"{base[0]}-{ordinal}{dot}{domain}" for ordinal in range(first, first + ORDINALS)]
    if "." in domain:
        behind = names.hosts_behind(domain, member.places, SCAN_DNS_TIMEOUT).names
        hosts += [
            host
            for host in behind
            if (named := split_ordinal(host.partition(".")[0])) and named[0] == base[0]
        ]
    nodes = [f"{member.settings.node_name}@{host}" for host in dict.fromkeys(hosts)]
    return [node for node in nodes if node != member.node]


def ask_all(nodes: Iterable[str], ask: Callable[[str], T]) -> dict[str, T]:
    """Return what `ask` returns for each node; it is called in several threads."""
    names = list(nodes)
    try:
        with ThreadPoolExecutor(max_workers=max(1, min(LARGEST_POOL, len(names)))) as pool:
            return dict(zip(names, pool.map(ask, names), strict=True))
    except RuntimeError:
        # No more threads, as with a low limit of processes: one after the other, then.
        return {name: ask(name) for name in names}


def state_of(member: Member, node: str) -> State:
    """Return how `node` runs; asks hosts file, DNS, the epmd of its host, then the node itself."""
    name, _, host = node.partition("@")
    answer = names.look_up(host, member.places, SCAN_DNS_TIMEOUT)
    if not answer.addresses:
        return State.ABSENT if answer.absent else State.UNKNOWN
    silent = False
    for address in answer.addresses:
        known = epmd.names(address, SCAN_TIMEOUT, member.erlang.reach.epmd_port)
        if name in (known.names or ()):
            return _cluster_of(member, node)
        if name + WAITS_EMPTY in (known.names or ()):
            return State.EMPTY
        silent = silent or (known.names is None and not known.refused)
    return State.SILENT if silent else State.STOPPED


def _cluster_of(member: Member, node: str) -> State:
    """Return how a registered node runs, by the members that its Mnesia lists."""
    try:
        members = mnesia_nodes(member, node, "db_nodes")
        running = mnesia_nodes(member, node, "running_db_nodes")
    except RpcError:
        return State.SILENT
    if node not in running:
        return State.STARTING
    return State.UP if member.node in members or len(members) > 1 else State.ALONE


def mnesia_nodes(
    member: Member, node: str, key: str, timeout: float = SCAN_TIMEOUT
) -> frozenset[str]:
    """Return the nodes that `mnesia:system_info(KEY)` gives on `node`; raises `RpcError`.

    `timeout` in seconds holds for the connection, and again for the answer.
    """
    answer = member.erlang.rpc(node, "mnesia", "system_info", [Atom(key)], timeout)
    return frozenset(str(name) for name in answer) if isinstance(answer, list) else frozenset()


class Announcement:
    """Tells others that this node waits for its primary with an empty disk.

    It does so by a name in the epmd of this host: NODE_NAME and `WAITS_EMPTY`.
    """

    def __init__(self, member: Member) -> None:
        """Prepare; nothing is registered yet."""
        self._member = member
        self._registration: epmd.Registration | None = None

    def register(self) -> None:
        """Register the name, once; start an epmd if none runs."""
        if self._registration is not None:
            return
        program = os.path.join(os.path.dirname(self._member.release.erl), "epmd")
        name = self._member.node.partition("@")[0] + WAITS_EMPTY
        try:
            programs.run([program, "-daemon"], EPMD_START_TIMEOUT)
            self._registration = epmd.Registration(name, port=self._member.erlang.reach.epmd_port)
        except (OSError, programs.ProgramError) as error:
            # The caller tries again; a primary that has data does not need it.
            self._member.log.warning(
                "cannot tell a new primary that this node is empty", reason=str(error)
            )

    def withdraw(self) -> None:
        """Remove the name: the VM is about to start."""
        if self._registration is not None:
            self._registration.close()
