"""One member: all that its parts have to know, put together once at the start of a process."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from member_entrypoint import settings
from member_entrypoint.cluster import node
from member_entrypoint.log import Log
from member_entrypoint.network import hosts_file
from member_entrypoint.release import active, rendering

if TYPE_CHECKING:
    from member_entrypoint.erlang.rpc import Erlang

FULL_NAME_TIMEOUT = 5.0


class Member(NamedTuple):
    """Who this node is and what it was given."""

    settings: settings.Settings
    places: active.Places
    release: active.Release
    node: str
    role: node.Role
    log: Log
    cets: rendering.Cets | None

    @property
    def erlang(self) -> "Erlang":
        """What asks nodes; imported late, since PID 1 does not ask."""
        from member_entrypoint.erlang.rpc import Erlang

        return Erlang(self.release, self.places, self.node)


def describe(
    environment: Mapping[str, str],
    full_name: Callable[[str, active.Places], str | None],
    *,
    with_role: bool = True,
    rendered: bool = False,
) -> Member:
    """Return the member that `environment` and this machine's host name describe.

    Raises `ConfigurationError`. Nothing is written. Without a role, the node need not know whom it
    would join. `rendered` says that the run-time configuration is there already; the files that it
    was made of need not be readable any more.
    """
    options = settings.read(environment)
    places = active.Places(options.root)
    kernel_host = os.uname().nodename
    name = node.own_node(options, kernel_host, lambda host: full_name(host, places))
    installed = active.find(places.release)
    cets = rendering.cets(installed, places, options, rendered=rendered)
    joins = with_role and not (cets and cets.only)
    role = node.role(options, kernel_host, name) if joins else node.Role(None, primary=False)
    log = Log(options.log_format, options.log_level)
    return Member(options, places, installed, name, role, log, cets)


def known_full_name(host: str, places: active.Places) -> str | None:
    """Return what `hostname -f` says for `host`, as far as that needs no DNS, or None."""
    canonical = hosts_file.find(host, places.hosts).canonical
    if "." in canonical:
        return canonical
    return host if "." in host else None


def full_name(host: str, places: active.Places) -> str | None:
    """Return what `hostname -f` says for `host`, or None: hosts file first, then DNS."""
    from member_entrypoint.network import names

    return (
        known_full_name(host, places)
        or names.in_dns(host, places.resolv_conf, FULL_NAME_TIMEOUT).canonical
        or None
    )
