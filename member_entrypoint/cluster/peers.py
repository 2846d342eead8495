"""The other nodes that may be members: their names, and what each of them says."""

from collections.abc import Callable, Iterable

from member_entrypoint.cluster.facts import marker_file, parse_marker
from member_entrypoint.cluster.knowledge import Nodes, Peer, State
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.node import split_ordinal
from member_entrypoint.erlang import mnesia
from member_entrypoint.erlang.rpc import OtherNameError, RefusesError, RpcError
from member_entrypoint.lean_typing import TYPE_CHECKING, Any, NamedTuple
from member_entrypoint.terms import Atom, show

if TYPE_CHECKING:
    from typing import TypeVar

    K = TypeVar("K")
    T = TypeVar("T")

ORDINALS = 10  # how many of them are tried, from that of the primary on
SCAN_DNS_TIMEOUT = 2.0  # seconds for each of many nodes
SCAN_TIMEOUT = 1.0  # seconds for the answer of each of many nodes, or of the epmd of its host
ANSWER_TIMEOUT = 10.0  # seconds for a node that all depends on
LARGEST_POOL = 16  # threads
STARTED = b"started"
REFUSED = "refuses the connection: is its cookie the same (CLUSTER_COOKIE), and its vm.dist.args?"
NO_MNESIA = "is up, but its Mnesia does not run yet"


class Seen(NamedTuple):
    """What was seen of a node, and at which addresses of DNS, none if the hosts file has them."""

    peer: Peer
    addresses: tuple[str, ...] = ()


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
        from member_entrypoint.network import names

        behind = names.hosts_behind(domain, member.places, SCAN_DNS_TIMEOUT).names
        hosts += [
            host
            for host in behind
            if (named := split_ordinal(host.partition(".")[0])) and named[0] == base[0]
        ]
    nodes = [f"{member.settings.node_name}@{host}" for host in dict.fromkeys(hosts)]
    return [node for node in nodes if node != member.node]


def ask_all(nodes: "Iterable[K]", ask: "Callable[[K], T]") -> "dict[K, T]":
    """Return what `ask` returns for each node, or other thing; it is called in several threads."""
    from concurrent.futures import ThreadPoolExecutor  # it imports logging

    names = list(nodes)
    try:
        with ThreadPoolExecutor(max_workers=max(1, min(LARGEST_POOL, len(names)))) as pool:
            return dict(zip(names, pool.map(ask, names), strict=True))
    except RuntimeError:
        # No more threads, as with a low limit of processes: one after the other, then.
        return {name: ask(name) for name in names}


def look_at(member: Member, nodes: Iterable[str], timeout: float = SCAN_TIMEOUT) -> dict[str, Peer]:
    """Return what is known about each of `nodes`; `timeout` is that of each question, in seconds.

    Where each name of the domain resolves, a name that resolves like all others, and behind which
    nothing speaks Erlang, does not exist.
    """
    seen = ask_all(nodes, lambda node: _see(member, node, timeout))
    doubtful = {State.STOPPED, State.SILENT}
    if any(one.addresses and one.peer.state in doubtful for one in seen.values()):
        from member_entrypoint.network import surroundings

        anybodys = surroundings.wildcard(member.host, member.places, SCAN_DNS_TIMEOUT)
        for node, (peer, addresses) in seen.items():
            if addresses and peer.state in doubtful and set(addresses) <= anybodys:
                why = f"each name of its domain resolves to {', '.join(sorted(anybodys))}"
                seen[node] = Seen(Peer(State.ABSENT, why=why))
    return {node: one.peer for node, one in seen.items()}


def reach(member: Member, nodes: Iterable[str]) -> dict[str, Peer]:
    """Return whether each of `nodes` is registered in the epmd of its host; they are not asked."""
    found = ask_all(nodes, lambda node: _find(member, node, SCAN_DNS_TIMEOUT, SCAN_TIMEOUT))
    return {node: one.peer for node, one in found.items()}


def look_once(member: Member, node: str, timeout: float) -> Peer:
    """Return what is known about one node; `timeout` seconds hold for each question by itself.

    A node whose address is known, since ours is connected to it, is asked at once.
    """
    if node in member.erlang.known_addresses:
        peer = ask_node(member, node, timeout)
        if peer.state is not State.BUSY:
            return peer
    found = _find(member, node, timeout, timeout).peer
    return ask_node(member, node, timeout) if found.state is State.REGISTERED else found


def _see(member: Member, node: str, timeout: float) -> Seen:
    """Ask hosts file, DNS, the epmd of its host, then the node itself."""
    found = _find(member, node, max(timeout, SCAN_DNS_TIMEOUT), max(timeout / 3, SCAN_TIMEOUT))
    if found.peer.state is not State.REGISTERED:
        return found
    return found._replace(peer=ask_node(member, node, timeout))


