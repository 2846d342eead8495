"""The ports that a server listens on: what its configuration says, and whether they are free."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

from member_entrypoint.diagnosis.toml import Toml
from member_entrypoint.erlang import epmd
from member_entrypoint.erlang.reach import Reach
from member_entrypoint.lean_typing import Any, NamedTuple
from member_entrypoint.release.flags import Flags

ANY, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - nobody listens there: it is only tried
HIGHEST_PORT = 65535


class Listener(NamedTuple):
    """What a server listens on: an address, one of `ports`, and where that is configured."""

    address: str
    ports: tuple[int, ...]
    where: str

    @property
    def port(self) -> str:
        """The port, or the ports, in words."""
        if len(self.ports) == 1:
            return f"port {self.ports[0]}"
        return f"ports {self.ports[0]} to {self.ports[-1]}"


def of_toml(toml: Toml) -> Iterator[Listener]:
    """Yield what mongooseim.toml has the server listen on; what makes no sense is left out."""
    listen = toml.tables.get("listen")
    for kind, tables in listen.items() if isinstance(listen, dict) else ():
        for table in tables if isinstance(tables, list) else ():
            if isinstance(table, dict) and table.get("proto", "tcp") == "tcp":
                port = table.get("port")
                if port is not None and _is_port(port):
                    where = f"[[listen.{kind}]] of {toml.path}"
                    yield Listener(_address(table), (port,), where)


def wrong_in_toml(toml: Toml) -> Iterator[str]:
    """Yield what is wrong with the listeners of mongooseim.toml, in words."""
    listen = toml.tables.get("listen")
    for kind, tables in listen.items() if isinstance(listen, dict) else ():
        if not isinstance(tables, list):
            yield f"{toml.path} has [listen.{kind}]; write [[listen.{kind}]], one for each listener"
            continue
        for table in tables:
            port = table.get("port") if isinstance(table, dict) else None
            if not _is_port(port):
                yield (
                    f"[[listen.{kind}]] of {toml.path} has the port {port!r}; "
                    f"give it one from 1 to {HIGHEST_PORT}"
                )
    seen: dict[tuple[str, tuple[int, ...]], str] = {}
    for each in of_toml(toml):
        other = seen.setdefault((each.address, each.ports), each.where)
        if other is not each.where:
            yield f"{each.where} has {each.port}, as {other.split(' of ')[0]} has; change one"


def of_node(how: Reach, given: Flags) -> Iterator[Listener]:
    """Yield what the VM listens on for other nodes, where that is a port that it cannot choose."""
    if not how.listens:
        return
    address = how.interface or (ANY_IPV6 if how.ipv6 else ANY)
    lowest = given.parameter("kernel", "inet_dist_listen_min")
    highest = given.parameter("kernel", "inet_dist_listen_max") or lowest
    if how.node_port:
        yield Listener(address, (how.node_port,), "-erl_epmd_port")
    elif lowest.isdecimal() and highest.isdecimal() and int(highest) <= HIGHEST_PORT:
        ports = tuple(range(int(lowest), int(highest) + 1))
        if ports:
            yield Listener(address, ports, "inet_dist_listen_min of the VM's flags")


def why_unusable(listener: Listener) -> str:
    """Return why nobody can listen there, with what to do; empty if somebody can.

    It is tried, without listening: nobody can connect meanwhile.
    """
    reason = ""
    for port in listener.ports:
        found = _why_not_bound(listener.address, port)
        if not found:
            return ""
        reason = reason or found
    which = listener.port if len(listener.ports) == 1 else f"each of the {listener.port}"
    return f"{which} ({listener.where}) {reason}"


def why_name_taken(node: str, how: Reach) -> str:
    """Return why the VM cannot have its name: a node of that name runs on this host."""
    if how.node_port or not how.direct or not how.listens:
        return ""
    name = node.partition("@")[0]
    if name not in (epmd.names(how.own_epmd, port=how.epmd_port).names or ()):
        return ""
    return (
        f"a node {name} runs on this host already, its epmd says; end that one, or set another "
        "NODE_NAME (with --network host, all containers of the machine share one epmd)"
    )


def _why_not_bound(address: str, port: int) -> str:
    try:
        # A name would be looked up in DNS, which may take longer than anybody waits.
        socket.getaddrinfo(address, None, flags=socket.AI_NUMERICHOST)
    except (OSError, TypeError, ValueError):
        return f"cannot be used: {address!r} is no IP address; configure one"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            # As servers do: a port with connections of an earlier one is free.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((address, port))
    except OSError as error:
        return _words(error, address, port)
    return ""


def _words(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        who = _who_listens(port)
        return (
            f"is taken by {who or 'another process'} in this network namespace; end that, or "
            "configure another port (with --network host, all programs of the machine share them)"
        )
    if error.errno == errno.EACCES:
        return (
            f"may not be used by uid {os.geteuid()}: use one from 1024 on, or allow it by "
            f"--sysctl net.ipv4.ip_unprivileged_port_start={port}"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot be used: {address} is no address of this machine; configure another one"
    return f"cannot be used ({error.strerror or error}); configure another one"


def _who_listens(port: int) -> str:
    """Return the name and pid of the process that listens on a port, empty if it is not known."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError, RuntimeError):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.pid and one.laddr[1] == port:
                return f"{psutil.Process(one.pid).name()} (process {one.pid})"
    return ""


def _is_port(value: Any) -> bool:
    return type(value) is int and 0 < value <= HIGHEST_PORT


def _address(table: dict[str, Any]) -> str:
    given = table.get("ip_address")
    if isinstance(given, str) and given:
        return given
    return ANY_IPV6 if table.get("ip_version") == 6 else ANY  # noqa: PLR2004 - IPv6
