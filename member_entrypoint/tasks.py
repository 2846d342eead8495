"""What a member does beside its VM, as a process of its own that PID 1 starts, watches and ends.

`look` runs before the VM where something has to be looked up first; `settle` runs beside it until
the node is where it belongs. The exit status is that of the contract; 0 means: go on. Being a
process of its own, it may block, fail or be killed at any moment, and leaves no memory behind.

What only some tasks need is imported where it is used: the VM waits for `look`, and wants the CPU
while `settle` runs beside it.
"""

import contextlib
import sys
import time

from member_entrypoint import settings
from member_entrypoint.cluster import facts, member
from member_entrypoint.cluster.decision import Marker, Plan, decide
from member_entrypoint.cluster.facts import forget_marker, has_schema, read_marker, write_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError, EntrypointError, StartError
from member_entrypoint.files import users
from member_entrypoint.log import Log
from member_entrypoint.pauses import Pauses
from member_entrypoint.release.active import Places

STATUS_INTERVAL = 0.05
MNESIA_INTERVAL = 2.0


def look(mine: Member, deadline: float) -> None:
    """Find out what must be known before the VM starts, waiting for it until `deadline`.

    Leaves the marker for what was found. Raises `ClusteringError`.
    """
    from member_entrypoint.network import listening

    listening.wait_for_addresses(
        mine.settings.wait_for, mine.places, mine.settings.start_timeout, mine.log
    )
    if mine.settings.discovery_file:
        from member_entrypoint.cluster import discovery

        discovery.prepare_file(mine)
    known = facts.read_facts(mine)
    plan = decide(known)
    if plan is Plan.EXAMINE:
        from member_entrypoint.cluster import membership

        nodes = membership.read_schema_nodes(mine)
        plan = decide(known._replace(schema_nodes=nodes))
    target = mine.role.target or ""
    if plan is Plan.MEMBER:
        write_marker(mine.places, mine.node, Marker.JOINED, target)
    elif plan is Plan.REFUSE:
        raise ClusteringError(
            f"Failed clustering {mine.node} with {target}: this node has data of its own in "
            f"{mine.places.mnesia(mine.node)}, which joining would delete; set "
            "JOIN_DISCARDS_DATA=true to let it, or JOIN_CLUSTER=false to run it alone, or give "
            "it an empty volume"
        )
    elif plan is Plan.START_CLUSTER:
        from member_entrypoint.cluster import new_cluster

        found = new_cluster.find_existing_cluster(mine, deadline)
        if found:
            _prepare_to_join(mine, found, deadline)
        else:
            forget_marker(mine.places, mine.node)
    elif plan is Plan.JOIN:
        _prepare_to_join(mine, target, deadline)


def _prepare_to_join(mine: Member, target: str, deadline: float) -> None:
    """Wait until `target` can be joined, and note that what is on our disk is nobody's data."""
    from member_entrypoint.cluster import joining

    mine.log.info(f"MongooseIM node {mine.node} joining {target}")
    joining.wait_until_joinable(mine, target, deadline)
    # Before the others forget us: whoever starts after a crash in between knows whom to join.
    write_marker(mine.places, mine.node, Marker.JOINING, target)
    if not has_schema(mine.places, mine.node):
        joining.remove_stale_entry(mine, target, deadline)


def settle(mine: Member, deadline: float) -> None:
    """See the VM started, and the node become what it was told to be, until `deadline`.

    Raises `StartError` or `ClusteringError`; the VM must then be stopped.
    """
    for warning in users.warnings(mine.places):
        mine.log.warning(warning)
    plan = decide(facts.read_facts(mine))
    target = mine.role.target or ""
    has_data = plan is Plan.MEMBER or (plan is Plan.PRIMARY and has_schema(mine.places, mine.node))
    if plan is Plan.START_CLUSTER:
        # `look` has found out whether there is a cluster; the VM may have its schema, or not yet.
        marker, other = read_marker(mine.places, mine.node)
        plan, target = (Plan.JOIN, other) if marker is Marker.JOINING else (Plan.PRIMARY, "")
    if mine.settings.print_config_files_on_start:
        from member_entrypoint.release import masking

        sys.stdout.write(masking.show_files(mine.release.etc))
        sys.stdout.flush()
    if has_data or plan is Plan.JOIN:
        # Now, while there is nothing to do but to wait.
        from member_entrypoint.cluster import joining, membership
    # Asked while the VM boots: once its Mnesia runs, it may have made itself known again.
    member_that_removed_us = membership.find_member_that_removed_us(mine) if has_data else ""
    if member_that_removed_us and not mine.settings.join_discards_data:
        raise membership.removed_error(mine, target)
    _wait_until_started(mine)
    _say_what_it_is(mine, plan)
    if member_that_removed_us and not membership.is_listed_by(mine, member_that_removed_us):
        write_marker(mine.places, mine.node, Marker.JOINING, member_that_removed_us)
        plan, target = Plan.JOIN, member_that_removed_us
    if plan is Plan.PRIMARY:
        mine.log.info(f"Clustered {mine.node} with {mine.node}")
    elif plan is Plan.MEMBER:
        membership.check_membership(mine, target, deadline)
    elif plan is Plan.JOIN:
        joining.join(mine, target, deadline)
        write_marker(mine.places, mine.node, Marker.JOINED, target)
        mine.log.info(f"Clustered {mine.node} with {target}")


