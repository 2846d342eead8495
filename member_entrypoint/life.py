"""PID 1 of the member image: the whole life of a member, in order."""

import os
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence

from member_entrypoint import environment as process_environment
from member_entrypoint import settings, state, tasks
from member_entrypoint.cluster import facts, member
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.knowledge import Step
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang import reach
from member_entrypoint.errors import (
    ClusteringError,
    EntrypointError,
    PartitionError,
    TryAgainError,
)
from member_entrypoint.files import users
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.pid1 import limits
from member_entrypoint.pid1.helpers import (
    STOPPED_EARLY,
    Copy,
    Helper,
    StopRequestedError,
    keep_helper,
    run_helper,
    task,
)
from member_entrypoint.pid1.supervisor import STOP_SIGNALS, Supervisor
from member_entrypoint.places import Places
from member_entrypoint.release import given_etc, rendering, server_root, sources
from member_entrypoint.release.active import OF_THE_IMAGE
from member_entrypoint.release.rendering import Rendered

SERVER_ARGUMENTS = ("live", "--noshell", "-noinput", "+Bd")
LEAVE = ["leave"]
NEED_THE_NODE = ("mongooseim", "mongooseimctl")


class Attempt(NamedTuple):
    """A life of the VM: how long it may take to join, and what came before it.

    `deadline` (an instant of `time.monotonic`) is that of JOIN_TIMEOUT; `restarts` is how often the
    VM was restarted after a partition. `again`: not the first life, so a look comes first. `held`:
    the descriptor by which the VM's schema is held.
    """

    deadline: float
    restarts: int = 0
    again: bool = False
    held: int = -1


def main(arguments: Sequence[str]) -> int:
    """Run the server, or the command in `arguments` instead; return the exit status."""
    environment: dict[str, str] = {}
    try:
        supervisor = Supervisor()
        environment = process_environment.variables()
        if list(arguments) == LEAVE:
            return leave_cluster(supervisor, environment)
        if arguments:
            return run_command(supervisor, arguments, environment)
        return run_server(supervisor, environment)
    except EntrypointError as error:
        log = settings.log_of(environment, descriptor=2)
        for line in str(error).splitlines():
            (log.error if error.status else log.info)(line)
        if error.status and str(error):
            tell_kubernetes(arguments, str(error))
        return error.status
    except Exception as error:  # noqa: BLE001 - said as everything else is
        settings.log_of(environment, descriptor=2).unexpected("the entrypoint", error)
        tell_kubernetes(arguments, f"the entrypoint failed: {error!r}")
        return EntrypointError.status


def tell_kubernetes(arguments: Sequence[str], text: str) -> None:
    """Note why the container is about to end, if it ends with this process."""
    if os.getpid() == 1 or not arguments:
        from member_entrypoint.files import termination_log

        termination_log.note(process_environment.own_root(), text)


def leave_cluster(supervisor: Supervisor, environment: MutableMapping[str, str]) -> int:
    """Have the member of this container leave its cluster, as the user that it runs as."""
    chosen = settings.read(environment)
    places = Places(chosen.root)
    user = users.image_user(places)
    if user and users.may_switch_to(user):
        users.drop_root(user, environment, places)
    deadline = time.monotonic() + chosen.stop_timeout
    leave = task("leave", deadline=deadline, elsewhere=True)
    return run_command(supervisor, leave, environment)


def run_command(
    supervisor: Supervisor, words: Sequence[str], environment: MutableMapping[str, str]
) -> int:
    """Run a command instead of the server; the release's own commands find it configured."""
    chosen = settings.read(environment)
    if os.path.basename(words[0]) in NEED_THE_NODE:
        prepare(supervisor, environment, chosen, with_role=False)
    from member_entrypoint.pid1 import command

    return command.run(supervisor, words, environment, chosen.stop_timeout)


