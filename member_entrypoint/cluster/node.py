"""The names of this node and of its primary, from host names, ordinals and settings."""

from collections.abc import Callable

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.settings import Settings
from member_entrypoint.values import is_host, is_long


class Role(NamedTuple):
    """Whether a node joins another, or others join it.

    `target` is the node to join, or None for a node that joins no other; `primary` tells that
    others join this one. A node told to run alone has neither.
    """

    target: str | None
    primary: bool


def own_node(settings: Settings, kernel_host: str, full_name: Callable[[str], str | None]) -> str:
    """Return the node name that `settings` give to a machine named `kernel_host`.

    `full_name` returns what `hostname -f` would for a host name, or None; it is called only if a
    long name is needed and not given. Raises `ConfigurationError`, which lists the remedies.
    """
    hostname = settings.hostname or kernel_host
    host = settings.node_host or _host_part(settings.node_type, hostname, full_name)
    return f"{settings.node_name}@{host}"


def role_of(settings: Settings, kernel_host: str, node: str) -> Role:
    """Return whom `node` joins.

    Raises `ConfigurationError` if neither a variable nor the host name tells. Source: the
    contract, "Who is the primary, who joins, who runs".
    """
    if not settings.join_cluster:
        return Role(None, primary=False)
    if settings.cluster_with is not None:
        target = settings.cluster_with
    else:
        host = node.partition("@")[2]
        primary = _primary_host(settings, settings.hostname or kernel_host, host)
        target = f"{settings.node_name}@{primary}"
    return Role(None, primary=True) if target == node else Role(target, primary=False)


def _host_part(node_type: str, hostname: str, full_name: Callable[[str], str | None]) -> str:
    if node_type == "sname":
        host = hostname.partition(".")[0]
        hint = "set NODE_HOST, or give the container another host name (-h)"
    else:
        host = full_name(hostname) or hostname
        hint = "give the container a host name with its domain (-h NAME.DOMAIN), or set NODE_HOST"
        if not is_long(host):
            raise ConfigurationError(
                f"NODE_TYPE is 'name', which needs a fully qualified host name, but {hostname!r} "
                f"has none, neither in the hosts file nor in DNS; {hint}, or NODE_TYPE=sname"
            )
    if not is_host(host):
        raise ConfigurationError(f"the host name {host!r} cannot be part of a node name; {hint}")
    return host


def _primary_host(settings: Settings, hostname: str, host: str) -> str:
    """Return the host of the primary node, derived from the host name's base and ordinal."""
    own_label, dot, domain = host.partition(".")
    base = split_ordinal(own_label)
    if base is not None:
        return f"{base[0]}-{settings.master_ordinal}{dot}{domain}"
    named = split_ordinal(hostname.partition(".")[0])
    if named is None:
        raise ConfigurationError(
            f"the host name {hostname!r} does not end in -N (mongooseim-1, mongooseim-2, ...), so "
            "the node to join cannot be derived from it; give the container such a host name (-h), "
            "or set CLUSTER_WITH=NAME@HOST, or set JOIN_CLUSTER=false"
        )
    if named[1] == settings.master_ordinal:
        return host
    raise ConfigurationError(
        f"NODE_HOST is {host!r}, from which the primary's host cannot be derived; "
        "set CLUSTER_WITH=NAME@HOST"
    )


def split_ordinal(label: str) -> tuple[str, str] | None:
    """Return base and ordinal of a host's first label (`chat-eu-1-3`: `chat-eu-1`, `3`), or None.

    The ordinal is the text of the digits: `-01` and `-1` are different hosts.
    """
    base, _, ordinal = label.rpartition("-")
    return (base, ordinal) if base and ordinal.isascii() and ordinal.isdecimal() else None
