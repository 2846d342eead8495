"""What Mnesia keeps in memory about its cluster: questions that never touch a disk.

`mnesia:system_info(db_nodes)` reads the schema's file where Mnesia does not run, by a dets table
that is open for writing. `leave_cluster` and `join_cluster` stop Mnesia, delete that file and start
Mnesia: who asks in that moment puts an empty file in its place, and the VM ends over it (seen with
OTP 25).

Source: `mnesia_lib:val/1`, which reads the public table `mnesia_gvar`; a question has no answer
(`badrpc`) while Mnesia does not run.
"""

from member_entrypoint.lean_typing import Any
from member_entrypoint.terms import Atom


def _kept(*key: str) -> tuple[str, str, list[Any]]:
    """Return the call that gives what Mnesia keeps under a key."""
    return "ets", "lookup_element", [Atom("mnesia_gvar"), tuple(map(Atom, key)), 2]


MEMBERS = _kept("schema", "all_nodes")
"""All members, under one key: a Mnesia that starts or changes its schema sets key by key."""
RUNNING = _kept("current", "db_nodes")
"""The members that run together with the node that is asked, itself among them."""
IDENTITY = _kept("schema", "cookie")


def names(answer: Any) -> frozenset[str]:
    """Return the nodes in an answer; none if it is no list of them."""
    return frozenset(map(str, answer)) if isinstance(answer, list) else frozenset()
