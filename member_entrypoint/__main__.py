"""PID 1 of the member image: the whole life of a member, in order."""

import os
import signal
import sys
import time
from collections.abc import Mapping, MutableMapping, Sequence

from member_entrypoint import configuration, init, member, settings, state, users
from member_entrypoint.cluster import (
    Plan,
    decide,
    has_schema,
    other_nodes_on_disk,
    waits_before_start,
)
from member_entrypoint.errors import (
    ClusteringError,
    ConfigurationError,
    EntrypointError,
    PartitionError,
    RemovedError,
    StartError,
    TryAgainError,
)
from member_entrypoint.log import Log
from member_entrypoint.member import Member
from member_entrypoint.release import OF_THE_IMAGE, Places
from member_entrypoint.supervisor import Ended, Supervisor, signal_name

SERVER_ARGUMENTS = ("live", "--noshell", "-noinput", "+Bd")
LEAVE = ["leave"]
NEED_THE_NODE = ("mongooseim", "mongooseimctl")
INTERNAL_ERROR = 70
TELL_AGAIN = 0.25
STOPPING_TAKES = 10.0
LONGEST_PAUSE = 60.0
EPMD_PORT = "4369"
PARTITIONED = PartitionError.status
# What our own helpers end with once they have said why.
EXPLAINED = {
    error.status
    for error in (
        ClusteringError,
        ConfigurationError,
        PartitionError,
        RemovedError,
        StartError,
        TryAgainError,
    )
}
START_ANEW = {error.status: error for error in (TryAgainError, PartitionError)}


class HelperFailedError(EntrypointError):
    """A helper ended badly; the status of the whole program is what it ended with."""

    def __init__(self, command: Sequence[str], ended: Ended) -> None:
        """Take what was run and how it ended; the text is empty if the helper has said why."""
        ours = command[0] == sys.executable
        explained = ours and ended.code in EXPLAINED
        name = " ".join(command[2 if ours else 0 :])
        super().__init__("" if explained else f"{name} failed: {ended.how}")
        self.status = ended.code if ended.code < 128 else INTERNAL_ERROR  # noqa: PLR2004


STOPPED_EARLY = "stopped before MongooseIM was started"


class StopRequestedError(EntrypointError):
    """A stop was asked for when there was no VM yet."""

    status = 0


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
            return run_command(supervisor, _worker("leave", deadline), environment)
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
                command = [sys.executable, "-I", "-m", "member_entrypoint.health_http"]
                accompany(supervisor, mine, environment, command, "answers probes over HTTP")
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
            configuration.write(mine.release, mine.places, files)
    except EntrypointError:
        supervisor.end_all(time.monotonic())
        raise


def begin_to_note(options: settings.Settings) -> None:
    """Note for probes that a life begins, and forget the one before; raise `ConfigurationError`."""
    try:
        state.begin(options.root, options.health_port)
    except OSError as error:
        raise configuration.unusable(str(error.filename), "written", error) from None


def accompany(  # noqa: PLR0913 - what there is to say about a helper
    supervisor: Supervisor,
    mine: Member,
    environment: Mapping[str, str],
    command: Sequence[str],
    purpose: str,
    *,
    pause: float = 0.0,
) -> None:
    """Run a helper beside the server, which begins its work after `pause` seconds.

    When it fails, another one takes its place; the server does not depend on it.
    """
    began = time.monotonic()

    def again(ended: Ended) -> bool:
        if ended.code == PARTITIONED:
            return False
        if ended.status != 0:
            lived = time.monotonic() - began - pause
            longer = 0.0 if lived > LONGEST_PAUSE else min(max(1.0, 2 * pause), LONGEST_PAUSE)
            text = f"what {purpose} has ended, starting it anew"
            mine.log.warning(text, how=ended.how, after_seconds=longer)
            accompany(supervisor, mine, environment, command, purpose, pause=longer)
        return True

    try:
        supervisor.spawn([*command, str(pause)], environment, on_end=again)
    except EntrypointError as error:
        mine.log.error(f"nothing {purpose}: {error}")


def live(
    supervisor: Supervisor,
    mine: Member,
    environment: Mapping[str, str],
    deadline: float,
    restarts: int,
) -> int:
    """Look, start the VM, serve, stop."""
    options = mine.settings
    plan = decide(member.facts(mine))
    if options.wait_for or options.discovery_file or waits_before_start(plan):
        run_helper(supervisor, _worker("look", deadline), environment)
    if mine.settings.bootstrap_enabled:
        command = [mine.release.control_script, "bootstrap"]
        run_helper(supervisor, command, environment, grace=mine.settings.stop_timeout)
    if supervisor.is_asked_for(init.STOP_SIGNALS):
        raise StopRequestedError(STOPPED_EARLY)
    vm = supervisor.spawn([mine.release.start_script, *SERVER_ARGUMENTS], environment)
    companions = []
    if options.discovery_file:
        companions.append((_worker("discover", 0.0), f"keeps {options.discovery_file}"))
    if plan is not Plan.ALONE:
        companions.append((_worker("watch", restarts), "watches for partitions"))
    service = Service(supervisor, mine, vm, environment, companions)
    return service.run(_worker("settle", deadline))


