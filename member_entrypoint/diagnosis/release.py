"""Which release would run, and can it? Also one in a tarball, which is read and not unpacked."""

import os
import tarfile

from member_entrypoint.diagnosis import elf
from member_entrypoint.diagnosis.findings import Findings
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places
from member_entrypoint.release import active, server_root, tarball
from member_entrypoint.release.active import Release
from member_entrypoint.release.tree import Path
from member_entrypoint.release.unpacking import TOP, inspect

DATA = "releases/start_erl.data"
CANNOT_RUN = 126  # of the shell that the start script is
ROOM = 1 << 20  # bytes to spare beside what is unpacked


class Given(NamedTuple):
    """The release that would run; `etc` are its own configuration files, if it is in a tarball."""

    release: Release
    etc: dict[str, bytes] | None = None


def look(found: Findings, places: Places) -> Given | None:
    """Return the release that would run, None where there is none that can."""
    with found.refusals("release"):
        name = tarball.wanted(places)
        if tarball.is_to_be_unpacked(places, name):
            with found.refusals("release"):
                tarball.refuse_unwritable(places)
            return _in_tarball(found, places)
        now = name == places.release_name
        root = places.release if now else os.path.join(os.path.dirname(places.release), name)
        release = active.find(root)
        server_root.refuse_not_laid_out(root)
        where = places.tarball if name.startswith(tarball.OF_THE_MEMBER) else "the image"
        path = f"{release.server}/erts-{release.erts}/bin/beam.smp"
        _judge(found, path, _head(path))
        found.ok("release", f"release {release.version} of {where}, ERTS {release.erts}")
        return Given(release)
    return None


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(elf.LONGEST_HEADER)
    except OSError:
        return b""


def _judge(found: Findings, path: str, header: bytes) -> None:
    if reason := elf.why_not_run(header, os.uname().machine):
        text = f"{path} cannot be run: {reason}"
        found.error("release", text, "build the release for this machine", CANNOT_RUN)


class _Inside:
    """What matters of a release in a tarball."""

    def __init__(self) -> None:
        self.heads: dict[str, bytes] = {}
        self.modes: dict[str, int] = {}
        self.etc: dict[str, bytes] = {}
        self.size = 0

    def visit(self, path: Path, entry: tarfile.TarInfo, content: bytes) -> None:
        """Take what is needed of an entry."""
        name = "/".join(path[1:])
        self.size += entry.size
        if entry.isdir():
            return
        # Where a link leads shows when it is unpacked.
        self.modes[name] = entry.mode if entry.isreg() else 0o755
        if path[1:2] == ("etc",) and len(path) == 3 and entry.isreg():  # noqa: PLR2004 - a file
            self.etc[path[2]] = content
        if name == DATA or name.endswith("/bin/beam.smp"):
            self.heads[name] = content[: elf.LONGEST_HEADER]


def _in_tarball(found: Findings, places: Places) -> Given:
    """Return what is in the operator's tarball; raises `ConfigurationError`."""
    inside = _Inside()
    try:
        descriptor = users.open_to_read(places.tarball, places)
    except OSError as error:
        raise ConfigurationError(
            f"{places.tarball} cannot be read ({error.strerror}; {users.whoami()}); make it "
            "readable for that user"
        ) from None
    os.close(descriptor)
    inspect(places.tarball, inside.visit)
    data = f"{places.tarball}: {TOP}/{DATA}"
    if DATA not in inside.heads:
        raise ConfigurationError(
            f"{places.tarball} is no MongooseIM release: it has no {TOP}/{DATA}"
        )
    release = active.described(places.release, data, inside.heads[DATA])
    for program in active.programs(release):
        if not inside.modes.get(program, 0) & 0o100:
            raise ConfigurationError(
                f"{places.tarball} is no whole release: it has no program {TOP}/{program}; build "
                "it anew"
            )
    beam = f"erts-{release.erts}/bin/beam.smp"
    _judge(found, f"{places.tarball}: {TOP}/{beam}", inside.heads.get(beam, b""))
    folder = os.path.dirname(places.release)
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < inside.size + ROOM:
        raise ConfigurationError(
            f"{places.tarball} cannot be unpacked: it needs {_mib(inside.size)} in {folder}, which "
            f"has {_mib(room.f_bavail * room.f_frsize)} left; make room"
        )
    found.ok(
        "release",
        f"{places.tarball} is whole; it would be unpacked to {_mib(inside.size)}: "
        f"release {release.version}, ERTS {release.erts}",
    )
    return Given(release._replace(names=frozenset(inside.etc)), inside.etc)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
