"""Our programs as real processes: as PID 1 of a PID namespace, and as a plain process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sysconfig
import time
import venv
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
HELPERS = Path(__file__).resolve().parent / "helpers"
MEMBER = ROOT / "member_entrypoint" / "member-entrypoint"
BUILDER = ROOT / "builder_entrypoint" / "builder-init"
DEADLINE = 30.0 * float(os.environ.get("SLOWNESS", "1"))
"""Seconds that anything may take before a test gives up; nothing is expected to take that long."""
TICK = 0.005
T = TypeVar("T")
FULL_MASK = "fffffffe7ffbfeff"
"""`SigBlk` in /proc when all is blocked that can be: not KILL and STOP, nor glibc's own two."""


class Mode(Enum):
    """How one of our programs is run."""

    PID_1 = "as PID 1 of a namespace"
    SUBREAPER = "as a plain process that is a child subreaper"


class Program(NamedTuple):
    """One of our two programs, and how it is run."""

    script: Path
    mode: Mode


def tool(name: str) -> str:
    """Return the path of a program that a test needs; without it, the test fails."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.fail(f"{name} is needed: python3 tools/setup.py programs", pytrace=False)
    return path


def eventually(condition: Callable[[], T], what: str, *, timeout: float = DEADLINE) -> T:
    """Wait until `condition` holds, and return what it gave; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(TICK)


def status_of(pid: int) -> dict[str, str]:
    """Return /proc/PID/status; empty if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def children_of(pid: int) -> list[int]:
    """Return the pids of the children of a process, zombies too."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def state_of(pid: int) -> str:
    """Return the letter of a process's state; empty if there is no such process."""
    return status_of(pid).get("State", " ")[0].strip()


def arguments_of(pid: int) -> list[bytes]:
    """Return the command line of a process; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    return state_of(pid) not in {"", "Z", "X"}


class Running:
    """A program of ours that was started: its pid here, its output, and its end."""

    def __init__(self, launcher: subprocess.Popen[bytes], mode: Mode, output: Path) -> None:
        """Take what was launched; in a namespace, our program is the child of `unshare`."""
        self.launcher = launcher
        self.file = output
        """What it prints is here."""
        self.pid = launcher.pid
        if mode is Mode.PID_1:
            children = eventually(
                lambda: children_of(launcher.pid) or launcher.poll() is not None,
                "unshare makes a PID namespace",
            )
            if not isinstance(children, list):
                pytest.fail(f"unshare made no PID namespace: {self.output()}", pytrace=False)
            self.pid = children[0]

    def output(self) -> str:
        """Return all that has been printed, standard error included."""
        return self.file.read_text(encoding="utf-8", errors="replace")

    def wait_for_output(self, text: str, *, timeout: float = DEADLINE) -> str:
        """Wait until `text` has been printed; return all that was."""

        def found() -> str:
            ended = self.launcher.poll() is not None
            output = self.output()
            if text in output:
                return output
            assert not ended, f"it ended without saying {text!r}:\n{output}"
            return ""

        try:
            return eventually(found, f"it says {text!r}", timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def wait_until_signals_count(self) -> None:
        """Wait until the signals are blocked: none that is sent from now on may be lost.

        `env` blocks them, then becomes the interpreter; a process that waits for signals is shown
        as blocking none. Before `env` it may still be shown as a copy of us, a Python process too.
        """

        def ready() -> bool:
            if status_of(self.pid).get("SigBlk") == FULL_MASK:
                return True
            program, *arguments = arguments_of(self.pid) or [b""]
            return os.path.basename(program).startswith(b"python") and arguments[:1] == [b"-I"]

        eventually(ready, "signals are blocked")

    def child(self) -> int:
        """Return the pid of its first child, once there is one."""
        return eventually(lambda: children_of(self.pid), "it has a child")[0]

    def child_that_runs(self, word: str) -> int:
        """Return the pid of the child that has `word` among its arguments; 0 if there is none."""
        for pid in children_of(self.pid):
            if word.encode() in arguments_of(pid):
                return pid
        return 0

    def helper(self, name: str) -> int:
        """Return the pid of the helper of that name, a copy of our program, once there is one."""

        def found() -> int:
            named = (pid for pid in children_of(self.pid) if status_of(pid).get("Name") == name)
            return next(named, 0)

        return eventually(found, f"the helper {name} runs")

    def send(self, number: int) -> None:
        """Send our program a signal."""
        os.kill(self.pid, number)

    def wait(self, *, timeout: float = DEADLINE) -> int:
        """Wait for the end and return the exit status."""
        try:
            return self.launcher.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {timeout:g} s:\n{self.output()}") from None

    def kill(self) -> None:
        """End it, and all that descends from it, at once."""
        if self.launcher.poll() is None:  # else its pids may be those of others by now
            self._kill_family()
        for stream in (self.launcher.stdin, self.launcher.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _kill_family(self) -> None:
        family = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.launcher.pid).children(recursive=True)
        # A namespace goes with its PID 1; elsewhere the children are left to be killed one by one.
        for pid in (self.pid, self.launcher.pid, *(process.pid for process in family)):
            with contextlib.suppress(ProcessLookupError):
                if pid != self.launcher.pid or self.launcher.poll() is None:
                    os.kill(pid, signal.SIGKILL)
        self.launcher.wait()


class Machine:
    """Starts our programs, and ends all that it started."""

    def __init__(self, python: Path, folder: Path) -> None:
        """Take the interpreter to run them with, and a folder for what they print."""
        self.python = python
        self._folder = folder
        self._started: list[Running] = []

    def start(  # noqa: PLR0913 - what there is to say about a process
        self,
        program: Program,
        command: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        before: Sequence[str] = (),
        outside: Sequence[str] = (),
        pass_fds: Iterable[int] = (),
        block: bool = True,
        directory: Path | None = None,
    ) -> Running:
        """Start a program as its image does; `before` are words to go before it.

        `outside` are words to go before that, where the namespace of a PID 1 does not exist yet.
        Without `block`, it begins without its signals blocked, which no image does. Standard error
        goes where standard output goes.
        """
        number = len(self._started)
        output = self._folder / f"output-{number}"
        words = [*before, tool("env")]
        if block:
            words.append("--block-signal")
        words += [str(self.python), "-I", str(program.script), *command]
        if program.mode is Mode.PID_1:
            words = [*unshare(), *words]
        words = [*outside, *words]
        with output.open("wb") as file:
            launcher = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=file if stdout is None else stdout,
                stderr=file if stdout is None else stdout,
                env={"PATH": os.environ["PATH"], **(environment or {})},
                pass_fds=tuple(pass_fds),
                cwd=directory,
            )
        running = Running(launcher, program.mode, output)
        self._started.append(running)
        return running

    def run(self, program: Program, command: Sequence[str], **options: object) -> tuple[int, str]:
        """Run a command under a program to its end; return status and output."""
        running = self.start(program, command, **options)  # type: ignore[arg-type]
        return running.wait(), running.output()

    def clean(self) -> None:
        """End all that was started."""
        for running in self._started:
            running.kill()


def lean_python(folder: Path) -> Path:
    """Make an interpreter in `folder` that finds our packages and theirs without an import hook.

    An editable installation has one, which costs time and memory that images do not pay.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    site = next(folder.glob("lib/python3*/site-packages"))
    (site / "ours.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    return folder / "bin" / "python3"


def unshare() -> list[str]:
    """Return the words that make the next process PID 1 of a namespace of its own."""
    words = [tool("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child"]
    return words if os.geteuid() == 0 else [*words, "--user", "--map-root-user"]
