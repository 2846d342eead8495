"""The start of a member, in copies of PID 1: `look` before its VM runs, `settle` beside it.

The exit status is that of the contract; 0 means that PID 1 goes on. Modules that only some members
need are imported where they are used: the VM waits for `look`, and wants the CPU while `settle`
runs beside it.
"""

import sys
import time

from member_entrypoint import state
from member_entrypoint.cluster import facts
from member_entrypoint.cluster.inference import clears, has_data
from member_entrypoint.cluster.knowledge import Decision, Known, Marker, Record, Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import StartError
from member_entrypoint.files import users
from member_entrypoint.pauses import Pauses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from member_entrypoint.cluster.beside import Beside

STATUS_INTERVAL = 0.02  # seconds between two looks at the status file
MNESIA_INTERVAL = 2.0  # seconds between two questions to a Mnesia that waits
LONGEST_INTERVAL = 60.0  # the same where a node refuses our cookie, and logs each try


def look(member: Member, deadline: float, *, again: bool = False) -> None:
    """Find out what must be known before the VM starts; write the marker for it.

    Waits until `deadline`, an instant of `time.monotonic`. `again`: not the first VM of this
    container. Raises `ClusteringError`, `StartError`.
    """
    from member_entrypoint.network import listening

    listening.wait_for_addresses(
        member.settings.wait_for, member.places, member.settings.start_timeout, member.log
    )
    if member.settings.discovery_file:
        from member_entrypoint.cluster import discovery

        discovery.prepare_file(member)
    if not member.is_alone:
        from member_entrypoint.cluster import looking

        state.end_wait(member.places.root)
        decided = looking.decide_before(member, deadline, again=again)
        _carry_out(member, *decided, deadline)


def _carry_out(member: Member, known: Known, decision: Decision, deadline: float) -> None:
    """Do what must be done before the VM starts, so that a kill after any of it does no harm."""
    if decision.step is Step.JOIN:
        from member_entrypoint.cluster import joining

        joining.prepare_to_join(member, known, decision.whom[0], deadline)
    elif decision.step is Step.START_CLUSTER:
        new = Record(Marker.STARTING, member.node, certain=decision.certain)
        facts.write_marker(member.places, member.node, new, durable=False)
        if clears(known, None):
            from member_entrypoint.cluster import joining

            joining.delete_unused_schema(member)
        _say_doubt(member, decision)


def _say_doubt(member: Member, decision: Decision) -> None:
    """Log why a new cluster may be the second one, if so."""
    if decision.rule == "silent":
        member.log.warning(
            f"DNS does not answer: {member.node} starts a new cluster",
            risk="another member may have the cluster's data; it is looked for until DNS answers",
            what_to_do="NEW_CLUSTER=never, once the cluster exists",
        )
    elif decision.rule == "hidden":
        member.log.info(
            f"{member.node} starts a new cluster, and goes on looking for another one",
            reason="its own name is not in DNS yet, so others may be missing there, too",
        )


def settle(member: Member, deadline: float, held: int) -> None:
    """Wait until the VM has started, then act on the decision until `deadline`.

    `deadline` is an instant of `time.monotonic`; `held` the descriptor by which the VM's schema is
    held. Raises `StartError`, `ClusteringError` and its kin; the VM must be stopped then.
    """
    state.end_wait(member.places.root)
    known = facts.read_known(member, schema=not member.is_alone)
    joins = known.record.marker is Marker.JOINING and not has_data(known)
    beside = None
    if not known.alone and not joins:
        from member_entrypoint.cluster.beside import Beside

        beside = Beside(member, known)
        beside.look()
    from member_entrypoint.files import hold

    hold.let_go(held)  # the VM's Mnesia waits for its schema, and does no harm before
    _say_what_it_was_given(member)
    # Loaded now, while there is nothing to do but to wait.
    from member_entrypoint.cluster import cautions

    if not known.alone:
        from member_entrypoint.cluster import joining, membership
    member.log.prepare()
    _wait_until_started(member, beside)
    for caution in cautions.all_of(member):
        member.log.warning(caution.text, **caution.values)
    _say_what_it_is(member, known, joins=joins)
    if beside is not None:
        while not beside.is_clear():
            time.sleep(STATUS_INTERVAL)
        if beside.removed_by:
            membership.join_again(member, known, beside.removed_by, deadline)
        else:
            if not beside.certain:
                known = known._replace(record=known.record._replace(certain=False))
            membership.confirm(member, known, deadline)
    elif joins:
        other = known.record.other
        membership.note_joined(member, other, joining.join(member, other, deadline))


