"""How is a node reached? One value, made in one place, from the VM's flags and the settings."""

from typing import NamedTuple

from member_entrypoint.release import flags
from member_entrypoint.release.active import Release
from member_entrypoint.settings import Settings

PLAIN_TCP = frozenset({"inet_tcp", "inet6_tcp"})


class Reach(NamedTuple):
    """How nodes of this cluster are reached.

    `plain_tcp`: they talk plain TCP and find each other through epmd, so that we can ask them
    directly. `epmd`: this node is registered in the epmd of its host. `epmd_port` is a TCP port.
    """

    plain_tcp: bool
    epmd: bool
    epmd_port: int

    @property
    def carrier(self) -> str:
        """The word that probes are told: `tcp`, `other` (such as TLS), `none` without epmd."""
        if not self.epmd:
            return "none"
        return "tcp" if self.plain_tcp else "other"


def flags_of(release: Release, settings: Settings) -> flags.Flags:
    """Return the flags of the VM of `release`, as rendered and as the environment has them."""
    names = ("vm.args", "vm.dist.args")
    return flags.read(release.etc, names, settings.vm_flags, current=release.server)


def reach(given: flags.Flags, settings: Settings) -> Reach:
    """Return how a node with these flags is reached."""
    other_epmd = "epmd_module" in given
    unregistered = "false" in {given.get("start_epmd"), given.get("dist_listen")}
    return Reach(
        plain_tcp=given.get("proto_dist", "inet_tcp") in PLAIN_TCP and not other_epmd,
        epmd=not other_epmd and not unregistered,
        epmd_port=settings.erl_epmd_port,
    )
