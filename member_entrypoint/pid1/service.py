"""A VM that serves: its helpers, its notes for probes, its stop and its end."""

import contextlib
import signal
import time
from collections.abc import Mapping, Sequence

from member_entrypoint import counts, state
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang.reach import of_release
from member_entrypoint.errors import (
    ClusteringError,
    EntrypointError,
    PartitionError,
    RemovedError,
    TooEarlyError,
    TryAgainError,
)
from member_entrypoint.files import hold
from member_entrypoint.pid1 import limits
from member_entrypoint.pid1.helpers import (
    EXPLAINED,
    INTERNAL_ERROR,
    PARTITIONED,
    Copy,
    Helper,
    HelperFailedError,
    keep_helper,
    start_helper,
    task,
)
from member_entrypoint.pid1.supervisor import KILLED, STOP_SIGNALS, Ended, Supervisor, signal_name

REPEAT_INTERVAL = 0.25  # seconds between two SIGTERMs to a VM that may drop them
EXPLAINED_WITHIN = 10.0  # seconds
KILLED_BY_SIGNAL = 128  # the lowest exit status of a process that a signal ended, and more
STOPPING_TAKES = 10.0  # seconds of STOP_TIMEOUT that leaving the cluster must not use up
RESTARTED_FOR = {error.status: error for error in (TryAgainError, TooEarlyError, PartitionError)}
KILLED_FOR = {error.status for error in (RemovedError, TooEarlyError)}