def run_server(supervisor: Supervisor, environment: MutableMapping[str, str]) -> int:
    """Run the server; start it again after a failure that a restart fixes."""
    chosen = settings.read(environment)
    limits.check()
    try:
        this, rendered = prepare(supervisor, environment, chosen, with_role=True)
        attempt = Attempt(time.monotonic() + chosen.join_timeout)
        while True:
            if chosen.health_http_port is not None:
                probes = copy(answer_probes, this, environment, attempt)
                helper = Helper(probes, "answers probes over HTTP", chosen.root)
                keep_helper(supervisor, this.log, environment, helper)
            try:
                return live(supervisor, this, environment, attempt)
            except PartitionError:
                note_restart(chosen, "partition")
                deadline = time.monotonic() + chosen.join_timeout
                attempt = Attempt(deadline, attempt.restarts + 1, again=True)
            except TryAgainError:
                if time.monotonic() >= attempt.deadline:
                    raise tried_in_vain(this) from None
                note_restart(chosen, "join")
                this.log.info("starting MongooseIM anew, from the first look on", node=this.node)
                attempt = attempt._replace(again=True)
            from member_entrypoint.files import termination_log

            termination_log.note(chosen.root, "")
            begin_notes(chosen)
            for warning in rendering.write(this.release, this.places, rendered):
                this.log.warning(warning)
    except EntrypointError:
        supervisor.end_all(time.monotonic())
        raise


def tried_in_vain(this: Member) -> ClusteringError:
    """Return the error of a member that was started again and again, for JOIN_TIMEOUT."""
    return ClusteringError(
        f"Failed clustering {this.node} with {this.role.target or 'its cluster'}: tried for "
        f"JOIN_TIMEOUT ({this.settings.join_timeout:g} s); the reasons stand above"
    )


def note_restart(chosen: settings.Settings, reason: str) -> None:
    """Count a restart of the VM, and the time in the state before it."""
    from member_entrypoint import counts  # no start needs it

    counts.add(chosen.root, counts.RESTARTS + reason)
    counts.enter_state(chosen.root, state.WAITING)


def begin_notes(chosen: settings.Settings) -> None:
    """Note for probes that a life begins; remove earlier notes. Raises `ConfigurationError`."""
    try:
        state.begin(chosen.root, chosen.health_port)
    except OSError as error:
        raise sources.unusable_error(str(error.filename), "written", error) from None


def live(
    supervisor: Supervisor, this: Member, environment: Mapping[str, str], attempt: Attempt
) -> int:
    """Look, start the VM, serve, stop; return the exit status."""
    chosen = this.settings
    known = facts.read_known(this, schema=False)
    waits = decide(known).step is not Step.RUN
    if known.alone:
        facts.forget_unfinished(this.places, this.node, known.record)
    if waits or attempt.again or chosen.wait_for or chosen.discovery_file:
        run_helper(supervisor, copy(look, this, environment, attempt), environment)
    if chosen.bootstrap_enabled:
        bootstrap = [this.release.control_script, "bootstrap"]
        before = given_etc.contents(this.release)
        try:
            run_helper(supervisor, bootstrap, environment, grace=chosen.stop_timeout)
        finally:
            # What scripts that failed have written is no configuration of the next start.
            rendering.take_in(this.release, this.places, before)
    if supervisor.is_asked_for(STOP_SIGNALS):
        raise StopRequestedError(STOPPED_EARLY)
    if known.has_schema and not known.alone:
        from member_entrypoint.files import hold

        held = hold.hold(facts.schema_file(this.places, this.node))
        attempt = attempt._replace(held=held)
    vm = supervisor.spawn([this.release.start_script, *SERVER_ARGUMENTS], environment)
    # The VM boots: what is only needed from now on is imported now.
    from member_entrypoint.pid1.service import Service

    helpers = []
    if chosen.discovery_file:
        keeps = copy(discover, this, environment, attempt)
        helpers.append(Helper(keeps, f"keeps {chosen.discovery_file}", chosen.root))
    if not known.alone:
        watches = copy(watch, this, environment, attempt)
        helpers.append(Helper(watches, "watches for partitions", chosen.root))
    service = Service(supervisor, this, vm, environment, helpers)
    return service.run(copy(settle, this, environment, attempt), attempt.held)


