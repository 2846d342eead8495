"""Runs the programs of a build, and handles the signals that stop it.

One loop handles signals, ended children and the programs' output: a stop request takes effect at
once, no exit status is lost, and no process that the programs start outlives the build. We are a
child subreaper: orphans, also those in sessions of their own, become our children.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil

from builder_entrypoint.client import Client
from builder_entrypoint.output import Output
from builder_entrypoint.signals import Signals

PR_SET_CHILD_SUBREAPER = 36
CHUNK = 65536  # bytes that are read at a time
LAST_READS = 32  # reads after the end; more than a pipe holds, but a daemon may write for ever
IDLE_TIMEOUT = 0.5  # seconds without output after which an unfinished line is shown
TERM_TIMEOUT = 0.4  # seconds between SIGTERM and SIGKILL
KILL_TIMEOUT = 1.2  # seconds that killed processes may take to end
CHECK_INTERVAL = 0.01  # seconds between checks whether processes have ended
NOT_STARTED = 127  # exit status, as in a shell

Readers = dict[BinaryIO, Callable[[bytes], object]]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended."""

    name: str
    """The program's name in messages: `make rel`."""
    status: int
    """Exit status; -N if signal N ended it; 127 if it could not be started."""
    how: str
    """The status in words: `ended with status 2`."""
    last_line: str = ""
    """The last line of its output, masked; empty if it printed nothing."""
    last_lines: tuple[str, ...] = ()
    """The last lines of its output, masked, as many as are repeated when it fails."""

    @property
    def succeeded(self) -> bool:
        """Whether the status is 0."""
        return self.status == 0

    def mentions(self, *texts: str) -> bool:
        """Tell whether one of `texts` is in the last lines of its output."""
        return any(text in line for line in self.last_lines for text in texts)

    def outcome(self) -> str:
        """Return how it ended, with its last words: `ended with status 2 (no such file)`."""
        return f"{self.how} ({self.last_line})" if self.last_line else self.how

    def explained(self) -> str:
        """Return its name and how it ended, with its last words."""
        return f"{self.name} {self.outcome()}"


class Streams(NamedTuple):
    """Standard input (None: /dev/null), output and error of a program."""

    input: BinaryIO | None
    output: BinaryIO
    errors: BinaryIO


