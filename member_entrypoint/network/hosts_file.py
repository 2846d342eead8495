"""What the hosts file says of a name: hosts(5). Imports neither socket nor dnspython for that."""

from typing import NamedTuple

from member_entrypoint.network.addresses import is_address


class Entry(NamedTuple):
    """The addresses that the hosts file gives for a name, and the first name beside them."""

    addresses: tuple[str, ...]
    canonical: str


def find(name: str, path: str) -> Entry:
    """Return what the hosts file at `path` says of `name`; the case of letters does not count.

    A name that is not in the file, or a file that cannot be read, gives an entry without addresses.
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
    return Entry(tuple(addresses), canonical)
