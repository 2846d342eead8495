"""Sees where this runs: what it means that DNS does not know a name, or does not answer.

What is seen: whether our own name comes back from DNS, whether Docker's or Kubernetes' DNS is used,
whether there is a network at all, and whether each name of our domain resolves (a wildcard).
"""

import os
import socket

from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.network import names
from member_entrypoint.network.dns_queries import Queries
from member_entrypoint.places import Places

KUBELETS_FIRST_LINE = "# Kubernetes-managed hosts file"
DOCKERS_SERVER = "127.0.0.11"
"""Docker's own name server, in the networks that people make; it knows all containers there."""
LOOPBACK = "lo"


class Surroundings(NamedTuple):
    """What was seen.

    `own_name`: whether DNS knows the name of this machine, None if it does not answer. `knows_all`:
    the name server is Docker's or Kubernetes', which knows each container. `kubernetes`: this is a
    pod. `alone`: there is no network.
    """

    own_name: bool | None
    knows_all: bool
    kubernetes: bool
    alone: bool

    @property
    def hidden(self) -> bool:
        """Whether other members may exist that are not in DNS, as this one is not."""
        return self.own_name is False and self.knows_all


def see(host: str, places: Places, timeout: float) -> Surroundings:
    """Look around; takes at most `timeout` seconds. `host` is that of our node name."""
    answer = names.in_dns(host, Queries(places.resolv_conf, timeout))
    own = True if answer.addresses else (False if answer.absent else None)
    kubernetes = _read(places.hosts).startswith(KUBELETS_FIRST_LINE)
    knows_all = kubernetes or DOCKERS_SERVER in _read(places.resolv_conf).split()
    return Surroundings(own, knows_all, kubernetes, only_loopback())


def wildcard(host: str, places: Places, timeout: float) -> frozenset[str]:
    """Return the addresses that DNS has for a name beside `host` that nobody has; mostly none."""
    label, dot, domain = host.partition(".")
    nobody = f"{label.rpartition('-')[0] or label}-{os.urandom(4).hex()}{dot}{domain}"
    return frozenset(names.in_dns(nobody, Queries(places.resolv_conf, timeout)).addresses)


def only_loopback() -> bool:
    """Tell whether this machine has no network."""
    try:
        return {name for _, name in socket.if_nameindex()} <= {LOOPBACK}
    except OSError:
        return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