class Processes:
    """Runs programs with an empty signal mask, default signal handling and no standard input."""

    def __init__(self, signals: Signals, output: Output) -> None:
        """Become the parent of all processes that our programs leave behind."""
        self.signals = signals
        self.output = output
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        self._ended: dict[int, int] = {}
        self._held: list[int] = []
        self._client = Client()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @contextlib.contextmanager
    def holding(self, descriptor: int) -> Iterator[None]:
        """Let programs inherit the lock `descriptor`, so that they hold it if we are killed."""
        self._held.append(descriptor)
        try:
            yield
        finally:
            self._held.remove(descriptor)

    def run(
        self,
        command: Sequence[str],
        *,
        name: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
        take: Callable[[bytes], object] | None = None,
    ) -> Ended:
        """Run a program to its end, in the working directory `folder` or ours; show its output.

        `name` is its name in messages and in the status line. `take`, if given, is called with
        the standard output, piece by piece, which is then not shown.

        Raises `StoppedError` when a stop is requested; the program is gone by then.
        """
        return self._run({name: command}, name, environment, folder, take)

    def run_pipeline(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        phase: str,
        environment: Mapping[str, str],
        take: Callable[[bytes], object],
    ) -> Ended:
        """Run programs by their names, each with the output of the one before as its input.

        `take` is called with the output of the last one, piece by piece; `phase` is shown in the
        status line. Returns how the last program that failed ended, because a program also fails
        when the one after it stops reading; if none failed, how the last program ended.

        Raises `StoppedError` when a stop is requested; the programs are gone by then.
        """
        return self._run(commands, phase, environment, None, take)

    def _run(
        self,
        commands: Mapping[str, Sequence[str]],
        phase: str,
        environment: Mapping[str, str],
        folder: Path | None,
        take: Callable[[bytes], object] | None,
    ) -> Ended:
        self.output.begin_program(phase)
        children: dict[int, str] = {}
        with contextlib.ExitStack() as stack:
            shown, messages = _pipe(stack)
            readers: Readers = {shown: self.output.feed}
            result = messages
            if take is not None:
                taken, result = _pipe(stack)
                readers[taken] = take
            links = [_pipe(stack) for _ in range(len(commands) - 1)]
            inputs = [None, *(reading for reading, _ in links)]
            outputs = [*(writing for _, writing in links), result]
            for (name, command), source, target in zip(
                commands.items(), inputs, outputs, strict=True
            ):
                streams = Streams(source, target, messages)
                try:
                    children[self._spawn(command, environment, streams, folder)] = name
                except OSError as error:
                    self.end_all()
                    self.output.end_program()
                    how = _start_problem(command[0], error)
                    return Ended(name=name, status=NOT_STARTED, how=how)
            for file in (messages, *inputs, *outputs):
                if file is not None:
                    file.close()
            statuses = self._attend(children, readers)
        self.output.end_program()
        ended = [
            Ended(
                name=name,
                status=statuses[child],
                how=_status_text(statuses[child]),
                last_line=self.output.last_line,
                last_lines=self.output.last_lines,
            )
            for child, name in children.items()
        ]
        return next((one for one in reversed(ended) if not one.succeeded), ended[-1])

    def _spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        streams: Streams,
        folder: Path | None,
    ) -> int:
        """Start a program and return its process id. Raises `OSError`.

        It stays in our session, so that git can ask for a password on the terminal.
        """
        child = subprocess.Popen(
            command,
            stdin=streams.input or subprocess.DEVNULL,
            stdout=streams.output,
            stderr=streams.errors,
            cwd=folder,
            env=environment,
            pass_fds=self._held,
        )
        self._started[child.pid] = child
        return child.pid

    def _attend(self, children: Iterable[int], readers: Readers) -> dict[int, int]:
        """Read until all `children` have ended; return their statuses.

        `readers` maps each pipe to the function that is called with its data. Other processes that
        have a pipe open are not waited for. On any exception, such as `StoppedError` or one of a
        reader, all programs are ended before it is raised.
        """
        waiting = set(children)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.signals.descriptor, selectors.EVENT_READ)
                for file, reader in readers.items():
                    os.set_blocking(file.fileno(), False)
                    selector.register(file, selectors.EVENT_READ, reader)
                while waiting - self._ended.keys():
                    self._read_ready(selector)
                    if self._client.has_gone():
                        self.output.say_client_gone("standard input was closed")
                    self.signals.check()
                    self._reap()
            for file, reader in readers.items():
                for _ in range(LAST_READS):
                    reader(_read(file.fileno()) or b"")
            self._client.begin()
            return {child: self._ended.pop(child) for child in waiting}
        except BaseException:
            self.end_all()
            raise

    def end_all(self) -> None:
        """End all programs and all processes that they started, within 2 s."""
        for number, seconds in ((signal.SIGTERM, TERM_TIMEOUT), (signal.SIGKILL, KILL_TIMEOUT)):
            deadline = time.monotonic() + seconds
            signalled: set[psutil.Process] = set()
            while self._reap():
                for process in psutil.Process().children(recursive=True):
                    if number == signal.SIGKILL or process not in signalled:
                        signalled.add(process)
                        with contextlib.suppress(psutil.Error):
                            process.send_signal(number)
                if time.monotonic() > deadline:
                    break
                time.sleep(CHECK_INTERVAL)

    def _read_ready(self, selector: selectors.BaseSelector) -> None:
        events = selector.select(IDLE_TIMEOUT)
        if not events:
            self.output.idle()
        for key, _ in events:
            if key.data is None:
                self.signals.drain()
                continue
            data = _read(key.fd)
            if data:
                key.data(data)
            elif data == b"":
                selector.unregister(key.fd)

    def _reap(self) -> bool:
        """Collect the children that have ended; return whether any child is left."""
        try:
            while True:
                child, status = os.waitpid(-1, os.WNOHANG)
                if child == 0:
                    return True
                if process := self._started.pop(child, None):
                    process.returncode = self._ended[child] = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return False


def _status_text(status: int) -> str:
    """Return the status in words; a negative status is the signal that ended the program."""
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name if -status in list(signal.Signals) else f"signal {-status}"
    hint = ", possibly because memory ran out" if status == -signal.SIGKILL else ""
    return f"was ended by {name}{hint}"


def _start_problem(program: str, error: OSError) -> str:
    """Return in words why a program could not be started."""
    name = os.path.basename(program)
    if isinstance(error, FileNotFoundError) and "/" not in program:
        return f"could not be started: {name} is not installed, or not on PATH"
    return f"could not be started: {error.strerror}"


def _read(descriptor: int) -> bytes | None:
    """Return the data that has arrived; empty at the end of the file, None if there is none yet."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None


def _pipe(stack: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """Return the reading and the writing end of a new pipe; `stack` closes both."""
    reading, writing = os.pipe()
    return (
        stack.enter_context(os.fdopen(reading, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writing, "wb", buffering=0)),
    )
