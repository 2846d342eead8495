"""PID 1 of the member image: the whole life of a member, in order."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from member_entrypoint import configuration, init, member, settings
from member_entrypoint.cluster import decide, waits_before_start
from member_entrypoint.errors import ClusteringError, EntrypointError, TryAgainError
from member_entrypoint.log import Log
from member_entrypoint.member import Member
from member_entrypoint.release import OF_THE_IMAGE, Places
from member_entrypoint.supervisor import AFTER_KILL, Ended, Supervisor, send, signal_name

SERVER_ARGUMENTS = ("live", "--noshell", "-noinput", "+Bd")
NEED_THE_NODE = ("mongooseim", "mongooseimctl")
KILLED = 137
INTERNAL_ERROR = 70


class HelperFailedError(EntrypointError):
    """A helper ended badly and said why; the status is what it ended with."""

    def __init__(self, status: int) -> None:
        """Take the status that the whole program is to end with."""
        super().__init__()
        self.status = status


class StopRequestedError(EntrypointError):
    """A stop was asked for when there was no VM yet."""

    status = 0


def main() -> int:
    """Run the server, or the command that was given instead; return the exit status."""
    supervisor = Supervisor()
    environment = settings.environment()
    command = sys.argv[1:]
    try:
        if command:
            return run_command(supervisor, command, environment)
        return run_server(supervisor, environment)
    except EntrypointError as error:
        for line in str(error).splitlines():
            Log(descriptor=2).error(line)
        return error.status


def run_command(
    supervisor: Supervisor, command: Sequence[str], environment: Mapping[str, str]
) -> int:
    """Run a command instead of the server, prepared for it if it is one of the release's own."""
    options = settings.read(environment)
    if os.path.basename(command[0]) in NEED_THE_NODE:
        prepare(supervisor, environment, with_role=False)
    return init.run(supervisor, command, environment, options.stop_timeout)


def run_server(supervisor: Supervisor, environment: Mapping[str, str]) -> int:
    """Live the life of a member; once more, if a join failed that a new start can mend."""
    mine = prepare(supervisor, environment, with_role=True)
    deadline = time.monotonic() + mine.settings.join_timeout
    while True:
        try:
            return live(supervisor, mine, environment, deadline)
        except TryAgainError:
            if supervisor.passed_over & init.STOP_SIGNALS:
                return 0
            if time.monotonic() >= deadline:
                raise ClusteringError(
                    f"Failed clustering {mine.node} with {mine.role.target}: tried for "
                    f"JOIN_TIMEOUT ({mine.settings.join_timeout:g} s); the reasons stand above"
                ) from None
            mine.log.info("starting MongooseIM anew, to join from there", node=mine.node)
            configuration.write(mine.release, mine.places, mine.settings, mine.node)


def live(
    supervisor: Supervisor, mine: Member, environment: Mapping[str, str], deadline: float
) -> int:
    """Look, start the VM, serve, stop."""
    if mine.settings.wait_for or waits_before_start(decide(member.facts(mine))):
        run_helper(supervisor, _worker("look", deadline), environment)
    if mine.settings.bootstrap_enabled:
        run_helper(supervisor, [mine.release.control_script, "bootstrap"], environment)
    vm = supervisor.spawn([mine.release.start_script, *SERVER_ARGUMENTS], environment)
    return Service(supervisor, mine, vm).run(_worker("settle", deadline), environment)


def prepare(supervisor: Supervisor, environment: Mapping[str, str], *, with_role: bool) -> Member:
    """Find out who this node is, and write the configuration that its release will read."""

    def full_name(host: str, places: Places) -> str | None:
        known = member.known_full_name(host, places)
        command = [*_worker("full-name", 0.0), host]
        return known or run_helper(supervisor, command, environment, capture=True).strip() or None

    places = Places(settings.read(environment).root)
    if os.path.exists(places.tarball) or places.release_name not in {"", OF_THE_IMAGE}:
        run_helper(supervisor, _worker("choose-release", 0.0), environment)
    mine = member.describe(environment, full_name, with_role=with_role)
    configuration.write(mine.release, mine.places, mine.settings, mine.node)
    return mine