def _find(member: Member, node: str, dns_timeout: float, timeout: float) -> Seen:
    """Look for a node: in the epmd of its host, or at its own port; cheap questions come first."""
    host = node.partition("@")[2]
    answer = member.erlang.look_up(node, dns_timeout)
    if not answer.addresses:
        state = State.ABSENT if answer.absent else State.UNKNOWN
        return Seen(Peer(state, why=f"no address for {host}: {answer.reason}"))
    how = member.erlang.reach
    from_dns = () if answer.from_hosts else answer.addresses
    silent, why = True, how.why_unusable(host)
    for number, address in enumerate(how.usable(answer.addresses)):
        found = member.erlang.way.find(address, node, timeout)
        if found.there:
            return Seen(Peer(State.REGISTERED), from_dns)
        if found.waits_empty:
            state = State.KNOWING if found.knows else State.EMPTY
            return Seen(Peer(state, why=found.why), from_dns)
        silent = found.silent or (silent and number > 0)
        why = found.why
    return Seen(Peer(State.SILENT if silent else State.STOPPED, why=why), from_dns)


def ask_node(member: Member, node: str, timeout: float = SCAN_TIMEOUT) -> Peer:
    """Return what a node that is registered says of itself, over one connection.

    Its marker and its server's status are files, read by its own VM: both lie where ours do.
    """
    calls: list[tuple[str, str, list[Any]]] = [
        ("init", "get_status", []),
        mnesia.MEMBERS,
        mnesia.RUNNING,
        mnesia.IDENTITY,
        ("mnesia_recover", "get_mnesia_downs", []),
        ("file", "read_file", [marker_file(member.places, node)]),
        ("file", "read_file", [member.release.status_file]),
    ]
    try:
        status, *answers = member.erlang.ask(node, calls, timeout)
    except OtherNameError as error:
        return _called(member, node, error.name)
    except RefusesError as error:
        return Peer(State.REFUSES, why=str(error) if error.certificate else f"{node} {REFUSED}")
    except RpcError as error:
        return Peer(State.BUSY, why=str(error))
    if not isinstance(status, tuple) or status[:1] == (Atom("badrpc"),):
        return Peer(State.BUSY, why=f"{node} could not answer: {show(status)[:300]}")
    if status[:1] == (Atom("stopping"),):
        return Peer(State.GOING, why=f"{node} shuts down")
    return _peer(node, answers)


def _called(member: Member, node: str, name: str) -> Peer:
    """Return what it means that a node of another name answers.

    Waiting helps where an address went to another host; not with an alias, or another letter case.
    """
    if node == member.settings.cluster_with or name.lower() == node.lower():
        why = f"the node there is called {name}, CLUSTER_WITH must name that"
        return Peer(State.OTHER_NAME, why=why)
    return Peer(State.BUSY, why=f"what answers there is not {node} but {name}")


def _peer(node: str, answers: list[Any]) -> Peer:
    """Return what a node says, from its answers to all questions but the first."""
    members, running, downs = (mnesia.names(answers[index]) for index in (0, 1, 3))
    record = parse_marker(_content(answers[4]))
    if node not in running or node not in members:
        return Peer(State.STARTING, members=members, record=record, why=f"{node} {NO_MNESIA}")
    identity = show(answers[2]) if isinstance(answers[2], tuple) else ""
    said = Peer(
        State.UP,
        "" if identity.startswith("{badrpc") else identity,
        members,
        running,
        downs,
        serves=_content(answers[5]).strip() in {b"", STARTED},
        record=record,
    )
    if said.awaits:
        return said._replace(why=f"the Mnesia of {node} waits for {', '.join(sorted(said.awaits))}")
    return said if said.serves else said._replace(why=f"the server of {node} has not started yet")


def _content(answer: Any) -> bytes:
    """Return what a file has, from the answer of `file:read_file`; empty if there is none."""
    if isinstance(answer, tuple) and answer[:1] == (Atom("ok"),) and isinstance(answer[1], bytes):
        return answer[1]
    return b""


def members_of(member: Member, node: str, timeout: float = SCAN_TIMEOUT) -> Nodes:
    """Return the members of the cluster of `node`; raises `RpcError`, also if no Mnesia runs there.

    `timeout` in seconds holds for the connection, and again for each answer.
    """
    (members,) = member.erlang.ask(node, [mnesia.MEMBERS], timeout)
    if not isinstance(members, list):
        raise RpcError(f"{node} {NO_MNESIA}")
    return mnesia.names(members)
