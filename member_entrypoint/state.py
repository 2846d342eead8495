"""What PID 1 notes about a member's life, for probes, which ask from outside.

The notes are files in `run/mongooseim` that everybody may read. Each of them is whole or missing. A
probe imports this every few seconds, so it imports next to nothing.
"""

import os

from member_entrypoint.files import whole

STATE_FILE = "run/mongooseim/state"
PROCESSES_FILE = "run/mongooseim/processes"
PARTITION_FILE = "run/mongooseim/partition"
LEFT_FILE = "run/mongooseim/left"
YIELD_FILE = "run/mongooseim/second"
OTHER_CLUSTER_FILE = "run/mongooseim/other-cluster"
WAIT_FILE = "run/mongooseim/waits"
LOGS_FILE = "run/mongooseim/logs"
REASONS = (PARTITION_FILE, LEFT_FILE, YIELD_FILE)
"""Notes that say why a member that serves is not ready."""

FAILING_FILE = "run/mongooseim/failing-"
"""A note for each helper that fails again and again, with the name of its task behind this."""
FAILING_FOR = 150.0
"""Seconds for which such a note counts. A helper that still fails renews it once a minute."""
HELPERS = ("answer-probes", "discover", "watch")
"""The tasks of those that run beside the server."""

WAITING = "waiting"
STARTING = "starting"
SERVING = "serving"
STOPPING = "stopping"
STATES = (WAITING, STARTING, SERVING, STOPPING)

LONGEST_NOTE = 4096
LARGEST = 1e15
"""Of numbers: more seconds, and more events, than there have been."""


def begin(root: str, port: int) -> None:
    """Note that a member's life begins in this process; remove the notes of an earlier one.

    `port` is the TCP port whose listener makes the member ready. Raises OSError.
    """
    os.makedirs(os.path.join(root, os.path.dirname(STATE_FILE)), exist_ok=True)
    for stale in (STATE_FILE, *REASONS, OTHER_CLUSTER_FILE, WAIT_FILE, LOGS_FILE):
        forget(root, stale)
    for helper in HELPERS:
        forget(root, FAILING_FILE + helper)
    note_processes(root, port)
    note(root, STATE_FILE, WAITING)


def note_processes(root: str, port: int, *, vm: int = 0, node: tuple[str, ...] = ()) -> None:
    """Note which processes the member is made of, and how its node is reached; raises OSError.

    A process is its pid and the time at which it started, since pids are used again.
    """
    notes = [("init", str(os.getpid()), started(os.getpid())), ("port", str(port))]
    if vm:
        notes += [("vm", str(vm), started(vm)), ("node", *node)]
    note(root, PROCESSES_FILE, "\n".join(" ".join(words) for words in notes))


def processes(root: str) -> dict[str, list[str]]:
    """Return what `note_processes` noted: the words of each line, by the first of them.

    What that cannot have written is left out, as is what another version writes.
    """
    lines = read(os.path.join(root, PROCESSES_FILE)).splitlines()
    noted = {words[0]: words[1:] for words in map(str.split, lines) if words}
    return {kind: words for kind, words in noted.items() if _is_whole(kind, words)}


def _is_whole(kind: str, words: list[str]) -> bool:
    if kind in {"init", "vm"}:
        return len(words) == 2 and all(map(is_count, words))  # noqa: PLR2004 - pid, start
    if kind == "port":
        return len(words) == 1 and _is_port(words[0])
    # The words of `Reach.for_probes`: name, carrier, port of epmd, own port, interface.
    return kind == "node" and len(words) in {3, 4, 5} and all(map(_is_port, words[2:4]))


def _is_port(word: str) -> bool:
    return is_count(word) and int(word) < 1 << 16


def note_logs(root: str, folder: str) -> None:
    """Note that a VM was started just now, and how large the logs in `folder` are; raises OSError.

    So what it logs can be told from what was logged before, should it end at once.
    """
    with os.scandir(folder) as entries:
        sizes = [f"{entry.stat().st_size} {entry.name}" for entry in entries if entry.is_file()]
    note(root, LOGS_FILE, "\n".join(sizes))


