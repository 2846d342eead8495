"""Leaves the cluster, so that its other members forget this node."""

import contextlib
import time

from member_entrypoint import programs, state
from member_entrypoint.cluster import facts
from member_entrypoint.cluster.facts import write_marker
from member_entrypoint.cluster.knowledge import IN_BETWEEN, NOBODY, Marker, Nodes, Record
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang import mnesia, rpc
from member_entrypoint.erlang.reach import for_control_script
from member_entrypoint.errors import ClusteringError
from member_entrypoint.pauses import Pauses
from member_entrypoint.terms import Atom

LONGEST_JOIN = 10.0
"""Seconds to wait, before a farewell, for one that copies the data meanwhile."""
LONGEST_LOOK = 3.0
"""Seconds for an answer, of our own VM, or of another one to it: the time to stop is short."""


def leave(member: Member, deadline: float) -> None:
    """Run MongooseIM's `leave_cluster` until `deadline`, an instant of `time.monotonic`.

    Raises `ClusteringError` with its output if it fails.
    """
    command = [member.release.control_script, "leave_cluster", "-f"]
    try:
        variables = for_control_script(member.erlang.reach, member.settings)
        programs.run(command, max(1.0, deadline - time.monotonic()), variables)
    except programs.ProgramError as error:
        raise ClusteringError(f"{member.node} could not leave its cluster: {error}") from None


def _who_stays(member: Member, deadline: float) -> Nodes:
    """Return the other members, as soon as one that stays has all data that are on our disk.

    One that joins has not all of them yet, and two that leave at once would both go with the last
    copy. Our own VM is asked, which needs no DNS. Raises `ClusteringError` if none has, after a
    while.
    """
    pauses = Pauses(min(deadline, time.monotonic() + LONGEST_JOIN))
    failed = f"{member.node} could not leave its cluster: "
    while True:
        try:
            started = member.release.status() == "started"
            others, running, full = _look(member)
            why = "no other member runs" if others else "it has no other members"
            if not running and (started or not others):
                raise ClusteringError(failed + why)
            # Else its Mnesia has just started, and may not have met the others yet.
            if any(_stays(member, other) for other in sorted(full)):
                return others
            if running:
                why = f"none of {', '.join(sorted(running))} has all of its data, and stays"
        except rpc.RpcError as error:
            why = str(error)
        if pauses.over():
            raise ClusteringError(failed + why)
        pauses.pause()


def _look(member: Member) -> tuple[Nodes, Nodes, Nodes]:
    """Return the other members, those that run, and those of them that have all data of our disk.

    Raises `RpcError`.
    """
    calls = [mnesia.MEMBERS, mnesia.RUNNING, mnesia.WRITERS, mnesia.STORAGE]
    answers = member.erlang.ask(member.node, calls, LONGEST_LOOK)
    if not all(isinstance(answer, list) for answer in answers):
        raise rpc.RpcError(f"{member.node} runs, and its Mnesia does not")
    members, running = (mnesia.names(answer) - {member.node} for answer in answers[:2])
    on_disk = {table for table, kind in answers[3] if kind in mnesia.ON_DISK} - {Atom("schema")}
    holders = [mnesia.names(nodes) for table, nodes in answers[2] if table in on_disk]
    return members, running, running.intersection(*holders)


def _stays(member: Member, other: str) -> bool:
    """Tell whether another member neither leaves nor joins, by its marker; raises `RpcError`."""
    path = facts.marker_file(member.places, other)
    call = [Atom(other), Atom("file"), Atom("read_file"), [path], int(LONGEST_LOOK * 1e3)]
    (answer,) = member.erlang.ask(member.node, [("rpc", "call", call)], 2 * LONGEST_LOOK)
    if answer == (Atom("error"), Atom("enoent")):
        return True  # as with another image
    if not (isinstance(answer, tuple) and isinstance(answer[-1], bytes)):
        return False
    return facts.parse_marker(answer[-1]).marker not in IN_BETWEEN


def leave_for_good(member: Member, deadline: float) -> str:
    """Leave the cluster, and note it for the next start and for probes; return the line it logs.

    That it begins to leave, and whom, is noted before: a kill in between leaves open who has
    forgotten it, and the next start asks. `deadline` is an instant of `time.monotonic`. Raises
    `ClusteringError`.
    """
    places, node = member.places, member.node
    before = facts.read_marker(places, node)
    if before.marker is Marker.LEFT:
        text = f"MongooseIM node {node} has left its cluster already"
        member.log.info(text)
        return text
    if before.marker in {Marker.JOINING, Marker.STARTING}:
        raise ClusteringError(f"{node} could not leave its cluster: it is not in one yet")
    identity, members = facts.read_schema(places, node)
    others = (members or before.members or NOBODY) - {node}
    leaving = Record(Marker.LEAVING, min(others, default=node), identity, others)
    write_marker(places, node, leaving)
    try:
        if not member.is_alone:
            # One whose join had begun before may have come to its end meanwhile.
            others = _who_stays(member, deadline)
            leaving = Record(Marker.LEAVING, min(others), identity, others)
            write_marker(places, node, leaving)
        leave(member, deadline)
    except ClusteringError:
        # It may have left all the same; if it has not, its schema is still the same.
        if identity and facts.read_schema(places, node)[0] == identity:
            write_marker(places, node, before)
        raise
    write_marker(places, node, leaving._replace(marker=Marker.LEFT))
    with contextlib.suppress(OSError):
        state.note(member.settings.root, state.LEFT_FILE, "this node has left its cluster")
    stay = f", in which {', '.join(sorted(others))} stay" if others else ""
    text = f"MongooseIM node {node} left its cluster{stay}"
    member.log.info(text)
    return text
