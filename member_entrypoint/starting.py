"""The start of a member, in helper processes: `look` before its VM runs, `settle` beside it.

The exit status is that of the contract; 0 means that PID 1 goes on. Modules that only some members
need are imported where they are used: the VM waits for `look`, and wants the CPU while `settle`
runs beside it.
"""

import sys
import time

from member_entrypoint.cluster import facts
from member_entrypoint.cluster.decision import Marker, Plan, decide
from member_entrypoint.cluster.facts import forget_marker, has_schema, read_marker, write_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang.reach import flags_of
from member_entrypoint.errors import ClusteringError, StartError
from member_entrypoint.files import users
from member_entrypoint.pauses import Pauses
from member_entrypoint.release import sources
from member_entrypoint.release.vm_args import DEFAULT_COOKIE

STATUS_INTERVAL = 0.05  # seconds between two looks at the status file
MNESIA_INTERVAL = 2.0  # seconds between two questions to a Mnesia that waits


def look(member: Member, deadline: float) -> None:
    """Find out what must be known before the VM starts; write the marker for it.

    Waits until `deadline`, an instant of `time.monotonic`. Raises `ClusteringError`, `StartError`.
    """
    from member_entrypoint.network import listening

    listening.wait_for_addresses(
        member.settings.wait_for, member.places, member.settings.start_timeout, member.log
    )
    if member.settings.discovery_file:
        from member_entrypoint.cluster import discovery

        discovery.prepare_file(member)
    known = facts.read_facts(member)
    plan = decide(known)
    if plan is Plan.EXAMINE:
        from member_entrypoint.cluster import membership

        nodes = membership.read_schema_nodes(member)
        plan = decide(known._replace(schema_nodes=nodes))
    target = member.role.target or ""
    if plan is Plan.MEMBER:
        write_marker(member.places, member.node, Marker.JOINED, target)
    elif plan is Plan.REFUSE:
        raise ClusteringError(
            f"Failed clustering {member.node} with {target}: this node has data of its own in "
            f"{member.places.mnesia(member.node)}, which joining would delete; set "
            "JOIN_DISCARDS_DATA=true to let it, or JOIN_CLUSTER=false to run it alone, or give "
            "it an empty volume"
        )
    elif plan is Plan.START_CLUSTER:
        from member_entrypoint.cluster import new_cluster

        found = new_cluster.find_existing_cluster(member, deadline)
        if found:
            _prepare_to_join(member, found, deadline)
        else:
            forget_marker(member.places, member.node)
    elif plan is Plan.JOIN:
        _prepare_to_join(member, target, deadline)


def _prepare_to_join(member: Member, target: str, deadline: float) -> None:
    """Wait until `target` can be joined; mark the schema on the disk as an unfinished join's."""
    from member_entrypoint.cluster import joining

    member.log.info(f"MongooseIM node {member.node} joining {target}")
    joining.wait_until_joinable(member, target, deadline)
    # Before the others forget this node: a start after a crash in between knows whom to join.
    write_marker(member.places, member.node, Marker.JOINING, target)
    if not has_schema(member.places, member.node):
        joining.remove_stale_entry(member, target, deadline)


