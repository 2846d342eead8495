"""What a VM has left behind in this life: its crash dump, and what it wrote to its logs."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping

from member_entrypoint import state
from member_entrypoint.erlang.reach import flags_of
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places
from member_entrypoint.release.active import Release
from member_entrypoint.settings import Settings

CRASH_DUMP = "ERL_CRASH_DUMP"
NAME_OF_DUMP = "erl_crash.dump"  # in the folder in which the VM runs: "erl" in the ERTS manual
LARGEST_PART = 1 << 20  # bytes of the end of a log that are read
MOST_READ = 4 << 20  # bytes of all logs together: the container's end waits for it
LARGEST_HEAD = 8192  # bytes of a crash dump that are read: the slogan is its third line
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_SLOGAN = re.compile(rb"^Slogan: (.*)$", re.MULTILINE)
# Erlang/OTP 27, other than 25, gives the reason as a string of Erlang's, which may be cut.
_REASON_AS_STRING = re.compile(r'(.{1,300}? \()"((?:[^"\\]|\\.)*)(?:"?\)?|\\)')
_ERROR = re.compile(r"""\blevel=(?:error|critical|alert|emergency)\b|"level":"(?:error|critical)""")


class Traces(NamedTuple):
    """What was found: `slogan` of the crash dump `dump`, and what is new in the logs, by path."""

    slogan: str = ""
    dump: str = ""
    logs: Mapping[str, str] = {}

    @property
    def text(self) -> str:
        """All of it, to search in."""
        return "\n".join((self.slogan, *self.logs.values()))

    def first_error(self) -> tuple[str, str]:
        """Return the first error that was logged, and the path of the log; empty without one."""
        for path, text in self.logs.items():
            for line in text.splitlines():
                if _ERROR.search(line):
                    return line.strip(), path
        return "", ""


def find(
    release: Release, places: Places, settings: Settings, environment_dump: str = ""
) -> Traces:
    """Return what was left behind since PID 1 noted that the VM was started.

    `environment_dump` is what the environment says of the crash dump's place.
    """
    began = state.vm_began(places.root)
    if began is None:
        return Traces()
    slogan, dump = "", ""
    for path in _dumps(release, settings, environment_dump):
        if found := _SLOGAN.search(_new(path, began, 0, head=True)):
            slogan, dump = _plain(found[1].decode(errors="replace").strip()), path
            break
    return Traces(slogan, dump, dict(_logs(places, began)))


def _plain(slogan: str) -> str:
    """Return a slogan as Erlang/OTP 25 writes it: its reason is no string."""
    if not (found := _REASON_AS_STRING.fullmatch(slogan)):
        return slogan
    reason = re.sub(r"\\(.)", lambda escaped: " " if escaped[1] in "nrt" else escaped[1], found[2])
    return f"{found[1]}{reason})"


def _dumps(release: Release, settings: Settings, environment_dump: str) -> Iterator[str]:
    """Yield where a crash dump may be; relative paths begin where the VM runs."""
    flags = flags_of(release, settings)
    of_flags = [values[1] for values in flags.all("env") if values[:1] == (CRASH_DUMP,)]
    for path in dict.fromkeys((*of_flags[-1:], environment_dump, NAME_OF_DUMP)):
        if path:
            yield os.path.join(release.server, path)


def _logs(places: Places, began: float) -> Iterator[tuple[str, str]]:
    """Yield path and new text of each log, that of the server first, up to `MOST_READ`."""
    left = MOST_READ
    sizes = state.log_sizes(places.root)
    folder = os.path.realpath(places.log_now)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in sorted(names, key=lambda name: not name.endswith(".log")):
        if name != NAME_OF_DUMP and left > 0:
            path = os.path.join(folder, name)
            if new := _new(path, began, sizes.get(name, 0)):
                left -= len(new)
                yield path, new.decode(errors="replace")


def _new(path: str, began: float, old_size: int, *, head: bool = False) -> bytes:
    """Return what was written to a file since `began`; empty if nothing was, or it is no file."""
    with contextlib.suppress(OSError), open(os.open(path, READ), "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and found.st_mtime >= began:
            if head:
                return file.read(LARGEST_HEAD)
            # A smaller file than before is a new one.
            start = old_size if old_size <= found.st_size else 0
            file.seek(max(start, found.st_size - LARGEST_PART))
            return file.read(LARGEST_PART)
    return b""
