"""Records the signals that stop a build."""

import contextlib
import os
import selectors
import signal

from builder_entrypoint.errors import StoppedError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
CHUNK = 65536  # bytes that are read at a time


class Signals:
    """Records stop requests; `descriptor` becomes readable when a signal arrives."""

    def __init__(self) -> None:
        """Install handlers, then unblock all signals.

        In this order no signal that was blocked until now is lost. Programs inherit the empty mask.
        """
        self.requested: signal.Signals | None = None
        self.descriptor, writing = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def end(self) -> None:
        """Take no more stop requests: the exit status is known.

        While the interpreter ends it puts back the default handlers, with which a signal would
        change that status; what is ignored stays ignored, in all threads.
        """
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def check(self) -> None:
        """Raise `StoppedError` if a stop was requested."""
        if self.requested is not None:
            raise StoppedError(f"stopped by {self.requested.name}")

    def wait(self, seconds: float) -> None:
        """Sleep for at most `seconds`. Raises `StoppedError` as soon as a stop is requested."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.descriptor, selectors.EVENT_READ)
            selector.select(seconds)
        self.drain()
        self.check()

    def drain(self) -> None:
        """Empty the wake-up pipe."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.descriptor, CHUNK):
                pass

    def _note(self, number: int, _frame: object) -> None:
        if self.requested is None:
            self.requested = signal.Signals(number)