def vm_began(root: str) -> float | None:
    """Return when the VM was started, in seconds since 1970; None if that is not known."""
    try:
        return os.stat(os.path.join(root, LOGS_FILE)).st_mtime
    except OSError:
        return None


def log_sizes(root: str) -> dict[str, int]:
    """Return how large each log was then, in bytes, by its name."""
    lines = read(os.path.join(root, LOGS_FILE)).splitlines()
    words = [line.partition(" ") for line in lines]
    return {name: int(size) for size, _, name in words if size.isdecimal()}


def note(root: str, name: str, text: str) -> None:
    """Write the note `name` (one of the constants above), for everybody to read; raises OSError."""
    whole.write_whole(os.path.join(root, name), f"{text}\n".encode(), 0o644)


def forget(root: str, name: str) -> None:
    """Remove the note `name`, if it is there; raises OSError."""
    whole.remove(os.path.join(root, name))


def read(path: str) -> str:
    """Return a note; empty if there is none, or something that is no file."""
    try:
        descriptor = whole.regular(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, LONGEST_NOTE).decode(errors="replace").strip()
    except OSError:
        return ""  # of a process that has ended meanwhile
    finally:
        os.close(descriptor)


def reason(root: str, name: str) -> str:
    """Return, in one line, what a note gives as a reason; empty only if there is no such note."""
    path = os.path.join(root, name)
    return " ".join(read(path).split()) or (f"{path} is there" if os.path.lexists(path) else "")


def note_wait(root: str, text: str, reason: str, until: float) -> None:
    """Note for what a starting member waits, why, and until which instant of `time.monotonic`.

    It is for who asks only, so a failure is none.
    """
    lines = (str(until), " ".join(text.split()), " ".join(reason.split()))
    try:
        note(root, WAIT_FILE, "\n".join(lines))
    except OSError:
        return


def end_wait(root: str) -> None:
    """Remove that note; a failure is none, too."""
    try:
        forget(root, WAIT_FILE)
    except OSError:
        return


def wait(root: str) -> tuple[str, str, float]:
    """Return for what a starting member waits, why, and until when; empty for nothing."""
    until, text, reason, *_ = [*read(os.path.join(root, WAIT_FILE)).split("\n"), "", "", ""]
    return (text, reason, number(until)) if number(until) else ("", "", 0.0)


def note_failing(root: str, helper: str, now: float) -> None:
    """Note that a helper fails again and again; `now` is that of `time.monotonic`.

    Raises OSError.
    """
    note(root, FAILING_FILE + helper, str(now))


def is_failing(root: str, helper: str, now: float) -> bool:
    """Tell whether a helper fails again and again; `now` is that of `time.monotonic`."""
    noted = number(read(os.path.join(root, FAILING_FILE + helper)))
    return noted > 0.0 and now - noted < FAILING_FOR


def is_count(text: str) -> bool:
    """Tell whether something noted is a whole number, and no larger than one can be."""
    return text.isdecimal() and int(text) < LARGEST


def number(text: str) -> float:
    """Return a number that was noted, 0 for what cannot be one: all that are noted are positive."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 < value < LARGEST else 0.0


def process(pid: str) -> list[str]:
    """Return what /proc/PID/stat says from the state on (the third field); empty for no process."""
    return _fields(f"/proc/{pid}/stat")


def _fields(stat: str) -> list[str]:
    return read(stat).rpartition(")")[2].split()


def started(pid: int | str) -> str:
    """Return when a process started, in clock ticks since the machine did; empty for no process.

    That of its first thread: of /proc/PID/stat a process that qemu emulates sees one that qemu has
    made up, with another time than all others see.
    """
    fields = _fields(f"/proc/{pid}/task/{pid}/stat")
    return fields[19] if len(fields) > 19 else ""  # noqa: PLR2004 - as proc_pid_stat(5) has it
