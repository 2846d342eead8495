"""`/build.sh [PROJECT [REPO [COMMIT]]]`: settings > source > compilation > tarball."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder_entrypoint import VERSION
from builder_entrypoint.compilation import compile_release
from builder_entrypoint.errors import BuildError, ConfigurationError
from builder_entrypoint.links import check_links
from builder_entrypoint.locks import work_folder
from builder_entrypoint.masking import Mask
from builder_entrypoint.mirrors import Mirrors
from builder_entrypoint.names import printable
from builder_entrypoint.output import Output
from builder_entrypoint.processes import Processes, Signals
from builder_entrypoint.publication import Built, publish
from builder_entrypoint.settings import Settings, read_settings
from builder_entrypoint.source import fetch_source
from builder_entrypoint.tarball import check_folder, packed
from builder_entrypoint.texts import HELP, plan


def main() -> int:
    """Build the commit that arguments and environment name; return the exit status."""
    signals = Signals()
    environment = dict(os.environ)
    try:
        settings = read_settings(sys.argv[1:], environment)
    except ConfigurationError as error:
        sys.stderr.write(Mask().text(f"{error}\n"))
        return error.status
    if settings.options:
        sys.stdout.write(_text_for_option(settings))
        return 0
    output = Output(Mask(settings.repository), lambda: signals.requested is not None)
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
    try:
        with work_folder() as (work, lock), processes.holding(lock):
            mirrors = Mirrors(settings, work, processes, environment)
            source = fetch_source(settings, work, mirrors, processes)
            settings = replace(settings, commit=source.name)
            release = compile_release(settings, source, work, processes, environment)
            left_out = check_links(release, source.folder, processes.signals.check)
            if left_out.folders:
                processes.output.say(
                    f"not packed: {left_out.folders} .git of dependencies, {left_out.size:,} bytes"
                )
            epoch = settings.epoch(source.time)
            with packed(release, settings.builds, epoch, processes, environment) as tarball:
                return publish(settings, Built(source, release, tarball), processes)
    except OSError as error:
        raise BuildError(f"reading or writing a file failed: {error}") from error
    finally:
        processes.end_all()


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


def _text_for_option(settings: Settings) -> str:
    """Return what `--help`, `--version` or `--dry-run` prints."""
    if "--help" in settings.options:
        return HELP
    if "--version" in settings.options:
        return f"build.sh {VERSION}\n"
    return Mask(settings.repository).text(plan(settings))


if __name__ == "__main__":
    raise SystemExit(main())
