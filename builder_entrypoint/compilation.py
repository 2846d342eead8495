"""From source to release: configure, make, and write the version file."""

from collections.abc import Mapping
from pathlib import Path

from builder_entrypoint.configuration import configure
from builder_entrypoint.errors import CompilationError
from builder_entrypoint.git import without_repository_variables
from builder_entrypoint.masking import Mask
from builder_entrypoint.memory import kills
from builder_entrypoint.packages import PackageCache
from builder_entrypoint.processes import Processes
from builder_entrypoint.settings import Settings
from builder_entrypoint.source import Source

RELEASE = Path("_build", "prod", "rel", "mongooseim")


def compile_release(
    settings: Settings,
    source: Source,
    work: Path,
    processes: Processes,
    environment: Mapping[str, str],
) -> Path:
    """Compile `source` and return the folder of the release. Raises `CompilationError`.

    Raises `StoppedError` when a stop is requested.
    """
    epoch = str(settings.epoch(source.time))
    variables = without_repository_variables(environment) | {"SOURCE_DATE_EPOCH": epoch}
    packages = PackageCache(settings, work, processes)
    variables |= packages.prepare(environment)
    configure(settings, source, processes, variables)
    with processes.output.progress.phase("compile"):
        _make(source, processes, variables)
    release = source.folder / RELEASE
    if not release.is_dir() or not any(release.iterdir()):
        raise CompilationError(
            f"compilation failed: make rel ended with status 0, but made no release in {RELEASE}"
        )
    _write_version(settings, source, release)
    packages.save()
    return release


def _make(source: Source, processes: Processes, environment: Mapping[str, str]) -> None:
    """Run `make rel`. Raises `CompilationError`, `StoppedError`."""
    before = kills()
    command, name = ["make", "rel"], "make rel"
    ended = processes.run(command, name=name, environment=environment, folder=source.folder)
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


def _write_version(settings: Settings, source: Source, release: Path) -> None:
    repository = Mask(settings.repository).text(settings.repository)
    text = f"{settings.project}-{settings.commit}-{repository}\n{source.description}\n"
    try:
        (release / "version").write_bytes(text.encode(errors="surrogateescape"))
    except OSError as error:
        raise CompilationError(
            f"compilation failed: {RELEASE}/version cannot be written: {error.strerror}"
        ) from error
