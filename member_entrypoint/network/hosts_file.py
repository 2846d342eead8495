"""The hosts file: what it has for a name, and the operator's lines in it: hosts(5).

Imports neither socket nor dnspython.
"""

import contextlib
import os

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.network.addresses import is_address
from member_entrypoint.places import Places
from member_entrypoint.release.sources import exists, read_text


class Entry(NamedTuple):
    """The addresses that the hosts file gives for a name, and the first name beside them."""

    addresses: tuple[str, ...]
    canonical: str


def find(name: str, *paths: str) -> Entry:
    """Return what the hosts files at `paths` have for `name`; the case of letters does not count.

    The entry has no addresses if the name is not in a file, or the files cannot be read.
    """
    addresses: list[str] = []
    canonical = ""
    lines: list[str] = []
    for path in paths:
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            lines += file.read().splitlines()
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if name.lower() in (other.lower() for other in names) and is_address(address):
            addresses.append(address)
            canonical = canonical or names[0]
    return Entry(tuple(addresses), canonical)


def add_hosts(places: Places) -> None:
    """Add the operator's lines to the hosts file, those that say what it does not say yet.

    Raises `ConfigurationError`; who may not write there can have the same said by Docker.
    """
    text, target = lines_to_add(places), places.hosts
    if not text:
        return
    try:
        # In place, since Docker and Kubernetes mount the hosts file and nothing can replace it;
        # one write in append mode, so that it is there whole or not at all.
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise not_writable_error(places, error) from None


def not_writable_error(places: Places, error: OSError) -> ConfigurationError:
    """Return the error that says that the hosts file cannot have the operator's lines."""
    return ConfigurationError(
        f"{places.hosts} cannot be written ({error.strerror}; {users.whoami()}), and "
        f"{places.member}/hosts has lines for it; give them by docker run --add-host, extra_hosts "
        "in Compose, or hostAliases in Kubernetes"
    )


def lines_to_add(places: Places) -> str:
    """Return what `add_hosts` adds; empty if there is nothing to add.

    Raises `ConfigurationError` for files that cannot be read.
    """
    source, target = os.path.join(places.member, "hosts"), places.hosts
    if not exists(places.member, "hosts"):
        return ""
    have = read_text(target, places) if os.path.exists(target) else ""
    lines = have.splitlines()
    known = {entry for line in lines for entry in _hosts_entries(line)}
    wanted = read_text(source, places).splitlines()
    new = [line for line in wanted if line.strip() and line not in lines]
    new = [line for line in new if not (_hosts_entries(line) and _hosts_entries(line) <= known)]
    if not any(map(_hosts_entries, new)):
        return ""
    return ("" if have.endswith("\n") or not have else "\n") + "\n".join(new) + "\n"


def _hosts_entries(line: str) -> set[tuple[str, str]]:
    """Return what a line of a hosts file says: pairs of address and name."""
    address, *names = line.partition("#")[0].split() or [""]
    return {(address, name) for name in names}
