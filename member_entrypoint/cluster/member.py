"""One member: who it is and what it was given, put together once at the start of a process."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property

from member_entrypoint.cluster.node import Role, own_node, role_of
from member_entrypoint.lean_typing import TYPE_CHECKING
from member_entrypoint.log import Log
from member_entrypoint.places import Places
from member_entrypoint.release import active, cets
from member_entrypoint.release.cets import Cets
from member_entrypoint.settings import Settings, log_as
from member_entrypoint.settings import read as read_settings

if TYPE_CHECKING:
    from member_entrypoint.erlang.rpc import Erlang

FULL_NAME_TIMEOUT = 5.0  # seconds


class Member:
    """One member: its settings, places, release, node name and role.

    A plain class, since importing `dataclasses` takes time before the VM starts, and a named tuple
    cannot cache.
    """

    def __init__(  # noqa: PLR0913 - what there is to know about a member
        self,
        *,
        settings: Settings,
        places: Places,
        release: active.Release,
        node: str,
        role: Role,
        log: Log,
        cets: Cets | None,
    ) -> None:
        """Take what `describe` has found out; `cets` is None where CETS is not configured."""
        self.settings = settings
        self.places = places
        self.release = release
        self.node = node
        self.role = role
        self.log = log
        self.cets = cets

    @property
    def host(self) -> str:
        """The part of the node name after the `@`."""
        return self.node.partition("@")[2]

    @property
    def is_alone(self) -> bool:
        """Whether it joins nobody and nobody joins it: JOIN_CLUSTER=false, or CETS alone."""
        return self.role.target is None and not self.role.primary

    @cached_property
    def erlang(self) -> "Erlang":
        """The way to ask nodes; it reads the VM's flags once, at the first use.

        It is imported late, since PID 1 asks no node.
        """
        from member_entrypoint.erlang.rpc import Erlang

        return Erlang(self.release, self.places, self.settings, self.node)


def describe(
    environment: Mapping[str, str],
    full_name: Callable[[str, Places], str | None],
    *,
    with_role: bool = True,
    rendered: bool = False,
) -> Member:
    """Return the member that `environment` and this machine's host name describe.

    `full_name` returns what `hostname -f` says for a host name, or None. Without `with_role` the
    host name need not tell whom the node joins. `rendered` tells that the run-time configuration
    exists already; its sources need not be readable then. Nothing is written. Raises
    `ConfigurationError`.
    """
    settings = read_settings(environment)
    places = Places(settings.root)
    kernel_host = os.uname().nodename
    node = own_node(settings, kernel_host, lambda host: full_name(host, places))
    release = active.find(places.release)
    found = cets.cets(release, places, settings, rendered=rendered)
    joins = with_role and not (found and found.only)
    return Member(
        settings=settings,
        places=places,
        release=release,
        node=node,
        role=role_of(settings, kernel_host, node) if joins else Role(None, primary=False),
        log=log_as(settings),
        cets=found,
    )


def known_full_name(host: str, places: Places) -> str | None:
    """Return what `hostname -f` says for `host` if that is known without DNS, or None."""
    from member_entrypoint.network import hosts_file  # for long names only

    canonical = hosts_file.find(host, *places.hosts_files).canonical
    if "." in canonical:
        return canonical
    return host if "." in host else None


def full_name(host: str, places: Places) -> str | None:
    """Return what `hostname -f` says for `host`, or None: hosts file first, then DNS."""
    from member_entrypoint.network import names
    from member_entrypoint.network.dns_queries import Queries

    return (
        known_full_name(host, places)
        or names.in_dns(host, Queries(places.resolv_conf, FULL_NAME_TIMEOUT)).canonical
        or None
    )
