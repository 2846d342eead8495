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


def _kept_of_tables(what: str) -> tuple[str, str, list[Any]]:
    """Return the call that gives what Mnesia keeps of each table: pairs of a table and that."""
    return "ets", "match", [Atom("mnesia_gvar"), ((Atom("$1"), Atom(what)), Atom("$2"))]


MEMBERS = _kept("schema", "all_nodes")
"""All members, under one key: a Mnesia that starts or changes its schema sets key by key."""
RUNNING = _kept("current", "db_nodes")
"""The members that run together with the node that is asked, itself among them."""
IDENTITY = _kept("schema", "cookie")

WRITERS = _kept_of_tables("where_to_write")
"""The nodes that run, and have a copy of a table that is loaded."""
STORAGE = _kept_of_tables("storage_type")
"""What kind of copy the node that is asked has of a table."""
ON_DISK = frozenset({Atom("disc_copies"), Atom("disc_only_copies")})


def names(answer: Any) -> frozenset[str]:
    """Return the nodes in an answer; none if it is no list of them."""
    return frozenset(map(str, answer)) if isinstance(answer, list) else frozenset()
