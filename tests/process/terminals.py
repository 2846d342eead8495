"""A pseudo-terminal with a program of ours on it, as `docker run --tty` makes one."""

from __future__ import annotations

import os
import pty
import select
import time
from typing import TYPE_CHECKING

from processes import DEADLINE, Machine, Program, Running, tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Terminal:
    """Types to the program, and reads what it shows."""

    def __init__(  # noqa: PLR0913 - what there is to say about a process on a terminal
        self,
        machine: Machine,
        program: Program,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        before: Sequence[str] = (),
        mode: int = 0o620,
    ) -> None:
        """Start a program as the leader of a session whose terminal this is.

        `before` are words to go before it, `mode` are the permissions of the terminal.
        """
        self._ours, theirs = pty.openpty()
        os.fchmod(theirs, mode)
        self._screen = ""
        self.running: Running = machine.start(
            program,
            command,
            environment=environment,
            stdin=theirs,
            stdout=theirs,
            before=[*before, tool("setsid"), "--ctty"],
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str, *, timeout: float = DEADLINE) -> str:
        """Wait until `text` is shown; return all since the last wait, up to and with it."""
        deadline = time.monotonic() + timeout
        while text not in self._screen:
            left = deadline - time.monotonic()
            assert left > 0, f"not shown within {timeout:g} s: {text!r} in {self._screen!r}"
            if select.select([self._ours], [], [], min(left, 0.2))[0]:
                try:
                    self._screen += os.read(self._ours, 4096).decode(errors="replace")
                except OSError:  # what the last one to close the other side leaves: EIO
                    assert text in self._screen, f"it ended with {self._screen!r} shown"
        end = self._screen.index(text) + len(text)
        shown, self._screen = self._screen[:end], self._screen[end:]
        return shown

    def close(self) -> None:
        """Hang up."""
        os.close(self._ours)
