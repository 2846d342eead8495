"""Running a program to its end, within a time, and failing with its words.

For helper processes: in PID 1 only the supervisor starts programs and waits for them.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from member_entrypoint import environment

LONGEST_OUTPUT = 400  # characters of the output that an error shows
AFTER_KILL = 1.0  # seconds for the output of a killed program to end


class ProgramError(Exception):
    """A program that failed; the text has its name, how it ended, and what it printed.

    `status` is the exit status, -N for signal N, or None where there is none.
    """

    def __init__(self, command: Sequence[str], how: str, status: int | None, output: str) -> None:
        """Take what was run, how it ended in words, its status and what it printed."""
        name = os.path.basename(command[0])
        if command[1:2] and command[1][:1] not in {"-", "+"}:
            name += f" {command[1]}"
        words = " ".join(output.split())[:LONGEST_OUTPUT]
        super().__init__(f"{name} {how}" + (f": {words}" if words else ""))
        self.command = tuple(command)
        self.status = status
        self.output = output


def run(command: Sequence[str], timeout: float, variables: Mapping[str, str] | None = None) -> str:
    """Run a program, without standard input, and return what it printed on both its outputs.

    `variables` are set in its environment beside ours; an empty one is taken away.

    Raises `ProgramError` if it cannot be started, if its status is not 0, or if it has not ended
    after `timeout` seconds: it is killed then, with its whole process group.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment.changed(variables) if variables else None,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramError(command, f"cannot be run ({error.strerror})", None, "") from None
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = _last_words(process)
        raise ProgramError(command, f"did not end within {timeout:.3g} s", None, output) from None
    if process.returncode != 0:
        how = f"ended with status {process.returncode}"
        raise ProgramError(command, how, process.returncode, output)
    return output


def _last_words(killed: subprocess.Popen[str]) -> str:
    """Return what a killed program printed, unless a process that it left holds the pipe open."""
    try:
        return killed.communicate(timeout=AFTER_KILL)[0]
    except subprocess.TimeoutExpired:
        return ""
