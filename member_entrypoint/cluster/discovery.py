"""Keeps the file from which MongooseIM's CETS learns its cluster's nodes in step with DNS.

Source: MongooseIM's documentation, "Internal Databases", `node_list_file`: one node name a line,
read again whenever it changes.
"""

import os
import time
from collections.abc import Iterable, Mapping

from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files.whole import regular, write_whole
from member_entrypoint.log import counted
from member_entrypoint.network import names
from member_entrypoint.network.addresses import is_address
from member_entrypoint.pauses import Pauses

FIRST_UPDATE_TIMEOUT = 10.0  # seconds


def nodes_to_list(
    known: Mapping[str, float | None], found: Iterable[str], now: float, interval: float
) -> dict[str, float | None]:
    """Return the nodes to list, each with the instant since when it is missing; a pure function.

    That instant is None for a node that is among those `found` in DNS. A missing node stays for
    `interval` seconds: a pod that is restarted, or one incomplete answer of DNS, must not split the
    cluster.
    """
    nodes: dict[str, float | None] = dict.fromkeys(found)
    for node, away in known.items():
        since = now if away is None else away
        if node not in nodes and now - since < interval:
            nodes[node] = since
    return nodes


def hosts_in_dns(member: Member, timeout: float) -> names.Hosts:
    """Return the hosts behind DISCOVERY_NAME, after `timeout` seconds at most."""
    name, by_address = member.settings.discovery_name or "", is_address(member.host)
    return names.hosts_behind(name, member.places, timeout, by_address=by_address)


def nodes_of(member: Member, hosts: Iterable[str]) -> list[str]:
    """Return the nodes on these hosts, named as this one is."""
    short = member.settings.node_type == "sname" and not is_address(member.host)
    return [
        f"{member.settings.node_name}@{host.partition('.')[0] if short else host}" for host in hosts
    ]


def unwritable_error(path: str, reason: str) -> ConfigurationError:
    """Return the error that says that DISCOVERY_FILE cannot be written."""
    return ConfigurationError(
        f"DISCOVERY_FILE is {path!r}, which cannot be written ({reason}); "
        "allowed: a path in a writable folder, such as /run/mongooseim/nodes"
    )


class Discovery:
    """The file of nodes: updates it, and keeps what is in it."""

    def __init__(self, member: Member) -> None:
        """Begin with the nodes in the file, so that a restart of this process drops none."""
        self._member = member
        self._name = member.settings.discovery_name or ""
        self._path = member.settings.discovery_file or ""
        self._interval = member.settings.discovery_interval
        self._listed = read_nodes(self._path)
        self._known: dict[str, float | None] = dict.fromkeys(self._listed or ())
        self._logged_reason = ""

    def update(self) -> bool:
        """Ask DNS once and update the file; return False if DNS has no hosts.

        Then the file stays as it is: this node itself should be among them, so the answer is wrong.
        Raises `ConfigurationError` if the file cannot be written.
        """
        member, now = self._member, time.monotonic()
        found = hosts_in_dns(member, self._interval)
        if not found.names:
            reason = found.reason or "the name has no hosts"
            if reason != self._logged_reason:
                member.log.warning(
                    f"{self._name} names no nodes, {self._path} stays as it is", reason=reason
                )
            self._logged_reason = reason
            return False
        self._logged_reason = ""
        nodes = nodes_of(member, found.names)
        self._known = nodes_to_list(self._known, nodes, now, self._interval)
        self._write(tuple(sorted(self._known)))
        return True

    def _write(self, nodes: tuple[str, ...]) -> None:
        if nodes == self._listed:
            return
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            write_whole(self._path, "".join(f"{node}\n" for node in nodes).encode(), 0o644)
        except OSError as error:
            raise unwritable_error(self._path, error.strerror or str(error)) from None
        before = set(self._listed or ())
        self._member.log.info(
            f"{self._path} lists {counted(len(nodes), 'node')} of {self._name}",
            new=",".join(node for node in nodes if node not in before),
            gone=",".join(sorted(before.difference(nodes))),
        )
        self._listed = nodes


def prepare_file(member: Member) -> None:
    """Write the file before the VM starts, if DNS answers within `FIRST_UPDATE_TIMEOUT`.

    Raises `ConfigurationError` if it cannot be written.
    """
    read = member.cets.node_list if member.cets else ""
    if read != member.settings.discovery_file:
        member.log.warning(
            f"nobody reads {member.settings.discovery_file}, which DISCOVERY_FILE names",
            reason=f"node_list_file in mongooseim.toml is {read or 'not set'}",
        )
    discovery = Discovery(member)
    pauses = Pauses(time.monotonic() + FIRST_UPDATE_TIMEOUT)
    while not discovery.update() and not pauses.over():
        pauses.pause()


def keep_file_current(member: Member) -> None:
    """Keep the file in step with DNS until this process is ended; failures are logged."""
    discovery = Discovery(member)
    logged = ""
    while True:
        began = time.monotonic()
        try:
            discovery.update()
            logged = ""
        except ConfigurationError as error:
            if str(error) != logged:
                member.log.error(str(error))
            logged = str(error)
        time.sleep(max(0.0, began + member.settings.discovery_interval - time.monotonic()))


def read_nodes(path: str) -> tuple[str, ...] | None:
    """Return the nodes that a file lists; None if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace", opener=regular) as file:
            return tuple(file.read().split())
    except OSError:
        return None
