"""Spawn, signals, reaping, stopping: what an init does, and nothing about MongooseIM.

All signals are blocked from the first moment and taken one by one with `sigwaitinfo`: there are no
handlers, so none can be too early, interrupt anything, or wake an idle process. This object is
the only one in its process that waits for children; whatever else has to be done (looking up names,
joining) is done by helper *processes*, which it spawns, watches and ends like any other child.
"""

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from member_entrypoint.errors import CommandNotFoundError, CommandNotRunnableError
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.pid1.spawning import (
    become_child,
    become_subreaper,
    find_program,
    hand_over_terminal,
    keep_only_standard_streams,
)

ALL_SIGNALS = frozenset(signal.valid_signals())
CATCHABLE = ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP}
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP})
KILLED = 137  # the status of a shell for SIGKILL
TERMINAL_STOPS = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
AFTER_KILL = 0.8  # seconds that killed processes may take to go
CHECK_INTERVAL = 0.1  # seconds between two looks for processes that are not our children
KILL_INTERVAL = 0.02  # seconds between two rounds of SIGKILL
LARGEST_REAP = 500  # children, before signals are looked at again


class Children(Enum):
    """What there still is of children, ours and those that we adopted."""

    NONE = "none"
    RUNNING = "some, and none has ended"
    ENDED = "some, and more have ended"


class Ended(NamedTuple):
    """A child of ours that ended: its pid, its wait status, and its peak memory in KiB."""

    pid: int
    status: int
    peak_kib: int

    @property
    def code(self) -> int:
        """The status that a shell would give: the exit status, or 128 + the signal's number."""
        code = os.waitstatus_to_exitcode(self.status)
        return code if code >= 0 else 128 - code

    @property
    def how(self) -> str:
        """How it ended, in words."""
        code = os.waitstatus_to_exitcode(self.status)
        return f"exit status {code}" if code >= 0 else f"signal {signal_name(-code)}"