def settle(member: Member, deadline: float) -> None:
    """Wait until the VM has started, then act on the plan until `deadline`.

    `deadline` is an instant of `time.monotonic`. Raises `StartError`, `ClusteringError` and its
    kin; the VM must be stopped then.
    """
    for warning in users.warnings(member.places):
        member.log.warning(warning)
    plan = decide(facts.read_facts(member))
    target = member.role.target or ""
    has_data = plan is Plan.MEMBER or (
        plan is Plan.PRIMARY and has_schema(member.places, member.node)
    )
    if plan is Plan.START_CLUSTER:
        # `look` has found out whether there is a cluster; the VM may have its schema, or not yet.
        marker, other = read_marker(member.places, member.node)
        plan, target = (Plan.JOIN, other) if marker is Marker.JOINING else (Plan.PRIMARY, "")
    if member.settings.print_config_files_on_start:
        from member_entrypoint.release import masking

        sys.stdout.write(masking.show_files(member.release.etc, member.release.given_etc))
        sys.stdout.flush()
    if has_data or plan is Plan.JOIN:
        # Imported now, while there is nothing to do but to wait.
        from member_entrypoint.cluster import joining, membership
    # Asked while the VM boots: once its Mnesia runs, it may have made itself known again.
    member_that_removed_us = membership.find_member_that_removed_us(member) if has_data else ""
    if member_that_removed_us and not member.settings.join_discards_data:
        raise membership.removed_error(member, target)
    _wait_until_started(member)
    _warn(member, plan)
    _say_what_it_is(member, plan)
    if member_that_removed_us and not membership.is_listed_by(member, member_that_removed_us):
        write_marker(member.places, member.node, Marker.JOINING, member_that_removed_us)
        plan, target = Plan.JOIN, member_that_removed_us
    if plan is Plan.PRIMARY:
        member.log.info(f"Clustered {member.node} with {member.node}")
    elif plan is Plan.MEMBER:
        membership.check_membership(member, target, deadline)
    elif plan is Plan.JOIN:
        joining.join(member, target, deadline)
        write_marker(member.places, member.node, Marker.JOINED, target)
        member.log.info(f"Clustered {member.node} with {target}")


def _warn(member: Member, plan: Plan) -> None:
    """Log what is not as it should be, though the member runs; after the VM's start, as below."""
    wanted = member.settings.mongooseim_config_format
    for warning in sources.unread(member.release, member.places, wanted):
        member.log.warning(warning)
    flags = flags_of(member.release, member.settings)
    if plan is not Plan.ALONE and flags.get("setcookie") == DEFAULT_COOKIE:
        member.log.warning(
            f"the Erlang cookie is the default one, {DEFAULT_COOKIE!r}: whoever reaches the ports "
            "of this node can run code in it",
            what_to_do="set CLUSTER_COOKIE_FILE to a file made by openssl rand -hex 32, the same "
            "on all members",
        )


def _say_what_it_is(member: Member, plan: Plan) -> None:
    """Log the plan after the VM's start: the first line takes 60 ms of CPU, which the VM wants."""
    if plan is Plan.PRIMARY:
        member.log.info(f"MongooseIM cluster primary node {member.node}")
    elif plan is Plan.ALONE and member.settings.join_cluster:
        member.log.info(
            f"MongooseIM node {member.node} joins nobody: mongooseim.toml configures CETS and no "
            "Mnesia, which needs no join"
        )
    elif plan is Plan.ALONE:
        member.log.info(f"MongooseIM node {member.node} runs alone, as JOIN_CLUSTER=false says")


def _wait_until_started(member: Member) -> None:
    """Wait for `started` in the server's status file; PID 1 notices if the VM ends."""
    began = time.monotonic()
    timeout = member.settings.start_timeout
    pauses = Pauses(began + timeout)
    look_again, reason = began + MNESIA_INTERVAL, ""
    while member.release.status() != "started":
        now = time.monotonic()
        if pauses.over():
            raise StartError(
                f"MongooseIM did not start within {timeout:g} s (START_TIMEOUT): its status is "
                f"{member.release.status() or 'not known'!r}; "
                f"{reason or 'what it waits for stands in the lines above and in its log'}"
            )
        if now >= look_again and member.erlang.reach.plain_tcp:
            from member_entrypoint.cluster import membership

            awaited = membership.whom_mnesia_waits_for(member)
            membership.connect(member, awaited)
            reason = (
                "Mnesia loads its tables from the node that went down last, which may be "
                f"{' or '.join(awaited)}: start it"
                if awaited
                else ""
            )
            look_again = time.monotonic() + MNESIA_INTERVAL
        if pauses.time_to_speak(reason):
            member.log.info(
                "waiting for MongooseIM to start",
                node=member.node,
                status=member.release.status() or "not known",
                seconds_left=pauses.left(),
                **({"reason": reason} if reason else {}),
            )
        time.sleep(STATUS_INTERVAL)
    member.log.info(
        "MongooseIM started", node=member.node, seconds=round(time.monotonic() - began, 1)
    )