def look(this: Member, attempt: Attempt) -> None:
    """Do what must come before the VM; as for `starting.look`."""
    from member_entrypoint import starting  # PID 1 needs none of what helpers import

    starting.look(this, attempt.deadline, again=attempt.again)


def settle(this: Member, attempt: Attempt) -> None:
    """See the node become what it should be; as for `starting.settle`."""
    from member_entrypoint import starting

    starting.settle(this, attempt.deadline, attempt.held)


def watch(this: Member, attempt: Attempt) -> None:
    """Watch for partitions until this process is ended; raises `PartitionError`."""
    from member_entrypoint.cluster import partitions

    partitions.watch(this, attempt.restarts)


def discover(this: Member, _attempt: Attempt) -> None:
    """Keep the file of nodes for CETS in step with DNS until this process is ended."""
    from member_entrypoint.cluster import discovery

    discovery.keep_file_current(this)


def answer_probes(this: Member, _attempt: Attempt) -> None:
    """Answer probes over HTTP until this process is ended."""
    from member_entrypoint.health import http_server

    http_server.run(this.settings)


def copy(
    does: Callable[[Member, Attempt], None],
    this: Member,
    environment: Mapping[str, str],
    attempt: Attempt,
) -> Copy:
    """Return the helper, a copy of this process, that does one of the above."""
    name = does.__name__.replace("_", "-")
    return Copy(name, lambda: tasks.finish(name, environment, lambda: does(this, attempt)))


def prepare(
    supervisor: Supervisor,
    environment: MutableMapping[str, str],
    chosen: settings.Settings,
    *,
    with_role: bool,
) -> tuple[Member, Rendered]:
    """Derive who this node is; write the configuration that its release will read.

    Root reads the sources, and drops root before it writes; `environment` is then that of the other
    user. Returns the member and what was written for its server.
    """

    def full_name(host: str, places: Places) -> str | None:
        known = member.known_full_name(host, places)
        ask = task("full-name", host=host)
        return known or run_helper(supervisor, ask, environment, capture=True).strip() or None

    places = Places(chosen.root)
    if os.path.exists(places.tarball) or places.release_name not in {"", OF_THE_IMAGE}:
        run_helper(supervisor, task("choose-release"), environment)
    this = member.describe(environment, full_name, with_role=with_role)
    if with_role:
        facts.refuse_data_of_another_node(this.places, this.node, this.settings.node_renamed)
    warnings = server_root.bring_up_to_date(this.release.root, places)
    warnings += given_etc.unseen(this.release, places)
    warnings += given_etc.changes(this.release, places)
    rendered = rendering.render(this.release, this.places, this.settings, this.node)
    if sources.exists(places.member, "hosts"):
        from member_entrypoint.network import hosts_file

        hosts_file.add_hosts(places)
    drop_root(supervisor, environment, places)
    if with_role:
        begin_notes(this.settings)
        users.check_data_writable(places, this.node)
    given_etc.show(this.release, places, rendered.files)
    warnings += rendering.write(this.release, places, rendered)
    if with_role and not this.is_alone:
        reach.refuse_unreachable(this.release, this.settings, this.node)
    for warning in warnings:
        this.log.warning(warning)
    return this, rendered


def drop_root(
    supervisor: Supervisor, environment: MutableMapping[str, str], places: Places
) -> None:
    """Switch from root to the image's user, if permitted; that user owns the folders then."""
    user = users.image_user(places)
    if user is None or not users.may_switch_to(user):
        return
    for _ in users.change_owner((places.data, places.log, places.run), user, places):
        if supervisor.is_asked_for(STOP_SIGNALS):
            raise StopRequestedError(STOPPED_EARLY)
    users.drop_root(user, environment, places)