def _say_what_it_is(mine: Member, plan: Plan) -> None:
    """Say it when the VM has started: the first line takes 60 ms of CPU, which the VM wants."""
    if plan is Plan.PRIMARY:
        mine.log.info(f"MongooseIM cluster primary node {mine.node}")
    elif plan is Plan.ALONE and mine.settings.join_cluster:
        mine.log.info(
            f"MongooseIM node {mine.node} joins nobody: mongooseim.toml configures CETS and no "
            "Mnesia, which needs no join"
        )
    elif plan is Plan.ALONE:
        mine.log.info(f"MongooseIM node {mine.node} runs alone, as JOIN_CLUSTER=false says")


def leave(mine: Member, deadline: float) -> None:
    """Leave the cluster, so that its members forget this node; raises `ClusteringError`."""
    from member_entrypoint import state
    from member_entrypoint.cluster import leaving

    leaving.leave(mine, deadline)
    write_marker(mine.places, mine.node, Marker.LEFT, "cluster")
    with contextlib.suppress(OSError):
        state.write(mine.places.left_file, "this node has left its cluster")
    mine.log.info(f"MongooseIM node {mine.node} left its cluster")


def _wait_until_started(mine: Member) -> None:
    """Wait for the server's own word in its status file; PID 1 sees to it if the VM dies."""
    began = time.monotonic()
    timeout = mine.settings.start_timeout
    pauses = Pauses(began + timeout)
    look_again, reason = began + MNESIA_INTERVAL, ""
    while mine.release.status() != "started":
        now = time.monotonic()
        if pauses.over():
            raise StartError(
                f"MongooseIM did not start within {timeout:g} s (START_TIMEOUT): its status is "
                f"{mine.release.status() or 'not known'!r}; "
                f"{reason or 'what it waits for stands in the lines above and in its log'}"
            )
        if now >= look_again and mine.erlang.speaks_plain_tcp():
            from member_entrypoint.cluster import membership

            awaited = membership.whom_mnesia_waits_for(mine)
            membership.connect(mine, awaited)
            reason = (
                "Mnesia loads its tables from the node that went down last, which may be "
                f"{' or '.join(awaited)}: start it"
                if awaited
                else ""
            )
            look_again = time.monotonic() + MNESIA_INTERVAL
        if pauses.time_to_speak(reason):
            mine.log.info(
                "waiting for MongooseIM to start",
                node=mine.node,
                status=mine.release.status() or "not known",
                seconds_left=pauses.left(),
                **({"reason": reason} if reason else {}),
            )
        time.sleep(STATUS_INTERVAL)
    mine.log.info("MongooseIM started", node=mine.node, seconds=round(time.monotonic() - began, 1))


def watch(mine: Member, restarts: float) -> None:
    """Watch for partitions until this process is ended; raises `PartitionError`."""
    from member_entrypoint.cluster import partitions

    partitions.watch(mine, int(restarts))


def discover(mine: Member, _: float) -> None:
    """Keep the file of nodes for CETS until this process is ended."""
    from member_entrypoint.cluster import discovery

    discovery.keep_file_current(mine)


TASKS = {"look": look, "settle": settle, "leave": leave, "watch": watch, "discover": discover}


def main() -> int:
    """Do the task that the command line names; return its exit status."""
    task, number, *arguments = sys.argv[1:]
    environment = settings.environment()
    options = settings.read(environment)
    places = Places(options.root)
    try:
        if task == "choose-release":
            from member_entrypoint.release import tarball

            tarball.choose(places)
        elif task == "full-name":
            sys.stdout.write(member.full_name(arguments[0], places) or "")
        else:
            mine = member.describe(environment, member.full_name, rendered=True)
            time.sleep(float(arguments[0]) if arguments else 0.0)
            TASKS[task](mine, float(number))
    except EntrypointError as error:
        Log(options.log_format, options.log_level).error(str(error))
        return error.status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
