"""`/build.sh [PROJECT [REPO [COMMIT]]]`: settings > source > compilation > tarball."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from builder_entrypoint import VERSION, settings, source
from builder_entrypoint.compilation import compile_release
from builder_entrypoint.errors import BuildError, ConfigurationError
from builder_entrypoint.links import check_links
from builder_entrypoint.locks import work_folder
from builder_entrypoint.masking import Mask
from builder_entrypoint.names import shown
from builder_entrypoint.output import Output
from builder_entrypoint.processes import Processes, Signals
from builder_entrypoint.publication import Built, publish
from builder_entrypoint.settings import Settings
from builder_entrypoint.tarball import check_folder, packed
from builder_entrypoint.texts import HELP, plan


def main() -> int:
    """Build what the arguments and the environment ask for; return the exit status."""
    signals = Signals()
    environment = dict(os.environ)
    try:
        asked = settings.read(sys.argv[1:], environment)
    except ConfigurationError as error:
        sys.stderr.write(Mask().text(f"{error}\n"))
        return error.status
    if asked.options:
        sys.stdout.write(_answer(asked))
        return 0
    output = Output(Mask(asked.repository), lambda: signals.requested is not None)
    try:
        tarball = build(asked, Processes(signals, output), environment)
    except BuildError as error:
        report(asked, output, error)
        return error.status
    except BaseException:
        output.say("build failed")  # by a mistake of ours: the traceback follows
        raise
    output.say(f"{tarball} is ready")
    return 0


def build(asked: Settings, processes: Processes, environment: Mapping[str, str]) -> Path:
    """Build and return the tarball. Raises `BuildError`; no program that was started is left."""
    begin(asked, processes.output)
    try:
        with work_folder() as (work, lock), processes.holding(lock):
            made = source.fetch(asked, work, processes, environment)
            release = compile_release(asked, made, work, processes, environment)
            check_links(release, made.folder, processes.signals.check)
            epoch = made.time if asked.source_date_epoch is None else asked.source_date_epoch
            with packed(release, asked.builds, epoch, processes, environment) as tarball:
                return publish(asked, Built(made, release, tarball), processes)
    except OSError as error:
        raise BuildError(f"no work folder for the build: {error}") from error
    finally:
        processes.end_all()


def begin(asked: Settings, output: Output) -> None:
    """Say what will be built, there where all that follows is said, if that is possible.

    Raises `BuildError` if a tarball or the log cannot be written.
    """
    problem: BuildError | None = None
    try:
        check_folder(asked.builds)
        output.open_log(asked.log_file)
    except BuildError as error:
        problem = error
    except OSError as error:
        problem = ConfigurationError(
            f"LOGFILE={shown(str(asked.log_file))} cannot be written: {error.strerror}"
        )
    output.say(f"do_build: {asked.project} {asked.commit} {asked.repository}")
    if problem:
        raise problem


def report(asked: Settings, output: Output, error: BuildError) -> None:
    """Say what failed, and repeat the end of what the failed command printed."""
    if error.ended:
        output.say(f"the last lines of {error.ended.name} (everything is in {asked.log_file}):")
        output.repeat_tail()
    output.say(str(error))
    output.say("build failed")


def _answer(asked: Settings) -> str:
    if "--help" in asked.options:
        return HELP
    if "--version" in asked.options:
        return f"build.sh {VERSION}\n"
    return Mask(asked.repository).text(plan(asked))


if __name__ == "__main__":
    raise SystemExit(main())
