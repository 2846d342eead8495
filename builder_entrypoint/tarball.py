"""Packs a release as one compressed file: the same tree gives the same bytes."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder_entrypoint.errors import TarballError
from builder_entrypoint.links import LEFT_OUT
from builder_entrypoint.locks import remove_orphaned_files, temporary_file
from builder_entrypoint.processes import Processes

TEMPORARY = ".mongooseim-builder-"
# Variables that change what tar, pigz and gzip do.
_TOOL_OPTIONS = ("TAR_OPTIONS", "GZIP", "PIGZ", "TAPE", "POSIXLY_CORRECT")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A complete tarball that still has its temporary name."""

    path: Path
    """The temporary name."""
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal digits."""


def check_folder(builds: Path) -> None:
    """Check that a tarball can be written into `builds`; remove temporary files of killed builds.

    This is done before a long compilation. Raises `TarballError`.
    """
    for program in ("tar", _compressor()[0]):
        if shutil.which(program) is None:
            raise TarballError(f"packing failed: {program} is not installed, or not on PATH")
    try:
        remove_orphaned_files(builds, TEMPORARY)
        with tempfile.TemporaryFile(dir=builds):
            pass
    except FileNotFoundError as error:
        raise TarballError(
            f"packing failed: there is no folder {builds}: mount a volume there, or set BUILDS"
        ) from error
    except OSError as error:
        raise TarballError(
            f"packing failed: cannot write into {builds}: {error.strerror}"
        ) from error


@contextlib.contextmanager
def packed(
    release: Path, builds: Path, epoch: int, processes: Processes, environment: Mapping[str, str]
) -> Iterator[Packed]:
    """Pack `release` into a temporary file, which is removed afterwards unless it was renamed.

    `epoch` is the time of all entries, seconds since 1970. Raises `TarballError`, `StoppedError`.
    """
    try:
        with temporary_file(builds, TEMPORARY) as (path, file):
            digest = hashlib.sha256()

            def write(data: bytes) -> None:
                digest.update(data)
                file.write(data)

            _pack(release, epoch, processes, environment, write)
            file.flush()
            os.fsync(file.fileno())
            yield Packed(path=path, size=file.tell(), sha256=digest.hexdigest())
    except OSError as error:
        raise TarballError(
            f"packing failed: cannot write the tarball into {builds}: {error.strerror}"
        ) from error


def _pack(
    release: Path,
    epoch: int,
    processes: Processes,
    environment: Mapping[str, str],
    write: Callable[[bytes], object],
) -> None:
    """Run tar and the compressor; call `write` with each piece of the result."""
    variables = {name: value for name, value in environment.items() if name not in _TOOL_OPTIONS}
    compressor = _compressor()
    ended = processes.run_pipeline(
        {"tar": _tar(release, epoch), compressor[0]: compressor},
        phase="packing",
        environment=variables,
        take=write,
    )
    if not ended.succeeded:
        raise TarballError(f"packing failed: {ended.explained()}", ended)


def _tar(release: Path, epoch: int) -> list[str]:
    return [
        *("tar", "--create", "--format=gnu", "--dereference", "--hard-dereference"),
        *("--sort=name", "--owner=0", "--group=0", "--numeric-owner", f"--mtime=@{epoch}"),
        *("--mode=ug-s", f"--exclude={LEFT_OUT}"),  # no setuid, no setgid
        *("--directory", str(release.parent), "--", release.name),
    ]


def _compressor() -> list[str]:
    """Return the command that compresses; pigz uses all cores, and always gives the same bytes."""
    return ["pigz", "-n"] if shutil.which("pigz") else ["gzip", "-n"]