def prepare(
    supervisor: Supervisor, environment: MutableMapping[str, str], *, with_role: bool
) -> tuple[Member, dict[str, bytes]]:
    """Find out who this node is, and write the configuration that its release will read.

    Root reads it, and is root no more when it is written; `environment` is then the other user's.
    Returns the member and the content of these files.
    """

    def full_name(host: str, places: Places) -> str | None:
        known = member.known_full_name(host, places)
        command = [*_worker("full-name", 0.0), host]
        return known or run_helper(supervisor, command, environment, capture=True).strip() or None

    places = Places(settings.read(environment).root)
    if os.path.exists(places.tarball) or places.release_name not in {"", OF_THE_IMAGE}:
        run_helper(supervisor, _worker("choose-release", 0.0), environment)
    mine = member.describe(environment, full_name, with_role=with_role)
    if with_role:
        refuse_another_nodes_data(mine)
    files = configuration.render(mine.release, mine.places, mine.settings, mine.node)
    configuration.add_hosts(places)
    give_way(supervisor, environment, places)
    if with_role:
        users.see_that_data_can_be_written(places, mine.node)
    configuration.write(mine.release, places, files)
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


def _worker(task: str, number: float) -> list[str]:
    return [sys.executable, "-I", "-m", "member_entrypoint.worker", task, str(number)]


def run_helper(
    supervisor: Supervisor,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    capture: bool = False,
    grace: float = 0.0,
) -> str:
    """Run a helper to its end, and return what it printed if that is to be captured.

    Raises `HelperFailedError` if it fails, `StopRequestedError` if a stop is asked for: at once, or
    when it has ended after SIGTERM, for which it has `grace` seconds.
    """
    reading, writing = os.pipe() if capture else (-1, -1)
    helper = supervisor.spawn(command, environment, output=writing if capture else None)
    if capture:
        os.close(writing)
    while True:
        event = supervisor.wait()
        if isinstance(event, Ended) and event.pid == helper:
            break
        if event in init.STOP_SIGNALS:
            deadline = time.monotonic() + grace
            if grace:
                # Itself and what it runs now, but not what it starts to clean up after itself.
                supervisor.send(signal.SIGTERM, helper, group=True)
                supervisor.wait_for(helper, deadline)
            supervisor.end_all(deadline)
            raise StopRequestedError(STOPPED_EARLY)
    if event.status != 0:
        raise HelperFailedError(command, event)
    if not capture:
        return ""
    with open(reading, encoding="utf-8", errors="replace") as file:
        return file.read()