def _say_what_it_was_given(member: Member) -> None:
    for warning in users.warnings(member.places):
        member.log.warning(warning)
    if member.settings.print_config_files_on_start:
        _print_files(member)


def _print_files(member: Member) -> None:
    """Print the files that the server reads; each is a line where all lines are JSON."""
    from member_entrypoint.release import masking

    folders = member.release.etc, member.release.given_etc
    if member.settings.log_format == "json":
        for path, content in masking.shown_files(*folders):
            member.log.info("configuration file", path=path, content=content)
        return
    sys.stdout.write(masking.show_files(*folders))
    sys.stdout.flush()


def explain(member: Member, code: int, *, booting: bool, crash_dump: str) -> None:
    """Find out why a VM ended by itself with the status `code`; `booting`: while it booted.

    Mnesia ends a VM that meets a node of its schema in another cluster. Raises `RemovedError` where
    that cluster is one that people use, `TryAgainError` where that node is on its way into a
    cluster or out of it, else `ExplainedError`. `crash_dump` is the path that ERL_CRASH_DUMP gives,
    if any.
    """
    if booting and not member.is_alone:
        from member_entrypoint.cluster import beside

        beside.explain(member, facts.read_known(member, schema=True), code)
    from member_entrypoint.diagnosis import ended

    ended.explain(member, code, booting=booting, environment_dump=crash_dump)


def _say_what_it_is(member: Member, known: Known, *, joins: bool) -> None:
    """Log the role, after the VM's start."""
    if known.alone and member.settings.join_cluster:
        member.log.info(
            f"MongooseIM node {member.node} joins nobody: mongooseim.toml configures CETS and no "
            "Mnesia, which needs no join"
        )
    elif known.alone:
        alone = "joins nobody, and CETS finds its nodes by itself" if member.cets else "runs alone"
        member.log.info(f"MongooseIM node {member.node} {alone}, as JOIN_CLUSTER=false says")
    elif known.target is None and not joins:
        member.log.info(f"MongooseIM cluster primary node {member.node}")


def _wait_until_started(member: Member, beside: "Beside | None") -> None:
    """Wait for `started` in the server's status file; PID 1 notices if the VM ends."""
    began = time.monotonic()
    timeout = member.settings.start_timeout
    pauses = Pauses(began + timeout)
    interval = MNESIA_INTERVAL
    look_again, reason = began + interval, ""
    while member.release.status() != "started":
        now = time.monotonic()
        if pauses.over():
            raise StartError(
                f"MongooseIM did not start within {timeout:g} s (START_TIMEOUT): its status is "
                f"{member.release.status() or 'not known'!r}; "
                f"{reason or 'what it waits for stands in the lines above and in its log'}"
            )
        if now >= look_again and member.erlang.reach.direct:
            from member_entrypoint.cluster import awaited

            reason, refused = awaited.connect(member, now - began)
            if beside is not None and reason:
                beside.look_again()
            interval = min(LONGEST_INTERVAL, 2 * interval) if refused else MNESIA_INTERVAL
            look_again = time.monotonic() + interval
        if pauses.time_to_speak(reason):
            text = "waiting for MongooseIM to start"
            member.log.info(
                text,
                node=member.node,
                status=member.release.status() or "not known",
                seconds_left=pauses.left(),
                **({"reason": reason} if reason else {}),
            )
            state.note_wait(member.places.root, text, reason, pauses.deadline)
        time.sleep(STATUS_INTERVAL)
    state.end_wait(member.places.root)
    member.log.info(
        "MongooseIM started", node=member.node, seconds=round(time.monotonic() - began, 1)
    )
