"""Prints the output of a build to standard output and to the log file, without credentials."""

import os
import select
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from builder_entrypoint.masking import Mask, MaskedStream
from builder_entrypoint.progress import Progress
from builder_entrypoint.rotation import rotate

STANDARD_OUTPUT = 1
LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
PIECE = 4096  # bytes; a pipe that poll() reports as writable takes that many without blocking
DEFAULT_WIDTH = 80  # columns, for a terminal that does not report its width
TAIL_LINES = 40  # lines that are repeated when a program fails
TAIL_WIDTH = 1000  # bytes of each of those lines that are repeated
STOP_CHECK_INTERVAL = 200  # milliseconds between checks for a stop while nobody reads our output


class Output:
    """Writes our own lines, the output of programs, and the status line between them."""

    def __init__(self, mask: Mask, stopping: Callable[[], bool], hint: str = "") -> None:
        """Write to standard output only, until `open_log`.

        When nobody reads our output, it is dropped as soon as `stopping()` returns True. `hint`
        is said when the client seems to have gone: how to stop the build.
        """
        self._mask = mask
        self._hint = hint
        self.progress = Progress(self.say)
        self._stopping = stopping
        self._stream = MaskedStream(mask)
        self._descriptors = [STANDARD_OUTPUT]
        self._terminal = os.isatty(STANDARD_OUTPUT)
        self._at_line_start = True
        self._status_shown = False
        self._phase = ""
        self._began = time.monotonic()
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES + 1)
        self._logger = structlog.wrap_logger(
            _Lines(self._line), processors=[_with_time], wrapper_class=structlog.BoundLogger
        )

    def open_log(self, path: Path) -> None:
        """Write to the end of the file `path` too from now on. Raises `OSError`.

        A file that has become large is renamed, and a new one begun.
        """
        descriptor = os.open(path, LOG_FLAGS, 0o644)
        if rotate(path, descriptor):
            os.close(descriptor)
            descriptor = os.open(path, LOG_FLAGS, 0o644)
        self._descriptors.append(descriptor)

    def say_client_gone(self, sign: str) -> None:
        """Say that the build goes on although nobody seems to wait for it; `sign` tells why."""
        self.say(f"{sign}: if the client has gone, the build goes on; {self._hint}")

    def say(self, text: str) -> None:
        """Print one of our own lines, with the time before it."""
        self.end_program()
        self._logger.info(text)

    def repeat_tail(self) -> None:
        """Print the last lines of the last program again, but not to the log, which has them."""
        self.end_program()
        text = b"\n".join(self._tail)
        if text:
            self._write(text.removesuffix(b"\n") + b"\n", [STANDARD_OUTPUT])

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the last program."""
        return tuple(line.decode(errors="replace") for line in self._tail)

    @property
    def last_line(self) -> str:
        """The last line of the last program; of git, the line that begins with `fatal: `."""
        lines = [line for line in self._tail if line.strip()]
        lines += [line for line in reversed(lines) if line.startswith(b"fatal: ")]
        return lines[-1].decode(errors="replace").strip() if lines else ""

    def begin_program(self, phase: str) -> None:
        """Forget the output of the last program; show `phase` in the status line."""
        self._tail.clear()
        self._tail.append(b"")
        self._phase = phase
        self._began = time.monotonic()

    def feed(self, data: bytes) -> None:
        """Print a piece of a program's output."""
        self._show(self._stream.feed(data))

    def idle(self) -> None:
        """Print the complete words of an unfinished line, and renew the status line."""
        if self._stream.pending:
            self._show(self._stream.idle())
        self._draw_status()

    def end_program(self) -> None:
        """Print the rest of the program's output, and end the line."""
        self._show(self._stream.end())
        self._clear_status()
        if not self._at_line_start:
            self._show(b"\n")
        self._phase = ""

    def _line(self, text: str) -> None:
        data = text.encode(errors="surrogateescape")
        self._write(self._mask.data(data) + b"\n", self._descriptors)

    def _show(self, data: bytes) -> None:
        if not data:
            return
        self._clear_status()
        self._write(data, self._descriptors)
        self._at_line_start = data.endswith(b"\n")
        unfinished = self._tail.pop() if self._tail else b""
        self._tail.extend(line[:TAIL_WIDTH] for line in (unfinished + data).split(b"\n"))
        self._draw_status()

    def _draw_status(self) -> None:
        if not (self._terminal and self._phase and self._at_line_start):
            return
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        text = f"{self._phase}  {minutes}:{seconds:02}"
        try:
            width = os.get_terminal_size(STANDARD_OUTPUT).columns or DEFAULT_WIDTH
        except OSError:
            return
        self._write(f"\r\x1b[K{text[: width - 1]}".encode(), [STANDARD_OUTPUT])
        self._status_shown = True

    def _clear_status(self) -> None:
        if self._status_shown:
            self._write(b"\r\x1b[K", [STANDARD_OUTPUT])
            self._status_shown = False

    def _write(self, data: bytes, descriptors: list[int]) -> None:
        for descriptor in descriptors.copy():
            try:
                self._write_all(data, descriptor)
            except OSError as error:
                # The reader has gone, or the disk of the log is full: the build goes on.
                if descriptor in self._descriptors:
                    self._descriptors.remove(descriptor)
                if descriptor != STANDARD_OUTPUT:
                    self._logger.info(f"the log file cannot be written any more: {error.strerror}")
                elif self._descriptors:
                    text = f"nobody reads the output any more; the build goes on; {self._hint}"
                    self._logger.info(text)

    def _write_all(self, data: bytes, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            while piece:
                while not poll.poll(STOP_CHECK_INTERVAL):
                    if self._stopping():
                        return
                piece = piece[os.write(descriptor, piece) :]


class _Lines:
    """A logger for structlog that calls a function with each finished line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.info = write


def _with_time(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    now = datetime.now().astimezone()
    return f"[{now:%Y-%m-%d %H:%M:%S}] {event['event']}"
