"""From release to one compressed file: the same bytes for the same tree."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder_entrypoint.errors import TarballError
from builder_entrypoint.locks import remove_orphaned_files, temporary_file
from builder_entrypoint.processes import Processes

TEMPORARY = ".mongooseim-builder-"
# What would change what tar, pigz and gzip do behind our back.
_TOOL_OPTIONS = ("TAR_OPTIONS", "GZIP", "PIGZ", "TAPE", "POSIXLY_CORRECT")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A tarball that is complete, under its temporary name."""

    path: Path
    size: int
    """In bytes."""
    sha256: str
    """Hexadecimal."""


def check_folder(builds: Path) -> None:
    """Find out before hours of compilation whether a tarball can be written into `builds`.

    Removes what builds that were killed left there. Raises `TarballError`.
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
    """Pack `release` into a temporary file, which is gone afterwards unless it was renamed.

    `epoch` is the time of all entries, seconds since 1970. Raises `TarballError`.
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
    """Run tar and the compressor, and give `write` what comes out."""
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
        *("--directory", str(release.parent), "--", release.name),
    ]


def _compressor() -> list[str]:
    """Return the command that compresses: on all cores, with the same bytes on one, if it can."""
    return ["pigz", "-n"] if shutil.which("pigz") else ["gzip", "-n"]
