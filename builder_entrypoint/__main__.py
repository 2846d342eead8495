"""`/build.sh [PROJECT [REPO [COMMIT]]]`: settings > source > compilation > tarball."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder_entrypoint import VERSION
from builder_entrypoint.builds import list_builds, note_build, stop_builds
from builder_entrypoint.compilation import compile_release
from builder_entrypoint.errors import BuildError, ConfigurationError
from builder_entrypoint.job import Job
from builder_entrypoint.links import check_links
from builder_entrypoint.locks import work_folder
from builder_entrypoint.masking import Mask
from builder_entrypoint.mirrors import Mirrors
from builder_entrypoint.names import printable
from builder_entrypoint.output import Output
from builder_entrypoint.processes import Processes
from builder_entrypoint.publication import Built, publish
from builder_entrypoint.settings import Settings, read_settings
from builder_entrypoint.signals import Signals
from builder_entrypoint.source import Source, fetch_source
from builder_entrypoint.tarball import check_folder, packed
from builder_entrypoint.texts import HELP, plan


def main() -> int:
    """Build the commit that arguments and environment name; return the exit status."""
    signals = Signals()
    try:
        return run(signals)
    finally:
        signals.end()


def run(signals: Signals) -> int:
    """Do what arguments and environment say; return the exit status."""
    environment = dict(os.environ)
    try:
        settings = read_settings(sys.argv[1:], environment)
    except ConfigurationError as error:
        sys.stderr.write(Mask().text(f"{error}\n"))
        return error.status
    if settings.options:
        return answer(settings)
    hint = f"/build.sh --stop {shlex.quote(settings.project)} ends it"
    output = Output(Mask(settings.repository), lambda: signals.requested is not None, hint)
    try:
        tarball = build(settings, Processes(signals, output), environment)
    except BuildError as error:
        report_failure(settings, output, error)
        return error.status
    except BaseException:
        output.say("build failed")  # because of a bug: the traceback follows
        raise
    output.say(f"{tarball} is ready")
    return 0


def build(settings: Settings, processes: Processes, environment: Mapping[str, str]) -> Path:
    """Build and return the tarball; end all programs that were started. Raises `BuildError`."""
    check_outputs(settings, processes.output)
    progress = processes.output.progress
    try:
        with work_folder() as (work, lock), processes.holding(lock):
            note_build(settings, lock)
            mirrors = Mirrors(settings, work, processes, environment)
            source = fetch_source(settings, work, mirrors, processes)
            settings = replace(settings, commit=source.name)
            job = Job(
                settings=settings,
                source=source,
                work=work,
                mirrors=mirrors,
                processes=processes,
                environment=environment,
            )
            release = compile_release(job)
            with progress.phase("pack"):
                _check_release(release, source, processes)
                epoch = settings.epoch(source.time)
                with packed(release, settings.builds, epoch, processes, environment) as tarball:
                    path = publish(settings, Built(source, release, tarball), processes)
            for line in progress.summary():
                processes.output.say(line)
            processes.output.say(f"tarball: {tarball.size:,} bytes, SHA-256 {tarball.sha256}")
            return path
    except OSError as error:
        raise BuildError(f"reading or writing a file failed: {error}") from error
    finally:
        processes.end_all()


def _check_release(release: Path, source: Source, processes: Processes) -> None:
    """Check the links of the release, and say what is not packed. Raises `TarballError`."""
    left_out = check_links(release, source.folder, processes.signals.check)
    if left_out.folders:
        processes.output.say(
            f"not packed: {left_out.folders} .git of dependencies, {left_out.size:,} bytes"
        )


def check_outputs(settings: Settings, output: Output) -> None:
    """Check that tarball and log can be written; print the first line, to the log too if possible.

    Raises `BuildError` if one of them cannot be written.
    """
    problem: BuildError | None = None
    try:
        check_folder(settings.builds)
        output.open_log(settings.log_file)
    except BuildError as error:
        problem = error
    except OSError as error:
        problem = ConfigurationError(
            f"LOGFILE={printable(str(settings.log_file))} cannot be written: {error.strerror}"
        )
    output.say(f"do_build: {settings.project} {settings.commit} {settings.repository}")
    if problem:
        raise problem


def report_failure(settings: Settings, output: Output, error: BuildError) -> None:
    """Print the error, after the last lines of the program that failed."""
    if error.ended:
        name = error.ended.name
        output.say(f"the last lines of {name} (the whole output is in {settings.log_file}):")
        output.repeat_tail()
    output.say(str(error))
    output.say("build failed")


def answer(settings: Settings) -> int:
    """Do what an option asks for instead of a build; return the exit status."""
    if "--help" in settings.options:
        _print(HELP)
    elif "--version" in settings.options:
        _print(f"build.sh {VERSION}\n")
    elif "--list" in settings.options:
        return list_builds(lambda line: _print(f"{printable(line)}\n"))
    elif "--stop" in settings.options:
        project = settings.project if settings.project_given else None
        return stop_builds(project, lambda line: _print(f"{printable(line)}\n"))
    else:
        _print(Mask(settings.repository).text(plan(settings)))
    return 0


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
