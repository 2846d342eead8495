"""The way to nodes: opens connections to them, and finds out whether they are there.

Where nodes have epmds, the one of its host knows a node. Without epmd there is but the node's own
port: who answers there is seen in the beginning of a handshake.
"""

from member_entrypoint.erlang import distribution, epmd, messages
from member_entrypoint.erlang.distribution import Connection, DistributionError
from member_entrypoint.erlang.reach import Reach
from member_entrypoint.lean_typing import TYPE_CHECKING, NamedTuple
from member_entrypoint.release.flags import Flags

if TYPE_CHECKING:
    from member_entrypoint.erlang.tls import Tls

WAITS_EMPTY, WAITS = "-waits-empty", "-waits"
"""What a member adds to its name in the epmd while it waits with an empty disk; the second one, if
it knows others that may have the data."""
BY_VM = "each question boots a VM of the release, and partitions are not watched"


class Found(NamedTuple):
    """What was found at an address.

    `there`: the node is. `waits_empty`: a member waits there, without a VM, with an empty disk;
    `knows`: and it knows others that may have data.
    `silent`: nothing answered, so it is not known. `why`: what was seen, if the node is not there.
    """

    there: bool = False
    waits_empty: bool = False
    knows: bool = False
    silent: bool = False
    why: str = ""


class Way:
    """The way to nodes as `reach` says, and as a hidden node on `own_host`."""

    def __init__(self, reach: Reach, given: Flags, folder: str, own_host: str) -> None:
        """Take the VM's flags; paths in them are relative to `folder`, where the VM runs."""
        self.reach = reach
        self._own_host = own_host
        self._tls: Tls | None = None
        if reach.tls:
            from member_entrypoint.erlang import tls

            self._tls = tls.Tls(given, folder)

    def open(
        self, address: str, node: str, cookie: str | None, timeout: float, *, plain: bool = False
    ) -> Connection:
        """Return a connection to `node` at `address`; raises as `Connection` does."""
        return Connection(
            address,
            node,
            self._own_host,
            cookie,
            timeout,
            epmd_port=self.reach.epmd_port,
            node_port=self.reach.node_port,
            tls=None if plain else self._tls,
        )

    def find(self, address: str, node: str, timeout: float) -> Found:
        """Return whether `node` is at `address`, after `timeout` seconds at most; never raises."""
        if not self.reach.direct:
            return Found(there=True)  # as far as is known: only a VM can tell
        if self.reach.node_port:
            return self._by_port(address, node, timeout)
        name, _, host = node.partition("@")
        known = epmd.names(address, timeout, self.reach.epmd_port)
        if known.names is None:
            return Found(silent=not known.refused, why=known.reason)
        if name in known.names:
            return Found(there=True)
        for word, knows in ((WAITS_EMPTY, False), (WAITS, True)):
            if name + word in known.names:
                why = messages.waits(node, knows=knows)
                return Found(waits_empty=True, knows=knows, why=why)
        others = ", ".join(sorted(known.names)[:3])
        has = f"; it has {others}" if others else ""
        return Found(why=f"the epmd of {host} ({address}) has no node {name}{has}")

    def _by_port(self, address: str, node: str, timeout: float, *, plain: bool = False) -> Found:
        try:
            self.open(address, node, None, timeout, plain=plain).close()
        except distribution.WaitsEmptyError as error:
            return Found(
                waits_empty=True, knows=isinstance(error, distribution.WaitsError), why=str(error)
            )
        except distribution.NotListeningError as error:
            return Found(why=str(error))
        except (distribution.RefusedError, distribution.OtherNodeError):
            return Found(there=True)  # who asks it is told so
        except distribution.NotTlsError as error:
            # A member that waits does not speak TLS.
            found = self._by_port(address, node, timeout, plain=True)
            return found if found.waits_empty else Found(silent=True, why=str(error))
        except DistributionError as error:
            return Found(silent=True, why=str(error))
        return Found(there=True)

    def unheeded(self) -> str:
        """Return what cannot be heeded of what the VM was given, in words; empty if nothing."""
        if self.reach.epmd_module:
            flag = f"-epmd_module {self.reach.epmd_module}"
            return f"{flag}: only this module knows where nodes are, so {BY_VM}"
        if not self.reach.direct:
            return f"-proto_dist {self.reach.carrier} is not known here, so {BY_VM}"
        try:
            left = self._tls.options().unheeded if self._tls is not None else ()
        except DistributionError as error:
            return f"{error}, so {BY_VM}"
        if not left:
            return ""
        return (
            f"of the options for TLS, {', '.join(left)} cannot be heeded where this node is "
            "watched and others are looked for; the VM heeds them"
        )
