"""One member: all that its parts have to know, put together once at the start of a process."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from member_entrypoint.cluster.node import Role, own_node, role_of
from member_entrypoint.log import Log
from member_entrypoint.network import hosts_file
from member_entrypoint.release import active, rendering
from member_entrypoint.settings import Settings
from member_entrypoint.settings import read as read_settings

if TYPE_CHECKING:
    from member_entrypoint.erlang.rpc import Erlang

FULL_NAME_TIMEOUT = 5.0


class Member:
    """Who this node is and what it was given.

    A plain class, since importing `dataclasses` takes time before the VM starts, and a named tuple
    cannot cache.
    """

    def __init__(  # noqa: PLR0913 - what there is to know about a member
        self,
        *,
        settings: Settings,
        places: active.Places,
        release: active.Release,
        node: str,
        role: Role,
        log: Log,
        cets: rendering.Cets | None,
    ) -> None:
        """Take what `describe` has found out; `cets` is None where CETS is not configured."""
        self.settings = settings
        self.places = places
        self.release = release
        self.node = node
        self.role = role
        self.log = log
        self.cets = cets

    @cached_property
    def erlang(self) -> "Erlang":
        """What asks nodes; it reads the VM's flags once, at the first use.

        It is imported late: PID 1 does not ask.
        """
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
    settings = read_settings(environment)
    places = active.Places(settings.root)
    kernel_host = os.uname().nodename
    node = own_node(settings, kernel_host, lambda host: full_name(host, places))
    release = active.find(places.release)
    cets = rendering.cets(release, places, settings, rendered=rendered)
    joins = with_role and not (cets and cets.only)
    return Member(
        settings=settings,
        places=places,
        release=release,
        node=node,
        role=role_of(settings, kernel_host, node) if joins else Role(None, primary=False),
        log=Log(settings.log_format, settings.log_level),
        cets=cets,
    )


def known_full_name(host: str, places: active.Places) -> str | None:
    """Return what `hostname -f` says for `host`, as far as that needs no DNS, or None."""
    canonical = hosts_file.find(host, places.hosts).canonical
    if "." in canonical:
        return canonical
    return host if "." in host else None


def full_name(host: str, places: active.Places) -> str | None:
    """Return what `hostname -f` says for `host`, or None: hosts file first, then DNS."""
    from member_entrypoint.network import names
    from member_entrypoint.network.dns_queries import Queries

    return (
        known_full_name(host, places)
        or names.in_dns(host, Queries(places.resolv_conf, FULL_NAME_TIMEOUT)).canonical
        or None
    )
