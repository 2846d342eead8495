"""Where is a name? The hosts file first, then DNS, in the order that the C library keeps.

dnspython is imported only when DNS is asked: that takes time which a starting VM wants.
"""

import time
from typing import NamedTuple

from member_entrypoint.network import hosts_file
from member_entrypoint.network.addresses import is_address
from member_entrypoint.release.active import Places


class Hosts(NamedTuple):
    """The hosts behind the name of a service, or none and the reason why.

    `absent` as in `Answer`.
    """

    names: tuple[str, ...]
    reason: str
    absent: bool = False


class Answer(NamedTuple):
    """The addresses of a name, or none and the reason why.

    `absent` says that the name is known not to exist, or to have no address; it is not where
    nobody could be asked.
    """

    addresses: tuple[str, ...]
    canonical: str
    reason: str
    absent: bool = False


def look_up(name: str, places: Places, timeout: float) -> Answer:
    """Return where `name` is, asking for at most `timeout` seconds.

    IP addresses are their own answer. Never raises for what DNS does or does not say: an answer
    without addresses has the reason, in words for a log line.
    """
    if is_address(name):
        return Answer((name,), name, "")
    entry = hosts_file.find(name, places.hosts)
    if entry.addresses:
        return Answer(entry.addresses, entry.canonical, "")
    return in_dns(name, places.resolv_conf, timeout)


def in_dns(name: str, resolv_conf: str, timeout: float) -> Answer:
    """Return the A and AAAA records of `name` from the name servers that `resolv_conf` names.

    The search list and `ndots` count, as in resolv.conf(5). `timeout` in seconds is for both
    queries together. One of the two may fail, as with servers that know nothing of IPv6.
    """
    deadline = time.monotonic() + timeout
    addresses: list[str] = []
    canonical = ""
    reason = "the name has no address in DNS"
    absent = True
    for kind in ("A", "AAAA"):
        found = _query(name, kind, resolv_conf, deadline, timeout)
        addresses += found.records
        canonical = found.canonical or canonical
        reason = found.reason or reason
        absent = absent and found.absent
    return Answer(
        tuple(addresses), canonical, "" if addresses else reason, absent and not addresses
    )


def hosts_behind(name: str, places: Places, timeout: float, *, by_address: bool = False) -> Hosts:
    """Return the hosts that a service's name stands for, sorted, asking for `timeout` seconds.

    That are the targets of its SRV records, which a headless service of Kubernetes has; where
    there are none, the names that DNS has for its addresses. With `by_address` the addresses
    themselves, for nodes that are named by them.
    """
    deadline = time.monotonic() + timeout
    if not by_address:
        found = _query(name, "SRV", places.resolv_conf, deadline, timeout)
        if found.records:
            return Hosts(tuple(sorted(set(found.records))), "")
    answer = look_up(name, places, max(0.1, deadline - time.monotonic()))
    if by_address or not answer.addresses:
        return Hosts(tuple(sorted(answer.addresses)), answer.reason, answer.absent)
    names = set()
    for address in answer.addresses:
        found = _query(_reverse(address), "PTR", places.resolv_conf, deadline, timeout)
        if not found.records:
            return Hosts((), f"no name for its address {address}: {found.reason}")
        names.add(found.records[0])
    return Hosts(tuple(sorted(names)), "")


class _Found(NamedTuple):
    records: tuple[str, ...]
    canonical: str
    reason: str
    absent: bool


def _query(name: str, kind: str, resolv_conf: str, deadline: float, timeout: float) -> _Found:
    """Return the records of one kind: addresses, or names without the last dot."""
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver(resolv_conf)
        left = max(0.1, deadline - time.monotonic())
        answer = resolver.resolve(name, kind, lifetime=left, search=True, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return _Found((), "", "the name does not exist in DNS", absent=True)
    except dns.resolver.LifetimeTimeout:
        return _Found((), "", f"no DNS answer within {timeout:g} s", absent=False)
    except dns.exception.DNSException as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return _Found((), "", reason, absent=False)
    except OSError as error:
        return _Found((), "", error.strerror or str(error), absent=False)
    records = tuple(
        str(getattr(record, "address", None) or record.target).rstrip(".")
        for record in answer.rrset or ()
    )
    return _Found(records, str(answer.canonical_name).rstrip("."), "", absent=True)


def _reverse(address: str) -> str:
    import dns.reversename

    return str(dns.reversename.from_address(address))
