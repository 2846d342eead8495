"""The other members: which there may be, where they are, and what each of them is to us."""

import os
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.node import split_ordinal
from member_entrypoint.erlang import epmd
from member_entrypoint.erlang.rpc import RpcError
from member_entrypoint.network import names
from member_entrypoint.terms import Atom

ORDINALS = 10
DNS_TIMEOUT = 2.0
EPMD_TIMEOUT = 1.0
EPMD_START_TIMEOUT = 10.0
WAITS_EMPTY = "-waits-empty"
AT_ONCE = 16
T = TypeVar("T")


class State(Enum):
    """What is known of another member."""

    ABSENT = "its name does not exist"
    STOPPED = "its host is there, without the node"
    UP = "it runs, in our cluster or in one with others"
    ALONE = "it runs, as a cluster of its own that does not know us"
    STARTING = "it runs, its Mnesia does not"
    EMPTY = "it waits for the primary, with an empty disk"
    SILENT = "its name exists, but its host does not answer"
    UNKNOWN = "DNS does not say whether its name exists"


def candidates(member: Member) -> list[str]:
    """Return the names that other members may have.

    Those of the same base name with ordinals from the primary's on, and, for long names, those
    behind the name of the domain: in Kubernetes it is that of the headless service.
    """
    label, dot, domain = member.node.partition("@")[2].partition(".")
    base = split_ordinal(label)
    if base is None:
        return []
    first = int(member.settings.master_ordinal)
    hosts = [f"{base[0]}-{ordinal}{dot}{domain}" for ordinal in range(first, first + ORDINALS)]
    if "." in domain:
        behind = names.hosts_behind(domain, member.places, DNS_TIMEOUT).names
        hosts += [
            host
            for host in behind
            if (named := split_ordinal(host.partition(".")[0])) and named[0] == base[0]
        ]
    nodes = [f"{member.settings.node_name}@{host}" for host in dict.fromkeys(hosts)]
    return [node for node in nodes if node != member.node]


def ask_all(nodes: Iterable[str], ask: Callable[[str], T]) -> dict[str, T]:
    """Return what `ask` says of each node; they are asked side by side."""
    names = list(nodes)
    with ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(names)))) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def state_of(member: Member, node: str) -> State:
    """Return what `node` is to us: hosts file, DNS, its epmd, then the node itself is asked."""
    name, _, host = node.partition("@")
    answer = names.look_up(host, member.places, DNS_TIMEOUT)
    if not answer.addresses:
        return State.ABSENT if answer.absent else State.UNKNOWN
    silent = False
    for address in answer.addresses:
        known = epmd.names(address, EPMD_TIMEOUT)
        if name in (known.names or ()):
            return _cluster_of(member, node)
        if name + WAITS_EMPTY in (known.names or ()):
            return State.EMPTY
        silent = silent or (known.names is None and not known.refused)
    return State.SILENT if silent else State.STOPPED


def _cluster_of(member: Member, node: str) -> State:
    """Return what a registered node is to us, by the members that its Mnesia lists."""
    try:
        members = mnesia_nodes(member, node, "db_nodes")
        running = mnesia_nodes(member, node, "running_db_nodes")
    except RpcError:
        return State.SILENT
    if node not in running:
        return State.STARTING
    return State.UP if member.node in members or len(members) > 1 else State.ALONE


def mnesia_nodes(
    member: Member, node: str, key: str, timeout: float = EPMD_TIMEOUT
) -> frozenset[str]:
    """Return the nodes that `mnesia:system_info(KEY)` gives on `node`; raises `RpcError`."""
    answer = member.erlang.rpc(node, "mnesia", "system_info", [Atom(key)], timeout)
    return frozenset(str(name) for name in answer) if isinstance(answer, list) else frozenset()


class Announcement:
    """Says in the epmd of this host that this node waits for its primary with an empty disk."""

    def __init__(self, member: Member) -> None:
        """Prepare; nothing is said yet."""
        self._member = member
        self._registration: epmd.Registration | None = None

    def register(self) -> None:
        """Say it, starting an epmd if there is none; say it once."""
        if self._registration is not None:
            return
        program = os.path.join(os.path.dirname(self._member.release.erl), "epmd")
        name = self._member.node.partition("@")[0] + WAITS_EMPTY
        try:
            subprocess.run([program, "-daemon"], check=False, timeout=EPMD_START_TIMEOUT)
            self._registration = epmd.Registration(name)
        except (OSError, subprocess.TimeoutExpired) as error:
            # It is tried again at the next look; a primary with data does not need it.
            self._member.log.warning(
                "cannot tell a new primary that this node is empty", reason=str(error)
            )

    def withdraw(self) -> None:
        """Say it no more: the VM is about to start."""
        if self._registration is not None:
            self._registration.close()
