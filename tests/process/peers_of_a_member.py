"""A member whose peer is a node in Python, and all that the tests ask of `cluster` about it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from dns import rcode
from dns_server import serving
from epmd_server import EPMD_PORT
from loopback import new_address
from misbehaving_node import BADRPC, Manners, Node, running
from releases import HOST, NODE, PRIMARY, FakeRelease

from member_entrypoint.cluster import joining, looking, peers
from member_entrypoint.cluster.knowledge import Step
from member_entrypoint.cluster.member import Member, describe, known_full_name
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from member_entrypoint.cluster.knowledge import Decision, Known, Peer

PEER_ADDRESS = new_address()
DNS_ADDRESS = new_address()
OTHER = "mongooseim@chat-3"
LONG = 60.0
IDENTITY = ((1795600609292389538, -576460752303423342, 1), Atom(PRIMARY))
IDENTITY_TEXT = f"{{{{1795600609292389538,-576460752303423342,1}},{PRIMARY}}}"


def make_member(release: FakeRelease) -> Member:
    """Return the member `chat-2`, which is to join `chat-1`, with rendered VM flags."""
    etc = release.root / "run/mongooseim/etc"
    etc.mkdir()
    (etc / "vm.args").write_text(f"-sname {NODE}\n-setcookie sample\n")
    name_peer(release, PEER_ADDRESS)
    (release.root / "etc/resolv.conf").write_text(f"nameserver {DNS_ADDRESS}\n")
    environment = release.environment(JOIN_CLUSTER="true", LOG_FORMAT="logfmt")
    return describe(environment, known_full_name)


def name_peer(release: FakeRelease, *addresses: str) -> None:
    """Have the hosts file name these addresses for the peer."""
    lines = [f"127.0.0.1 {HOST}", *(f"{address} chat-1" for address in addresses)]
    (release.root / "etc/hosts").write_text("\n".join(lines) + "\n")


@contextlib.contextmanager
def peer(**manners: Any) -> Iterator[Node]:
    """Run the peer and the epmd of its host."""
    with running(PEER_ADDRESS, Manners(**manners), EPMD_PORT) as node:
        yield node


@contextlib.contextmanager
def name_servers(*, answering: bool) -> Iterator[None]:
    """Run a DNS server that knows no name, or one that is silent."""
    said = int(rcode.NXDOMAIN) if answering else None
    with serving(DNS_ADDRESS, lambda _name, _kind: said):
        yield


class Mnesia:
    """What the Mnesia of the peer answers; it notes what it was asked."""

    def __init__(self, members: list[str], serving: list[str], *, removes: Any = None) -> None:
        """Take its members, and those that run; `removes` is what removing one gives."""
        self.nodes = {"db_nodes": members, "running_db_nodes": serving}
        self.status = "started"
        self.downs: list[str] = []
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[Any, ...]] = []
        self._removes = removes

    def __call__(self, module: str, function: str, arguments: list[Any]) -> Any:
        """Answer one call."""
        self.asked.append((module, function, *arguments))
        if (module, function) == ("ets", "lookup_element"):
            return self._kept(str(arguments[1][1]))
        if function == "read_file":
            content = self.files.get("".join(map(chr, arguments[0])).rpartition("/")[2])
            return (Atom("ok"), content) if content else (Atom("error"), Atom("enoent"))
        answers = {
            "get_status": (Atom(self.status), Atom("started")),
            "get_mnesia_downs": [Atom(node) for node in self.downs],
        }
        return answers.get(function, self._removes)

    def _kept(self, key: str) -> Any:
        """Return what Mnesia keeps in memory under a key."""
        if key == "cookie":
            return IDENTITY
        listed = {"all_nodes": "db_nodes", "db_nodes": "running_db_nodes"}[key]
        return [Atom(node) for node in self.nodes[listed]] if listed in self.nodes else BADRPC

    def removed(self) -> list[tuple[Any, ...]]:
        """Return what was removed from the schema."""
        return [tuple(call[2:]) for call in self.asked if call[1] == "del_table_copy"]


def in_a_cluster() -> Mnesia:
    """Return the Mnesia of a peer that runs with another member."""
    return Mnesia([PRIMARY, OTHER], [PRIMARY, OTHER])


def look(member: Member) -> Peer:
    """Return what the member finds out about the peer."""
    return peers.look_at(member, [PRIMARY])[PRIMARY]


def decide(member: Member, seconds: float) -> tuple[Known, Decision]:
    """Have the member wait until it knows what to do."""
    return looking.decide_before(member, time.monotonic() + seconds)


def prepare_to_join(member: Member) -> None:
    """Have the member do what comes between the decision to join the peer and the VM's start."""
    known, decision = decide(member, LONG)
    assert decision.step is Step.JOIN
    joining.prepare_to_join(member, known, PRIMARY, time.monotonic() + LONG)


def join(member: Member) -> None:
    """Join the peer."""
    joining.join(member, PRIMARY, time.monotonic() + LONG)


def control_script(path: Path) -> str:
    """Return what the release's `mongooseimctl` does: note its arguments in a file."""
    return f'echo "$@" >> {path}; echo said; exit 1'
