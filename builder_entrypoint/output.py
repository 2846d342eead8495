"""What a build prints: to standard output as it comes, and to the log file, without credentials."""

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

STANDARD_OUTPUT = 1
PIECE = 4096  # bytes; a pipe that can be written to takes so many without blocking
USUAL_WIDTH = 80  # columns, of a terminal that does not know its own
TAIL_LINES = 40
TAIL_WIDTH = 1000  # bytes of a line that are repeated


class Output:
    """The one writer: our own lines, the output of commands, and the status line between them."""

    def __init__(self, mask: Mask, stopping: Callable[[], bool]) -> None:
        """Write to standard output only, until `open_log`.

        When `stopping()` holds, nobody is waited for who does not read our output.
        """
        self._mask = mask
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
        """Append to the file `path` from now on as well. Raises `OSError`."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptors.append(os.open(path, flags, 0o644))

    def say(self, text: str) -> None:
        """Print a line of our own, with the time before it."""
        self.end_command()
        self._logger.info(text)

    def repeat_tail(self) -> None:
        """Print the last lines of the last command again; the log file has them already."""
        self.end_command()
        text = b"\n".join(self._tail)
        if text:
            self._write(text.removesuffix(b"\n") + b"\n", [STANDARD_OUTPUT])

    @property
    def last_line(self) -> str:
        """The last line that the last command printed; of git, the one that says what happened."""
        lines = [line for line in self._tail if line.strip()]
        lines += [line for line in reversed(lines) if line.startswith(b"fatal: ")]
        return lines[-1].decode(errors="replace").strip() if lines else ""

    def begin_command(self, phase: str) -> None:
        """Forget the output of the command before; `phase` is what the status line shows."""
        self._tail.clear()
        self._tail.append(b"")
        self._phase = phase
        self._began = time.monotonic()

    def feed(self, data: bytes) -> None:
        """Pass a piece of a command's output on."""
        self._show(self._stream.feed(data))

    def idle(self) -> None:
        """Pass the beginning of a line on whose end does not come, and renew the status line."""
        if self._stream.pending:
            self._show(self._stream.idle())
        self._draw_status()

    def end_command(self) -> None:
        """Pass on what was held back, and end the line."""
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
        begun = self._tail.pop() if self._tail else b""
        self._tail.extend(line[:TAIL_WIDTH] for line in (begun + data).split(b"\n"))
        self._draw_status()

    def _draw_status(self) -> None:
        if not (self._terminal and self._phase and self._at_line_start):
            return
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        text = f"{self._phase}  {minutes}:{seconds:02}"
        try:
            width = os.get_terminal_size(STANDARD_OUTPUT).columns or USUAL_WIDTH
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
                # Whoever read our output is gone, or the disk of the log is full: build on.
                if descriptor in self._descriptors:
                    self._descriptors.remove(descriptor)
                if descriptor != STANDARD_OUTPUT:
                    self._logger.info(f"the log file cannot be written any more: {error.strerror}")

    def _write_all(self, data: bytes, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            while piece:
                while not poll.poll(200):  # milliseconds
                    if self._stopping():
                        return
                piece = piece[os.write(descriptor, piece) :]


class _Lines:
    """What structlog calls a logger: hands each finished line to a function."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.info = write


def _with_time(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    now = datetime.now().astimezone()
    return f"[{now:%Y-%m-%d %H:%M:%S}] {event['event']}"
