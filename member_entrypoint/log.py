"""The programs' own log lines, through structlog, set up in one place.

structlog is imported when the first line is written: that takes 70 ms and 13 MB, which the way to
the VM's start, and an idle PID 1, do without. A line goes out in one write, so that it never mixes
with what the server prints at the same moment.
"""

import os
import select
from collections.abc import MutableMapping

from member_entrypoint.lean_typing import Any

FORMATS = ("console", "json", "logfmt")
LEVELS = ("debug", "info", "warning", "error")
DEFAULT_FORMAT, DEFAULT_LEVEL = "console", "info"
PATIENCE = 1.0  # seconds that a line waits for a reader of a full pipe


def counted(number: int, what: str) -> str:
    """Return a number of things in words: `1 node`, `2 nodes`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Return `text` without what a terminal would obey: control characters become `?`.

    Lines and tabs stay. Texts that we show come from other nodes and from the member's files, too.
    """
    if text.isascii() and text.replace("\n", " ").isprintable():
        return text
    return "".join(map(_printable, text))


def _printable(letter: str) -> str:
    is_control = letter < " " or "\x7f" <= letter <= "\x9f"
    return "?" if is_control and letter not in "\n\t" else letter


class Log:
    """Says lines in the format and from the level that the operator chose."""

    def __init__(
        self,
        log_format: str = DEFAULT_FORMAT,
        level: str = DEFAULT_LEVEL,
        descriptor: int = 1,
    ) -> None:
        """Set up what lines look like and where they go; nothing is imported or written yet."""
        self._format = log_format
        self._level = LEVELS.index(level)
        self._descriptor = descriptor
        self._logger: Any = None

    def prepare(self) -> None:
        """Load what the first line needs, while there is nothing to do but to wait."""
        if self._logger is None:
            self._logger = self._set_up()

    def info(self, event: str, **values: Any) -> None:
        """Say what happens."""
        self._say("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        """Say what needs an operator's eye, though all goes on."""
        self._say("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        """Say what failed."""
        self._say("error", event, values)

    def unexpected(self, what: str, error: BaseException) -> None:
        """Say that something failed that should not be able to, with where it did."""
        import traceback  # see the module's docstring

        where = "".join(traceback.format_exception(error))
        self._say("error", f"{what} failed: {error!r}", {"traceback": where})

    def _say(self, level: str, event: str, values: dict[str, Any]) -> None:
        """Say an event in one line; what has no value is left out."""
        if LEVELS.index(level) < self._level:
            return
        self.prepare()
        given = {key: value for key, value in values.items() if value not in (None, "")}
        getattr(self._logger, level)(" ".join(event.splitlines()), **given)

    def _set_up(self) -> Any:
        import structlog  # see the module's docstring

        renderers: dict[str, Any] = {
            "console": structlog.dev.ConsoleRenderer(0, colors=False),
            "json": structlog.processors.JSONRenderer(ensure_ascii=False),
            "logfmt": structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"]
            ),
        }
        return structlog.wrap_logger(
            _Descriptor(self._descriptor),
            processors=[structlog.processors.add_log_level, _add_time, renderers[self._format]],
            wrapper_class=structlog.BoundLogger,
        )


class _Descriptor:
    """What structlog calls a logger: writes each line to a file descriptor, at once.

    A line that cannot be written, because nobody reads the pipe, is dropped after a moment: a stop
    must not wait for a reader.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._patience = PATIENCE
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, line: str) -> None:
        data = line.encode(errors="backslashreplace") + b"\n"
        try:
            while data:
                if not self._poll.poll(self._patience * 1000):
                    self._patience = 0.0
                    return
                # A pipe that is ready has room for this much: pipe(7).
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
            self._patience = PATIENCE
        except OSError:
            # Whoever read our output is gone. The server matters more than our words about it.
            return

    info = warning = error = write


def _add_time(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    from datetime import UTC, datetime  # see the module's docstring

    now = datetime.now(UTC)
    return {
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03}Z",
        **event,
    }
