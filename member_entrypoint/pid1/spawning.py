"""What the supervisor needs to start programs cleanly: the path, the terminal, the descriptors."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping

from member_entrypoint import environment as process_environment
from member_entrypoint.errors import (
    CommandNotFoundError,
    CommandNotRunnableError,
    ConfigurationError,
    EntrypointError,
)
from member_entrypoint.lean_typing import NoReturn

PR_SET_CHILD_SUBREAPER = 36
IGNORED_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


def find_program(name: str, path: str) -> str:
    """Return the path of a program, as a shell finds it.

    Raises `CommandNotFoundError` or, where there is a file but none that can be run,
    `CommandNotRunnableError`.
    """
    found = False
    for folder in [""] if "/" in name else path.split(os.pathsep):
        candidate = os.path.join(folder, name)
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            found = True
        elif "/" in name and os.path.isdir(candidate):
            raise CommandNotRunnableError(f"{name}: is a directory")
    if found:
        raise CommandNotRunnableError(f"{name}: no permission to run it")
    raise CommandNotFoundError(f"{name}: command not found")


def hand_over_terminal() -> list[tuple[object, ...]]:
    """Let go of the terminal on standard input; return what makes it the next session's.

    A session leader that opens a terminal which no session has gets it as its controlling
    terminal (tty_ioctl(4)). Letting go sends SIGHUP and SIGCONT to ourselves: nobody asked for
    them, and they are taken out here.
    """
    if not os.isatty(0):
        return []
    import fcntl  # only with a terminal
    import termios

    terminal = "/proc/self/fd/0"
    try:
        os.close(os.open(terminal, os.O_RDWR | os.O_NOCTTY))
        if os.getsid(0) == os.getpid():
            asked_for = signal.sigpending()
            fcntl.ioctl(0, termios.TIOCNOTTY)
            while signal.sigtimedwait({signal.SIGHUP, signal.SIGCONT} - asked_for, 0):
                pass
    except OSError:
        return []
    return [
        (os.POSIX_SPAWN_OPEN, 3, terminal, os.O_RDWR, 0),
        (os.POSIX_SPAWN_CLOSE, 3),
    ]


def keep_only_standard_streams() -> None:
    """Have descriptors 0, 1 and 2 open, and no other that somebody left us."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError as error:
        raise ConfigurationError(
            f"/proc cannot be read ({error.strerror}); PID 1 needs it, and so does the Erlang VM: "
            "mount it"
        ) from None
    for name in names:
        if int(name) > 2:  # noqa: PLR2004
            try:
                os.close(int(name))
            except OSError:
                continue
    for wanted in (0, 1, 2):
        try:
            os.fstat(wanted)
        except OSError:
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)  # noqa: FBT003


def become_child(
    name: str, work: Callable[[], int], environment: Mapping[str, str], *, ready: int
) -> NoReturn:
    """Do `work` in this copy of PID 1, as a program of its own would, and exit with its status.

    The descriptor `ready` is closed when this process has its own session; `name` is shown by `ps`.
    """
    status = EntrypointError.status
    try:
        os.setsid()
        # What came before was for the group of PID 1, which has got it, too.
        while signal.sigtimedwait(signal.valid_signals(), 0):
            pass
        os.close(ready)
        for number in signal.valid_signals() - IGNORED_BY_PYTHON:
            if number == signal.SIGINT or signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        process_environment.replace(environment)
        _take_name(name)
        gc.freeze()  # the collector leaves alone what is shared with PID 1, so that it stays shared
        status = work()
        sys.stdout.flush()
    finally:
        os._exit(status)


def _take_name(name: str) -> None:
    """Be shown as `name`, since the command line is that of PID 1.

    A process that has changed its user may write this file of its own, and not /proc/self/comm.
    """
    try:
        with open("/proc/thread-self/comm", "w", encoding="ascii") as file:
            file.write(name)
    except OSError:
        return  # it is for people only


def become_subreaper() -> None:
    """Have the orphans among our descendants given to us and not to PID 1 (prctl(2))."""
    import ctypes  # PID 1 needs none of this

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.stderr.write("cannot become a child subreaper; orphans will not be reaped\n")
