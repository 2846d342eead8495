"""Where is a name? The hosts file first, then DNS, in the order that the C library keeps.

dnspython is imported only when DNS is asked.
"""

import socket
import time
from typing import NamedTuple

from member_entrypoint.release import Places


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
    found = in_hosts_file(name, places.hosts)
    if found.addresses:
        return found
    return in_dns(name, places.resolv_conf, timeout)


def is_address(name: str) -> bool:
    """Tell whether `name` is an IPv4 or IPv6 address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, name)
        except OSError:
            continue
        return True
    return False


def in_hosts_file(name: str, path: str) -> Answer:
    """Return the addresses that the hosts file gives for `name`, and the first name beside them.

    The case of letters does not count (hosts(5)).
    """
    addresses: list[str] = []
    canonical = ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if name.lower() in (other.lower() for other in names) and is_address(address):
            addresses.append(address)
            canonical = canonical or names[0]
    return Answer(tuple(addresses), canonical, "" if addresses else f"not in {path}")


def in_dns(name: str, resolv_conf: str, timeout: float) -> Answer:
    """Return the A and AAAA records of `name` from the name servers that `resolv_conf` names.

    The search list and `ndots` count, as in resolv.conf(5). `timeout` in seconds is for both
    queries together. One of the two may fail, as with servers that know nothing of IPv6.
    """
    import dns.exception
    import dns.resolver

    deadline = time.monotonic() + timeout
    addresses: list[str] = []
    canonical = ""
    reason = "the name has no address in DNS"
    absent = True
    for kind in ("A", "AAAA"):
        try:
            resolver = dns.resolver.Resolver(resolv_conf)
            left = max(0.1, deadline - time.monotonic())
            answer = resolver.resolve(
                name, kind, lifetime=left, search=True, raise_on_no_answer=False
            )
            canonical = str(answer.canonical_name).rstrip(".")
            addresses += [str(record.address) for record in answer.rrset or ()]
        except dns.resolver.NXDOMAIN:
            reason = "the name does not exist in DNS"
        except dns.resolver.LifetimeTimeout:
            reason, absent = f"no DNS answer within {timeout:g} s", False
        except dns.exception.DNSException as error:
            reason, absent = " ".join(str(error).split()) or type(error).__name__, False
        except OSError as error:
            reason, absent = error.strerror or str(error), False
    return Answer(
        tuple(addresses), canonical, "" if addresses else reason, absent and not addresses
    )
