"""From source to release: configure, make, and write the version file."""

import contextlib
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from builder_entrypoint.compiled import CompiledDependencies
from builder_entrypoint.configuration import configure
from builder_entrypoint.dependencies import prepare_git
from builder_entrypoint.errors import CompilationError
from builder_entrypoint.git import without_repository_variables
from builder_entrypoint.hex_server import answering
from builder_entrypoint.job import Job
from builder_entrypoint.lockfile import Lock, read_lock
from builder_entrypoint.masking import Mask
from builder_entrypoint.memory import kills
from builder_entrypoint.packages import PackageCache
from builder_entrypoint.settings import Settings
from builder_entrypoint.source import Source
from builder_entrypoint.versions import CARRIED, carried_libraries, otp_root

RELEASE = Path("_build", "prod", "rel", "mongooseim")


def compile_release(job: Job) -> Path:
    """Compile the source and return the folder of the release. Raises `CompilationError`.

    Raises `StoppedError` when a stop is requested.
    """
    source, phase = job.source, job.processes.output.progress.phase
    epoch = str(job.settings.epoch(source.time))
    variables = without_repository_variables(job.environment) | {"SOURCE_DATE_EPOCH": epoch}
    packages = PackageCache(job)
    lock = read_lock(source.folder)
    with phase("configure"):
        configure(job, variables)
    compiled = CompiledDependencies(job, lock)
    with phase("fetch dependencies"):
        compiled.restore()
        variables |= packages.prepare(job.environment)
        variables |= prepare_git(job, lock)
    with phase("compile"), _hex(job, packages, lock) as hex_variables:
        _make(job, {**variables, **hex_variables})
    release = source.folder / RELEASE
    if not release.is_dir() or not any(release.iterdir()):
        raise CompilationError(
            f"compilation failed: make rel ended with status 0, but made no release in {RELEASE}"
        )
    _write_version(job.settings, source, release)
    _carry_libraries(release)
    if job.settings.use_cache:
        with phase("save the cache"):
            packages.save()
            compiled.save()
    return release


def _hex(job: Job, packages: PackageCache, lock: Lock) -> AbstractContextManager[Mapping[str, str]]:
    """Answer rebar3's questions about packages, if it has all that the lock pins."""
    if lock.packages and packages.has_all(lock):
        return answering(job.environment)
    return contextlib.nullcontext({})


def _make(job: Job, environment: Mapping[str, str]) -> None:
    """Run `make rel`. Raises `CompilationError`, `StoppedError`."""
    before = kills()
    command, name = ["make", "rel"], "make rel"
    folder = job.source.folder
    ended = job.processes.run(command, name=name, environment=environment, folder=folder)
    if ended.succeeded:
        return
    killed = kills() - before
    why = (
        f"; meanwhile the kernel killed {killed} of its processes, because memory ran out: "
        "give the container more"
        if killed > 0
        else ""
    )
    raise CompilationError(f"compilation failed: {ended.explained()}{why}", ended)


def _carry_libraries(release: Path) -> None:
    """Copy the shared libraries that Erlang/OTP carries: see `builder_entrypoint.adoption`."""
    root = otp_root()
    if root is not None and carried_libraries(root):
        shutil.copytree(root / CARRIED, release / CARRIED, dirs_exist_ok=True)


def _write_version(settings: Settings, source: Source, release: Path) -> None:
    repository = Mask(settings.repository).text(settings.repository)
    text = f"{settings.project}-{settings.commit}-{repository}\n{source.description}\n"
    try:
        (release / "version").write_bytes(text.encode(errors="surrogateescape"))
    except OSError as error:
        raise CompilationError(
            f"compilation failed: {RELEASE}/version cannot be written: {error.strerror}"
        ) from error