class Service:
    """A VM that serves, and how it comes to its end."""

    def __init__(
        self,
        supervisor: Supervisor,
        member: Member,
        vm: int,
        environment: Mapping[str, str],
        helpers: Sequence[Helper],
    ) -> None:
        """Take over a VM that was just started; `helpers` run beside it while it serves."""
        self._supervisor = supervisor
        self._member = member
        self._vm = vm
        self._environment = environment
        self._helpers = helpers
        self._began = time.monotonic()
        self._settled = False
        self._held = hold.NOT_HELD

    def run(self, settle: Copy, held: int) -> int:
        """Serve until the VM ends or is to be stopped; return the exit status.

        `settle` is the helper that sees the node become what it should be, and lets go of the VM's
        schema, held by the descriptor `held`, which is closed in here. Whatever goes wrong, the VM
        is stopped before this ends.
        """
        self._held = held
        helper = None
        try:
            self._note(state.STARTING)
            self._note_beginning()
            helper = start_helper(self._supervisor, settle, self._environment)
            return self._serve(helper, settle)
        except (TryAgainError, PartitionError):
            raise
        except Exception as error:  # noqa: BLE001 - PID 1 never leaves a VM behind
            self._give_up(helper, error)
            return INTERNAL_ERROR
        finally:
            self._close_schema()

    def _close_schema(self) -> None:
        hold.close(self._held)
        self._held = hold.NOT_HELD

    def _serve(self, helper: int, settle: Copy) -> int:
        while True:
            event = self._supervisor.wait()
            if isinstance(event, Ended):
                if event.pid == self._vm:
                    return self._explained(event, helper)
                if event.status != 0 and (event.pid == helper or event.code == PARTITIONED):
                    return self._failed(HelperFailedError(settle, event), helper)
                if event.pid == helper:
                    self._settled = True
                    self._close_schema()  # no helper is to keep it open from now on
                    self._note(state.SERVING)
                    self._start_helpers()
            elif event in STOP_SIGNALS:
                deadline = time.monotonic() + self._member.settings.stop_timeout
                if self._member.settings.leave_cluster_on_stop:
                    helper = self._leave(helper, deadline)
                return self._stop(helper, signal_name(event), deadline)
            elif event == signal.SIGUSR1:
                self._supervisor.send(signal.SIGUSR1, self._vm)

    def _start_helpers(self) -> None:
        """Start the helpers of a server that has settled."""
        for helper in self._helpers:
            keep_helper(self._supervisor, self._member.log, self._environment, helper)

    def _note(self, word: str) -> None:
        """Tell probes where the member is in its life; a failure is logged and stops nothing."""
        member, settings = self._member, self._member.settings
        node = (member.node, *of_release(member.release, settings).for_probes)
        try:
            counts.enter_state(settings.root, word)
            state.note_processes(settings.root, settings.health_port, vm=self._vm, node=node)
            state.note(settings.root, state.STATE_FILE, word)
        except OSError as error:
            member.log.warning(f"probes cannot be told that it is {word}", reason=str(error))

    def _note_beginning(self) -> None:
        """Note how all is before this VM logs something, or is killed for memory."""
        root = self._member.settings.root
        counts.write(root, counts.OOM_KILLS, str(limits.oom_kills()))
        with contextlib.suppress(OSError):
            state.note_logs(root, self._member.places.log_now)

    def _failed(self, error: HelperFailedError, helper: int) -> int:
        """Stop a VM whose start or join failed, unless the VM has already exited."""
        ended = self._supervisor.wait_for(self._vm, time.monotonic())
        if str(error):
            self._say_error(str(error))
        if ended is not None:
            self._end_all(helper)
            self._last_line(ended, "nobody")
            return ended.code
        if error.status in KILLED_FOR:
            # Before its Mnesia makes it known to the others.
            self._supervisor.send(signal.SIGKILL, self._vm)
        self._stop(helper, "the failure above")
        if self._supervisor.is_asked_for(STOP_SIGNALS):
            return 0
        if error.status in RESTARTED_FOR:
            raise RESTARTED_FOR[error.status]
        return ClusteringError.status if error.status == RemovedError.status else error.status

    def _leave(self, helper: int, deadline: float) -> int:
        """Have the node leave its cluster, in the time that the stop itself does not need.

        Returns the helper's pid, which may still run when that time is over. That the node could
        not leave is said by the helper, and keeps nobody from stopping it.
        """
        self._note(state.STOPPING)
        timeout = self._member.settings.stop_timeout
        until = deadline - min(STOPPING_TAKES, timeout / 2)
        self._supervisor.send(signal.SIGKILL, helper, group=True)
        hold.let_go(self._held)  # its Mnesia must run to leave, and nobody else lets it any more
        leaving = self._supervisor.spawn(task("leave", deadline=until), self._environment)
        if self._supervisor.wait_for(leaving, until) is None:
            self._member.log.warning("leaving the cluster takes too long, stopping all the same")
        return leaving

    def _stop(self, helper: int | None, asked_by: str, deadline: float | None = None) -> int:
        """Stop the VM and all that it leaves behind within STOP_TIMEOUT; return the status."""
        self._note(state.STOPPING)
        timeout = self._member.settings.stop_timeout
        if deadline is None:
            deadline = time.monotonic() + timeout
        heard = self._can_hear()
        self._supervisor.send(signal.SIGTERM, self._vm)
        if helper is not None:
            self._supervisor.send(signal.SIGKILL, helper, group=True)
        self._repeat_farewell()
        self._member.log.info("stopping MongooseIM", asked_by=asked_by, node=self._member.node)
        self._supervisor.prepare_to_end()
        ended = None
        while ended is None and time.monotonic() < deadline:
            pause = timeout if heard else REPEAT_INTERVAL
            ended = self._supervisor.wait_for(self._vm, min(deadline, time.monotonic() + pause))
            if not heard:
                heard = self._can_hear()
                self._supervisor.send(signal.SIGTERM, self._vm)
        self._supervisor.end_all(deadline)
        status = 0
        if ended is None:
            ended = self._supervisor.wait_for(self._vm, deadline)
            if ended is None or ended.code == KILLED:  # else we have looked late
                status = KILLED
                self._say_error("MongooseIM did not stop within STOP_TIMEOUT and was killed")
        self._last_line(ended, asked_by)
        return status

    def _repeat_farewell(self) -> None:
        """Log what `member-entrypoint leave` has said: Kubernetes drops the output of a hook."""
        level, _, said = counts.text(self._member.settings.root, counts.LEAVE).partition(" ")
        if said:
            log = self._member.log
            (log.error if level == "error" else log.info)(said, said_by="member-entrypoint leave")

    def _can_hear(self) -> bool:
        """Tell whether the VM is known to take a SIGTERM, and not to drop it.

        From 20 to 250 ms after its exec it drops them (seen with OTP 27): its handlers are there,
        and the process `erl_signal_server` that they tell is not. It is, when the server writes
        its status file.
        """
        return bool(self._member.release.status())

    def _give_up(self, helper: int | None, error: Exception) -> None:
        """Stop the VM after an error of our own; kill it if even that fails."""
        try:
            self._say_error(f"the entrypoint failed, stopping MongooseIM: {error!r}")
            self._stop(helper, "an error")
        except Exception:  # noqa: BLE001 - as above
            self._supervisor.send(signal.SIGKILL, self._vm)

    def _explained(self, ended: Ended, helper: int) -> int:
        """Return the exit status of a VM that ended by itself; find out why, if not with 0.

        Raises `TryAgainError` where another start helps.
        """
        self._end_all(helper)
        code = self._explain(ended.code) if ended.code else None
        self._last_line(ended, "nobody", explained=code is not None)
        if code in RESTARTED_FOR:
            raise RESTARTED_FOR[code]
        told = code in {RemovedError.status, ClusteringError.status}
        return ClusteringError.status if told else ended.code

    def _explain(self, code: int) -> int | None:
        """Have a helper find out why the VM ended with the status `code`, and say it.

        Returns the status of what it has said, None if it has said nothing.
        """
        settled = "yes" if self._settled else "no"
        command = task("explain", code=code, settled=settled)
        try:
            explaining = self._supervisor.spawn(command, self._environment)
        except EntrypointError:
            return None
        deadline = time.monotonic() + EXPLAINED_WITHIN
        while (event := self._supervisor.wait(deadline)) is not None:
            # The ends of those whom `_end_all` has ended come, too.
            if isinstance(event, Ended) and event.pid == explaining:
                return event.code if event.code in EXPLAINED else None
            if event in STOP_SIGNALS:
                break
        self._supervisor.send(signal.SIGKILL, explaining, group=True)
        return None

    def _end_all(self, helper: int) -> None:
        """End what a VM that has ended leaves behind, and the helper beside it."""
        self._note(state.STOPPING)
        self._supervisor.send(signal.SIGKILL, helper, group=True)
        self._supervisor.end_all(time.monotonic() + self._member.settings.stop_timeout)

    def _say_error(self, text: str) -> None:
        """Log an error with which the container ends, and tell Kubernetes."""
        self._member.log.error(text)
        from member_entrypoint.files import termination_log

        termination_log.note(self._member.settings.root, text)

    def _last_line(self, ended: Ended | None, asked_by: str, *, explained: bool = True) -> None:
        """Say how the VM ended; that is an error where nobody has said why."""
        log = self._member.log
        (log.info if explained else log.error)(
            "MongooseIM ended",
            node=self._member.node,
            how=ended.how if ended else "not at all, it could not be killed",
            asked_by=asked_by,
            after_seconds=round(time.monotonic() - self._began, 1),
            peak_memory_mib=round(ended.peak_kib / 1024) if ended else None,
        )