class Service:
    """A VM that serves, and how it comes to its end."""

    def __init__(
        self,
        supervisor: Supervisor,
        mine: Member,
        vm: int,
        environment: Mapping[str, str],
        companions: Sequence[tuple[Sequence[str], str]],
    ) -> None:
        """Take over a VM that was just started.

        `companions` are the commands of helpers to run while it serves, each with its purpose.
        """
        self._supervisor = supervisor
        self._mine = mine
        self._vm = vm
        self._environment = environment
        self._companions = companions
        self._began = time.monotonic()

    def run(self, settle: Sequence[str]) -> int:
        """Serve until the VM ends or is to be stopped; return the exit status.

        `settle` is the command of the helper that sees the node become what it should be. Whatever
        goes wrong in here, the VM is stopped before this ends.
        """
        helper = None
        try:
            self._note(state.STARTING)
            helper = self._supervisor.spawn(settle, self._environment)
            return self._serve(helper, settle)
        except (TryAgainError, PartitionError):
            raise
        except Exception as error:  # noqa: BLE001 - PID 1 never leaves a VM behind
            self._give_up(helper, error)
            return INTERNAL_ERROR

    def _serve(self, helper: int, settle: Sequence[str]) -> int:
        while True:
            event = self._supervisor.wait()
            if isinstance(event, Ended):
                if event.pid == self._vm:
                    return self._ended_by_itself(event, helper)
                if event.status != 0 and (event.pid == helper or event.code == PARTITIONED):
                    return self._failed(HelperFailedError(settle, event), helper)
                if event.pid == helper:
                    self._note(state.SERVING)
                    self._accompany()
            elif event in init.STOP_SIGNALS:
                deadline = time.monotonic() + self._mine.settings.stop_timeout
                if self._mine.settings.leave_cluster_on_stop:
                    helper = self._leave(helper, deadline)
                return self._stop(helper, signal_name(event), deadline)
            elif event == signal.SIGUSR1:
                self._supervisor.send(signal.SIGUSR1, self._vm)

    def _accompany(self) -> None:
        """Start what runs beside a server that has settled."""
        for command, purpose in self._companions:
            accompany(self._supervisor, self._mine, self._environment, command, purpose)

    def _note(self, word: str) -> None:
        """Tell probes where the member is in its life; that it cannot be told stops nothing."""
        options = self._mine.settings
        epmd_port = self._environment.get("ERL_EPMD_PORT", "")
        port = epmd_port if epmd_port.isdecimal() else EPMD_PORT
        node = (self._mine.node, self._mine.release.carrier(), port)
        try:
            state.note_processes(options.root, options.health_port, vm=self._vm, node=node)
            state.write(self._mine.places.state_file, word)
        except OSError as error:
            self._mine.log.warning(f"probes cannot be told that it is {word}", reason=str(error))

    def _failed(self, error: HelperFailedError, helper: int) -> int:
        """Stop a VM that did not become what it should be, unless that is because it ended."""
        ended = self._supervisor.wait_for(self._vm, time.monotonic())
        if ended is not None:
            return self._ended_by_itself(ended, helper)
        if str(error):
            self._mine.log.error(str(error))
        if error.status == RemovedError.status:
            # Before its Mnesia makes it known again to the members that removed it.
            self._supervisor.send(signal.SIGKILL, self._vm)
        self._stop(helper, "the failure above")
        if self._supervisor.is_asked_for(init.STOP_SIGNALS):
            return 0
        if error.status in START_ANEW:
            raise START_ANEW[error.status]
        return ClusteringError.status if error.status == RemovedError.status else error.status

    def _leave(self, helper: int, deadline: float) -> int:
        """Have the node leave its cluster, in the time that the stop itself does not need.

        Returns the helper's pid, which may still run when that time is over. That the node could
        not leave is said by the helper, and keeps nobody from stopping it.
        """
        self._note(state.STOPPING)
        timeout = self._mine.settings.stop_timeout
        until = deadline - min(STOPPING_TAKES, timeout / 2)
        self._supervisor.send(signal.SIGKILL, helper, group=True)
        leaving = self._supervisor.spawn(_worker("leave", until), self._environment)
        if self._supervisor.wait_for(leaving, until) is None:
            self._mine.log.warning("leaving the cluster takes too long, stopping all the same")
        return leaving

    def _stop(self, helper: int | None, asked_by: str, deadline: float | None = None) -> int:
        """Stop the VM and all that it leaves behind within STOP_TIMEOUT; return the status."""
        self._note(state.STOPPING)
        timeout = self._mine.settings.stop_timeout
        if deadline is None:
            deadline = time.monotonic() + timeout
        heard = self._can_hear()
        self._supervisor.send(signal.SIGTERM, self._vm)
        if helper is not None:
            self._supervisor.send(signal.SIGKILL, helper, group=True)
        self._mine.log.info("stopping MongooseIM", asked_by=asked_by, node=self._mine.node)
        self._supervisor.prepare_to_end()
        ended = None
        while ended is None and time.monotonic() < deadline:
            pause = timeout if heard else TELL_AGAIN
            ended = self._supervisor.wait_for(self._vm, min(deadline, time.monotonic() + pause))
            if not heard:
                heard = self._can_hear()
                self._supervisor.send(signal.SIGTERM, self._vm)
        self._supervisor.end_all(deadline)
        status = 0
        if ended is None:
            status = init.KILLED
            ended = self._supervisor.wait_for(self._vm, deadline)
            text = "MongooseIM did not stop within STOP_TIMEOUT and was killed"
            self._mine.log.error(text, seconds=timeout)
        self._last_line(ended, asked_by)
        return status

    def _can_hear(self) -> bool:
        """Tell whether the VM is known to take a SIGTERM, and not to drop it.

        From 20 to 250 ms after its exec it drops them (seen with OTP 27): its handlers are there,
        and the process `erl_signal_server` that they tell is not. It is, when the server writes
        its status file.
        """
        return bool(self._mine.release.status())

    def _give_up(self, helper: int | None, error: Exception) -> None:
        """Stop the VM after an error of our own; kill it if even that fails."""
        try:
            self._mine.log.error(f"the entrypoint failed, stopping MongooseIM: {error!r}")
            self._stop(helper, "an error")
        except Exception:  # noqa: BLE001 - as above
            self._supervisor.send(signal.SIGKILL, self._vm)

    def _ended_by_itself(self, ended: Ended, helper: int) -> int:
        self._note(state.STOPPING)
        self._supervisor.send(signal.SIGKILL, helper, group=True)
        self._supervisor.end_all(time.monotonic() + self._mine.settings.stop_timeout)
        self._last_line(ended, "nobody")
        return ended.code

    def _last_line(self, ended: Ended | None, asked_by: str) -> None:
        self._mine.log.info(
            "MongooseIM ended",
            node=self._mine.node,
            how=ended.how if ended else "not at all, it could not be killed",
            asked_by=asked_by,
            after_seconds=round(time.monotonic() - self._began, 1),
            peak_memory_mib=round(ended.peak_kib / 1024) if ended else None,
        )


if __name__ == "__main__":
    raise SystemExit(main())