def _worker(task: str, deadline: float) -> list[str]:
    return [sys.executable, "-I", "-m", "member_entrypoint.worker", task, str(deadline)]


def run_helper(
    supervisor: Supervisor,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    capture: bool = False,
) -> str:
    """Run a helper to its end, and return what it printed if that is to be captured.

    Raises `HelperFailedError` if it fails, `StopRequestedError` as soon as a stop is asked for.
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
            supervisor.end_group(helper)
            supervisor.end_all(time.monotonic())
            raise StopRequestedError("stopped before MongooseIM was started")
    if event.status != 0:
        raise HelperFailedError(event.code if event.code < 128 else INTERNAL_ERROR)  # noqa: PLR2004
    if not capture:
        return ""
    with open(reading, encoding="utf-8", errors="replace") as file:
        return file.read()


class Service:
    """A VM that serves, and how it comes to its end."""

    def __init__(self, supervisor: Supervisor, mine: Member, vm: int) -> None:
        """Take over a VM that was just started."""
        self._supervisor = supervisor
        self._mine = mine
        self._vm = vm
        self._began = time.monotonic()

    def run(self, settle: Sequence[str], environment: Mapping[str, str]) -> int:
        """Serve until the VM ends or is to be stopped; return the exit status.

        `settle` is the command of the helper that sees the node become what it should be. Whatever
        goes wrong in here, the VM is stopped before this ends.
        """
        helper = None
        try:
            helper = self._supervisor.spawn(settle, environment)
            return self._serve(helper)
        except TryAgainError:
            raise
        except Exception as error:  # noqa: BLE001 - PID 1 never leaves a VM behind
            self._mine.log.error(f"the entrypoint failed, stopping MongooseIM: {error!r}")
            self._stop(helper, time.monotonic())
            return INTERNAL_ERROR

    def _serve(self, helper: int) -> int:
        while True:
            event = self._supervisor.wait()
            if isinstance(event, Ended):
                if event.pid == self._vm:
                    return self._ended_by_itself(event, helper)
                if event.pid == helper and event.status != 0:
                    self._stop(helper, time.monotonic(), "the failure above")
                    if event.code == TryAgainError.status:
                        raise TryAgainError
                    return event.code if event.code < 128 else INTERNAL_ERROR  # noqa: PLR2004
            elif event in init.STOP_SIGNALS:
                return self._stop(helper, time.monotonic(), signal_name(event))
            elif event == signal.SIGUSR1:
                send(signal.SIGUSR1, self._vm)

    def _stop(self, helper: int | None, began: float, asked_by: str = "an error") -> int:
        """Stop the VM and all that it leaves behind within STOP_TIMEOUT; return the status."""
        deadline = began + self._mine.settings.stop_timeout
        if helper is not None:
            self._supervisor.end_group(helper)
        send(signal.SIGTERM, self._vm)
        self._mine.log.info("stopping MongooseIM", asked_by=asked_by, node=self._mine.node)
        ended = self._supervisor.wait_for(self._vm, deadline)
        if ended is None:
            self._mine.log.error(
                "MongooseIM did not stop within STOP_TIMEOUT, killing it",
                seconds=self._mine.settings.stop_timeout,
            )
            send(signal.SIGKILL, self._vm)
            killed = self._supervisor.wait_for(self._vm, time.monotonic() + AFTER_KILL)
            self._supervisor.end_all(deadline)
            self._last_line(killed, asked_by)
            return KILLED
        self._supervisor.end_all(deadline)
        self._last_line(ended, asked_by)
        return 0

    def _ended_by_itself(self, ended: Ended, helper: int) -> int:
        self._supervisor.end_group(helper)
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
