"""What PID 1 notes of a member's life, for those who ask from outside: probes.

The notes are files in `run/mongooseim` that everybody may read, each of them whole or not there. A
probe imports this every few seconds: it must cost next to nothing, and so must this.
"""

import os

STATE_FILE = "run/mongooseim/state"
PROCESSES_FILE = "run/mongooseim/processes"
PARTITION_FILE = "run/mongooseim/partition"
LEFT_FILE = "run/mongooseim/left"

WAITING = "waiting"
STARTING = "starting"
SERVING = "serving"
STOPPING = "stopping"
STATES = (WAITING, STARTING, SERVING, STOPPING)

LONGEST_NOTE = 4096


def begin(root: str, port: int) -> None:
    """Note that a member's life begins in this process; what an earlier one left goes.

    `port` is the one whose listener tells that the member is ready. Raises OSError.
    """
    os.makedirs(os.path.join(root, os.path.dirname(STATE_FILE)), exist_ok=True)
    for stale in (STATE_FILE, PARTITION_FILE, LEFT_FILE):
        _remove(os.path.join(root, stale))
    note_processes(root, port)
    write(os.path.join(root, STATE_FILE), WAITING)


def note_processes(root: str, port: int, *, vm: int = 0, node: tuple[str, ...] = ()) -> None:
    """Note which processes the member is made of, and how its node is reached; raises OSError.

    A process is its pid and the time at which it started: pids are given anew.
    """
    notes = [("init", str(os.getpid()), started(os.getpid())), ("port", str(port))]
    if vm:
        notes += [("vm", str(vm), started(vm)), ("node", *node)]
    text = "\n".join(" ".join(words) for words in notes)
    write(os.path.join(root, PROCESSES_FILE), text)


def processes(root: str) -> dict[str, list[str]]:
    """Return what `note_processes` noted: the words of each line, by the first of them."""
    lines = read(os.path.join(root, PROCESSES_FILE)).splitlines()
    return {words[0]: words[1:] for words in map(str.split, lines) if words}


def write(path: str, text: str) -> None:
    """Write a note whole or not at all, for everybody to read; raises OSError."""
    temporary = f"{path}.unfinished"
    _remove(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.fchmod(descriptor, 0o644)
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


def read(path: str) -> str:
    """Return a note; empty if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, LONGEST_NOTE).decode(errors="replace").strip()
    finally:
        os.close(descriptor)


def reason(root: str, name: str) -> str:
    """Return, in one line, what a note gives as a reason; empty only if there is no such note."""
    path = os.path.join(root, name)
    return " ".join(read(path).split()) or (f"{path} is there" if os.path.lexists(path) else "")


def process(pid: str) -> list[str]:
    """Return what /proc/PID/stat says from the state on (the third field); empty for no process."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def started(pid: int | str) -> str:
    """Return when a process started, in clock ticks since the machine did; empty for no process."""
    fields = process(str(pid))
    return fields[19] if fields else ""


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
