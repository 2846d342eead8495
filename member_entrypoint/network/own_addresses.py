"""The addresses of this machine, and whether it has lost one."""

import socket

from member_entrypoint.network import hosts_file


class OwnAddresses:
    """The addresses that the hosts file gives for this machine.

    Docker takes the interface away from a container that it disconnects from a network, and the
    names of all others with it, which then look as if they had been stopped.
    """

    def __init__(self, host: str, hosts: str) -> None:
        """Take those that the hosts file `hosts` has now for `host`, the name of this machine."""
        self._host = host
        self._hosts = hosts
        self._known = self._in_hosts_file()

    def lost(self) -> bool:
        """Tell whether one is gone, and no other has come instead."""
        new = {address for address in self._in_hosts_file() - self._known if _is_ours(address)}
        if new:
            self._known = new
        return not all(_is_ours(address) for address in self._known)

    def _in_hosts_file(self) -> set[str]:
        return set(hosts_file.find(self._host, self._hosts).addresses)


def _is_ours(address: str) -> bool:
    """Tell whether a socket can be bound to `address`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