class Supervisor:
    """Owns the signals and the children of this process; make one, before anything else."""

    def __init__(self) -> None:
        """Block all signals, close inherited descriptors, adopt orphans where we are not PID 1."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        keep_only_standard_streams()
        if os.getpid() != 1:
            become_subreaper()
        self.passed_over: set[int] = set()
        self._ours: set[int] = set()
        self._ended: deque[Ended] = deque()
        self._on_end: dict[int, Callable[[Ended], bool]] = {}
        self._due: list[tuple[float, Callable[[], None]]] = []

    def spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        terminal: bool = False,
        output: int | None = None,
        on_end: Callable[[Ended], bool] | None = None,
    ) -> int:
        """Start a program in a session of its own and return its pid.

        It has our three standard streams and nothing else: no other descriptor, an empty signal
        mask, default dispositions. With `terminal`, the terminal on standard input, if there is
        one, becomes its controlling terminal; `output` is a descriptor to be its standard output
        instead of ours. With `on_end`, `wait` calls that when the program has ended, and goes on
        waiting if that returns true; so it may end and be started anew at any moment, whatever is
        waited for. Raises `CommandNotFoundError` or `CommandNotRunnableError`.
        """
        path = find_program(command[0], environment.get("PATH", os.defpath))
        actions = hand_over_terminal() if terminal else []
        if output is not None:
            actions = [*actions, (os.POSIX_SPAWN_DUP2, output, 1)]
        try:
            pid = os.posix_spawn(
                path,
                list(command),
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=CATCHABLE,
            )
        except FileNotFoundError:
            raise CommandNotFoundError(f"{command[0]}: its interpreter does not exist") from None
        except OSError as error:
            raise CommandNotRunnableError(
                f"{command[0]}: cannot be run ({error.strerror})"
            ) from None
        self._note_child(pid, on_end)
        return pid

    def fork(
        self,
        name: str,
        work: Callable[[], int],
        environment: Mapping[str, str],
        *,
        on_end: Callable[[Ended], bool] | None = None,
    ) -> int:
        """Have a copy of this process do `work` and end with the status that it returns.

        Like a program that `spawn` starts, it has a session, signals and an environment of its own,
        and a `name` for `ps` and `top`, of 15 characters at most; what is imported and read here,
        it need not import and read. `on_end` is as for `spawn`. Returns its pid. Raises
        `CommandNotRunnableError`.
        """
        opened: tuple[int, ...] = ()
        try:
            reading, writing = opened = os.pipe()
            pid = os.fork()
        except OSError as error:
            for descriptor in opened:
                os.close(descriptor)
            raise CommandNotRunnableError(
                f"{sys.argv[0]}: cannot be copied ({error.strerror})"
            ) from None
        if pid == 0:
            os.close(reading)
            become_child(name, work, environment, ready=writing)
        # Until it has its own process group it cannot be ended with all that it starts.
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        self._note_child(pid, on_end)
        return pid

    def _note_child(self, pid: int, on_end: Callable[[Ended], bool] | None) -> None:
        self._ours.add(pid)
        if on_end is not None:
            self._on_end[pid] = on_end

    def wait(self, deadline: float | None = None) -> Ended | int | None:
        """Return the next thing that happens: a child of ours ended, or a signal's number came.

        Orphans are reaped on the way and not spoken of. `deadline` is an instant of
        `time.monotonic`; when it has passed, the answer is None. Without one, this sleeps until
        something happens, however long.
        """
        while True:
            more = self._reap() is Children.ENDED
            if self._ended:
                event = self._ended.popleft()
                handled = self._on_end.pop(event.pid, None)
                if handled is None or not handled(event):
                    return event
                continue
            due = self._do_what_is_due()
            if deadline is not None and time.monotonic() >= deadline:
                return None
            instants = (time.monotonic() if more else deadline, due)
            number = _next_signal(
                min((each for each in instants if each is not None), default=None)
            )
            if number is not None:
                return number

    def call_at(self, instant: float, what: Callable[[], None]) -> None:
        """Have `wait` call `what` at an instant of `time.monotonic`, whatever is waited for then.

        Not any more once `end_all` was called.
        """
        self._due.append((instant, what))

    def _do_what_is_due(self) -> float | None:
        """Return when there is more to do; None if there is not."""
        while self._due:
            first = min(self._due, key=lambda each: each[0])
            if time.monotonic() < first[0]:
                return first[0]
            self._due.remove(first)
            first[1]()
        return None

    def wait_for(self, pid: int, deadline: float | None = None) -> Ended | None:
        """Wait for the end of one child; None if the deadline passed.

        Signals that come meanwhile are not acted on, but kept in `passed_over`; the ends of other
        children are kept for the next to ask.
        """
        others = []
        try:
            while (event := self.wait(deadline)) is not None:
                if not isinstance(event, Ended):
                    self.passed_over.add(event)
                elif event.pid == pid:
                    return event
                else:
                    others.append(event)
            return None
        finally:
            self._ended.extendleft(reversed(others))

    def send(self, number: int, pid: int, *, group: bool = False) -> None:
        """Send a signal to a child of ours, or to its whole process group.

        Nothing happens if it has been reaped already: the kernel may have given its pid to
        another process since.
        """
        if pid in self._ours:
            _send(number, pid, group=group)

    def is_asked_for(self, signals: frozenset[int]) -> bool:
        """Tell whether one of `signals` has come and was not acted on, or is about to be taken."""
        return bool((self.passed_over | signal.sigpending()) & signals)

    def end_all(self, deadline: float) -> None:
        """End every process that descends from us.

        Each is told to end (SIGTERM), waited for until `deadline`, then killed. One that cannot be
        killed does not hold us up for longer than a moment, one of another user (left by
        `docker exec` of root: it goes with PID 1) not at all. The ends of our own children can be
        had from `wait` afterwards; no `on_end` is called for them, nor what `call_at` was given.
        Signals that come meanwhile are kept in `passed_over`.
        """
        self._on_end.clear()
        self._due.clear()
        told: set[tuple[int, float]] = set()
        others: set[tuple[int, float]] = set()
        give_up = max(deadline, time.monotonic()) + AFTER_KILL
        while self._reap() is not Children.NONE:
            now = time.monotonic()
            if now >= give_up:
                return
            if now >= deadline:
                self._kill_all()
                pause = KILL_INTERVAL
            else:
                # Parents first: a script must not go on to its next command when this one dies.
                left = _descendants()
                for process in left:
                    if process not in told:
                        told.add(process)
                        if not _send(signal.SIGTERM, process[0]):
                            others.add(process)
                        _send(signal.SIGCONT, process[0])
                if left and others.issuperset(left):
                    return
                pause = min(CHECK_INTERVAL, deadline - now)
            # One that is not our own child sends us no SIGCHLD when it ends: look again.
            came = _next_signal(now + pause)
            if came is not None:
                self.passed_over.add(came)

    def prepare_to_end(self) -> None:
        """Import what `end_all` needs, while there is time: that takes 40 ms."""
        import psutil  # noqa: F401

    def _kill_all(self) -> None:
        if os.getpid() == 1:
            # All that this PID namespace holds, and none can escape by forking meanwhile: kill(2).
            _send(signal.SIGKILL, -1)
        for process, _ in _descendants():
            _send(signal.SIGKILL, process)

    def _reap(self) -> "Children":
        """Collect children that have ended, and tell whether there are more."""
        for _ in range(LARGEST_REAP):
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return Children.NONE
            if pid == 0:
                return Children.RUNNING
            if pid in self._ours:
                self._ours.remove(pid)
                self._ended.append(Ended(pid, status, usage.ru_maxrss))
        return Children.ENDED


def _next_signal(deadline: float | None) -> int | None:
    """Sleep until a signal comes, and return its number; None for SIGCHLD or after `deadline`.

    The kernel gives the lowest number first, so a storm of SIGCHLD would hold back all signals
    above it: those are taken first.
    """
    if deadline is None:
        number = signal.sigwaitinfo(CATCHABLE).si_signo
    else:
        came = signal.sigtimedwait(CATCHABLE, max(0.0, deadline - time.monotonic()))
        number = came.si_signo if came else signal.SIGCHLD
    if number == signal.SIGCHLD:
        other = signal.sigtimedwait(CATCHABLE - {signal.SIGCHLD}, 0)
        return other.si_signo if other else None
    return number


def _send(number: int, pid: int, *, group: bool = False) -> bool:
    """Send a signal; tell whether we may. That the receiver is gone is no error."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def signal_name(number: int) -> str:
    """Return the name of a signal (`SIGTERM`); real-time signals have only a number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _descendants() -> list[tuple[int, float]]:
    """Return pid and time of birth of each descendant of this process, parents first."""
    import psutil  # only a stop needs it, and only where there are children left

    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            found.append((process.pid, process.create_time()))
        except psutil.Error:
            continue
    return found
