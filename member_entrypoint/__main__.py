"""PID 1 of the member image: the whole life of a member, in order."""

import os
import sys
import time
from collections.abc import Mapping, MutableMapping, Sequence

from member_entrypoint import settings, state
from member_entrypoint.cluster import facts, member
from member_entrypoint.cluster.decision import Plan, decide, waits_before_start
from member_entrypoint.cluster.facts import has_schema, other_nodes_on_disk
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import (
    ClusteringError,
    ConfigurationError,
    EntrypointError,
    PartitionError,
    TryAgainError,
)
from member_entrypoint.files import users
from member_entrypoint.log import Log
from member_entrypoint.pid1 import init
from member_entrypoint.pid1.helpers import (
    STOPPED_EARLY,
    StopRequestedError,
    accompany,
    run_helper,
    worker,
)
from member_entrypoint.pid1.service import Service
from member_entrypoint.pid1.supervisor import Supervisor
from member_entrypoint.release import rendering
from member_entrypoint.release.active import OF_THE_IMAGE, Places

SERVER_ARGUMENTS = ("live", "--noshell", "-noinput", "+Bd")
LEAVE = ["leave"]
NEED_THE_NODE = ("mongooseim", "mongooseimctl")


def main() -> int:
    """Run the server, or the command that was given instead; return the exit status."""
    supervisor = Supervisor()
    environment = settings.environment()
    command = sys.argv[1:]
    try:
        if command == LEAVE:
            options = settings.read(environment)
            deadline = time.monotonic() + options.stop_timeout
            places = Places(options.root)
            user = users.of_the_member(places)
            if user and users.can_become(user):
                users.become(user, environment, places)
            return run_command(supervisor, worker("leave", deadline), environment)
        if command:
            return run_command(supervisor, command, environment)
        return run_server(supervisor, environment)
    except EntrypointError as error:
        log = Log.asked_for(environment, descriptor=2)
        for line in str(error).splitlines():
            (log.error if error.status else log.info)(line)
        return error.status


def run_command(
    supervisor: Supervisor, command: Sequence[str], environment: MutableMapping[str, str]
) -> int:
    """Run a command instead of the server, prepared for it if it is one of the release's own."""
    options = settings.read(environment)
    if os.path.basename(command[0]) in NEED_THE_NODE:
        prepare(supervisor, environment, with_role=False)
    return init.run(supervisor, command, environment, options.stop_timeout)


def run_server(supervisor: Supervisor, environment: MutableMapping[str, str]) -> int:
    """Live the life of a member; once more, where a new start mends what failed."""
    options = settings.read(environment)
    begin_to_note(options)
    try:
        mine, files = prepare(supervisor, environment, with_role=True)
        deadline = time.monotonic() + options.join_timeout
        restarts = 0
        while True:
            if options.health_http_port is not None:
                command = [sys.executable, "-I", "-m", "member_entrypoint.health.http_server"]
                accompany(supervisor, mine.log, environment, command, "answers probes over HTTP")
            try:
                return live(supervisor, mine, environment, deadline, restarts)
            except PartitionError:
                restarts += 1
                deadline = time.monotonic() + options.join_timeout
            except TryAgainError:
                if time.monotonic() >= deadline:
                    raise ClusteringError(
                        f"Failed clustering {mine.node} with {mine.role.target}: tried for "
                        f"JOIN_TIMEOUT ({options.join_timeout:g} s); the reasons stand above"
                    ) from None
                mine.log.info("starting MongooseIM anew, to join from there", node=mine.node)
            begin_to_note(options)
            rendering.write(mine.release, mine.places, files)
    except EntrypointError:
        supervisor.end_all(time.monotonic())
        raise


def begin_to_note(options: settings.Settings) -> None:
    """Note for probes that a life begins, and forget the one before; raise `ConfigurationError`."""
    try:
        state.begin(options.root, options.health_port)
    except OSError as error:
        raise rendering.unusable(str(error.filename), "written", error) from None


def live(
    supervisor: Supervisor,
    mine: Member,
    environment: Mapping[str, str],
    deadline: float,
    restarts: int,
) -> int:
    """Look, start the VM, serve, stop."""
    options = mine.settings
    plan = decide(facts.read_facts(mine))
    if options.wait_for or options.discovery_file or waits_before_start(plan):
        run_helper(supervisor, worker("look", deadline), environment)
    if mine.settings.bootstrap_enabled:
        command = [mine.release.control_script, "bootstrap"]
        run_helper(supervisor, command, environment, grace=mine.settings.stop_timeout)
    if supervisor.is_asked_for(init.STOP_SIGNALS):
        raise StopRequestedError(STOPPED_EARLY)
    vm = supervisor.spawn([mine.release.start_script, *SERVER_ARGUMENTS], environment)
    companions = []
    if options.discovery_file:
        companions.append((worker("discover", 0.0), f"keeps {options.discovery_file}"))
    if plan is not Plan.ALONE:
        companions.append((worker("watch", restarts), "watches for partitions"))
    service = Service(supervisor, mine, vm, environment, companions)
    return service.run(worker("settle", deadline))


def prepare(
    supervisor: Supervisor, environment: MutableMapping[str, str], *, with_role: bool
) -> tuple[Member, dict[str, bytes]]:
    """Find out who this node is, and write the configuration that its release will read.

    Root reads it, and is root no more when it is written; `environment` is then the other user's.
    Returns the member and the content of these files.
    """

    def full_name(host: str, places: Places) -> str | None:
        known = member.known_full_name(host, places)
        command = [*worker("full-name", 0.0), host]
        return known or run_helper(supervisor, command, environment, capture=True).strip() or None

    places = Places(settings.read(environment).root)
    if os.path.exists(places.tarball) or places.release_name not in {"", OF_THE_IMAGE}:
        run_helper(supervisor, worker("choose-release", 0.0), environment)
    mine = member.describe(environment, full_name, with_role=with_role)
    if with_role:
        refuse_another_nodes_data(mine)
    files = rendering.render(mine.release, mine.places, mine.settings, mine.node)
    rendering.add_hosts(places)
    give_way(supervisor, environment, places)
    if with_role:
        users.see_that_data_can_be_written(places, mine.node)
    rendering.write(mine.release, places, files)
    return mine, files


def give_way(supervisor: Supervisor, environment: MutableMapping[str, str], places: Places) -> None:
    """Be the image's user from now on, if this is root and may; the folders become that user's."""
    user = users.of_the_image(places)
    if user is None or not users.can_become(user):
        return
    for _ in users.give((places.data, places.log, places.run), user):
        if supervisor.is_asked_for(init.STOP_SIGNALS):
            raise StopRequestedError(STOPPED_EARLY)
    users.become(user, environment, places)


def refuse_another_nodes_data(mine: Member) -> None:
    """See that the node does not start empty beside the data of another name, unless told to.

    Raises `ConfigurationError` naming both. That is what a changed host name looks like.
    """
    if mine.settings.node_renamed != "refuse" or has_schema(mine.places, mine.node):
        return
    others = other_nodes_on_disk(mine.places)
    if others:
        raise ConfigurationError(
            f"this node is {mine.node}, but the volume {mine.places.data} has the data of "
            f"{', '.join(others)}; give the container its old host name, or set NODE_NAME and "
            "NODE_HOST, or give it another volume, or set NODE_RENAMED=start-empty to start "
            "without these data"
        )


if __name__ == "__main__":
    raise SystemExit(main())
