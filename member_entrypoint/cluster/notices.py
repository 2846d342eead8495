"""Tells other members of a second cluster, through the events of their Mnesia.

Their helper that watches for partitions hears it (`partitions`); nobody has to poll for it.
"""

import contextlib
from collections.abc import Iterable

from member_entrypoint.cluster import words
from member_entrypoint.cluster.knowledge import Known
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import SCAN_TIMEOUT
from member_entrypoint.erlang.rpc import RpcError
from member_entrypoint.lean_typing import Any
from member_entrypoint.terms import Atom

TAG = Atom("mongooseim_entrypoint_second_cluster")


def tell(member: Member, known: Known, nodes: Iterable[str]) -> None:
    """Tell `nodes`, which run in another cluster, of the cluster of this one."""
    text = words.cluster(known.identity, known.members or frozenset())
    event = (TAG, Atom(member.node), text.encode())
    for node in nodes:
        with contextlib.suppress(RpcError):
            member.erlang.rpc(node, "mnesia", "report_event", [event], SCAN_TIMEOUT)


def heard(event: Any) -> tuple[str, str] | None:
    """Return which node told of its cluster, and that in words, from an event of Mnesia."""
    if not (isinstance(event, tuple) and event[:1] == (Atom("mnesia_system_event"),)):
        return None
    what = event[1]
    if not (isinstance(what, tuple) and what[:1] == (Atom("mnesia_user"),)):
        return None
    said = what[1]
    if not (isinstance(said, tuple) and said[:1] == (TAG,) and isinstance(said[2], bytes)):
        return None
    return str(said[1]), said[2].decode(errors="replace")
