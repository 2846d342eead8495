"""Runs `tools/configure`, and notices what it did not take: it ends with status 0 in any case."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from builder_entrypoint.errors import CompilationError
from builder_entrypoint.job import Job
from builder_entrypoint.processes import Ended
from builder_entrypoint.settings import CONFIGURE_DEFAULT

NAME = "tools/configure"
RESULT = "configure.out"
# How a release configures itself, if that was not done before: in MongooseIM 2.2.1 to 6.3 by
# `./tools/configure with-all without-jingle-sip`, before by `with-all`, later without arguments.
_OWN_COMMAND = re.compile(r"^\t@?\./tools/configure((?: +[\w.=/-]+)*) *$", re.MULTILINE)
_UNKNOWN = re.compile(r"unknown option: (.+)")


def configure(job: Job, environment: Mapping[str, str]) -> None:
    """Run `tools/configure` in the source. Raises `CompilationError`, `StoppedError`."""
    source = job.source
    script = source.folder / NAME
    if not script.exists():
        raise CompilationError(
            f"compilation failed: {source.commit_hash} has no tools/configure: "
            "is this a MongooseIM repository?"
        )
    given = job.settings.configure_arguments
    arguments = _own_arguments(source.folder) if given is None else given
    command = [str(script), *arguments]
    ended = job.processes.run(command, name=NAME, environment=environment, folder=source.folder)
    if not ended.succeeded:
        raise CompilationError(f"compilation failed: {ended.explained()}", ended)
    problem = _problem(script, ended) if arguments else None
    if problem is None:
        return
    text = f"tools/configure did not take {shlex.join(arguments)}: {problem}"
    if given is None:
        job.processes.output.say(text)
    else:
        raise CompilationError(
            f"compilation failed: {text}; leave out of CONFIGURE_ARGS what this release does not "
            "know, or unset it: then the release is configured as its own Makefile does"
        )


def _own_arguments(folder: Path) -> tuple[str, ...]:
    """Return the arguments that the Makefile of this release gives to `tools/configure`."""
    try:
        makefile = (folder / "Makefile").read_text(errors="replace")
    except OSError:
        return CONFIGURE_DEFAULT
    found = _OWN_COMMAND.search(makefile)
    return tuple(found[1].split()) if found else CONFIGURE_DEFAULT


def _problem(script: Path, ended: Ended) -> str | None:
    """Return why the arguments had no effect; None if they had."""
    found = _UNKNOWN.search("\n".join(ended.last_lines))
    unknown = f"it does not know {found[1].strip()}" if found else None
    unwritten = None
    result = script.parent.parent / RESULT
    if RESULT.encode() in script.read_bytes() and not result.exists():
        unwritten = f"it has not written {RESULT}, so that all of its arguments are lost"
    return ", and ".join(filter(None, (unknown, unwritten))) or None
