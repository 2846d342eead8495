"""The addresses of a name, from the hosts file or DNS, in the order of the C library.

Nothing here raises for what DNS does or does not say: an answer without addresses has the reason,
in words for a log line.
"""

from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.network import hosts_file
from member_entrypoint.network.addresses import is_address
from member_entrypoint.network.dns_queries import Queries
from member_entrypoint.places import Places


class Hosts(NamedTuple):
    """The hosts behind the name of a service, or none and the reason why.

    `absent` is as in `Answer`.
    """

    names: tuple[str, ...]
    reason: str
    absent: bool = False


class Answer(NamedTuple):
    """The addresses of a name, or none and the reason why.

    `absent` tells that the name is known not to exist, or to have no address; it is False if no
    name server could be asked. `from_hosts`: no name server was asked.
    """

    addresses: tuple[str, ...]
    canonical: str
    reason: str
    absent: bool = False
    from_hosts: bool = False


def look_up(name: str, places: Places, timeout: float) -> Answer:
    """Return the addresses of `name`, after at most `timeout` seconds.

    IP addresses are their own answer.
    """
    return _look_up(name, places, Queries(places.resolv_conf, timeout))


def _look_up(name: str, places: Places, queries: Queries) -> Answer:
    if is_address(name):
        return Answer((name,), name, "", from_hosts=True)
    entry = hosts_file.find(name, *places.hosts_files)
    if entry.addresses:
        return Answer(entry.addresses, entry.canonical, "", from_hosts=True)
    return in_dns(name, queries)


def in_dns(name: str, queries: Queries) -> Answer:
    """Return the A and AAAA records of `name`.

    One of the two queries may fail, as with name servers that know nothing of IPv6.
    """
    addresses: list[str] = []
    canonical = ""
    reason = "the name has no address in DNS"
    absent = True
    for kind in ("A", "AAAA"):
        found = queries.ask(name, kind)
        addresses += found.records
        canonical = found.canonical or canonical
        reason = found.reason or reason
        absent = absent and found.absent
    return Answer(
        tuple(addresses), canonical, "" if addresses else reason, absent and not addresses
    )


def hosts_behind(name: str, places: Places, timeout: float, *, by_address: bool = False) -> Hosts:
    """Return the hosts behind the name of a service, sorted, after at most `timeout` seconds.

    These are the targets of its SRV records, which a headless service of Kubernetes has; without
    such records, the names that DNS has for its addresses. With `by_address` they are the addresses
    themselves, for nodes that are named by them.
    """
    queries = Queries(places.resolv_conf, timeout)
    if not by_address:
        targets = queries.ask(name, "SRV").records
        if targets:
            return Hosts(tuple(sorted(set(targets))), "")
    answer = _look_up(name, places, queries)
    if by_address or not answer.addresses:
        return Hosts(tuple(sorted(answer.addresses)), answer.reason, answer.absent)
    names = set()
    for address in answer.addresses:
        found = queries.ask_for_name(address)
        if not found.records:
            return Hosts((), f"no name for its address {address}: {found.reason}")
        names.add(found.records[0])
    return Hosts(tuple(sorted(names)), "")
