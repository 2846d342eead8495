"""The command `member-entrypoint status`: its words, whom it runs as, and how often it looks."""

import _signal  # type: ignore[import-not-found]
import gc
import os
import time
from collections.abc import MutableMapping, Sequence

from member_entrypoint import environment as process_environment
from member_entrypoint import printing
from member_entrypoint.errors import EntrypointError
from member_entrypoint.files import users
from member_entrypoint.lean_typing import TYPE_CHECKING, NamedTuple, NoReturn
from member_entrypoint.places import Places
from member_entrypoint.status import gathering
from member_entrypoint.status.survey import Survey

if TYPE_CHECKING:
    from member_entrypoint.status.verdict import Verdict

USAGE = "status [--json] [--watch [SECONDS]]"
NOT_WELL, WRONG_ARGUMENTS = 1, 78
DEFAULT_WIDTH = 80
DEFAULT_INTERVAL = 2.0
LONGEST_INTERVAL = 86400.0
HOME, CLEAR_LINE, CLEAR_BELOW = "\033[H", "\033[K", "\033[J"
OTHER_SCREEN, BACK, HIDE, SHOW = "\033[?1049h", "\033[?1049l", "\033[?25l", "\033[?25h"
SECRETS = ("CLUSTER_COOKIE", process_environment.COOKIE_FILE)
"""Not needed: the cookie comes from the rendered vm.args, and its file may be root's alone."""


def run(words: Sequence[str]) -> NoReturn:
    """Do what `main` does, and end: at once, since nobody waits for questions that are late."""
    os._exit(main(words))


class Options(NamedTuple):
    """What the words ask for; `interval` in seconds, None: once."""

    json: bool = False
    interval: float | None = None


class UsageError(Exception):
    """Words that are none of ours; the text says which."""


def main(words: Sequence[str]) -> int:
    """Print the status; return 0 if all is well, 1 if not, 78 for words that are none of ours."""
    # In the images the interpreter starts with all signals blocked, as PID 1 needs them.
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    try:
        options = parse(words)
    except UsageError as error:
        printing.complain(f"{error}; allowed: {USAGE}")
        return WRONG_ARGUMENTS
    environment = process_environment.variables()
    for secret in SECRETS:
        environment.pop(secret, None)
    try:
        if options.interval is None:
            return look(environment, options)
        return watch(environment, options, options.interval)
    except EntrypointError as error:
        printing.complain(str(error))
        return NOT_WELL


def parse(words: Sequence[str]) -> Options:
    """Return what the words ask for. Raises `UsageError`."""
    options, left = Options(), list(words)
    while left:
        word = left.pop(0)
        if word == "--json":
            options = options._replace(json=True)
        elif word == "--watch":
            given = left.pop(0) if left and not left[0].startswith("-") else ""
            options = options._replace(interval=_seconds(given) if given else DEFAULT_INTERVAL)
        elif word.startswith("--watch="):
            options = options._replace(interval=_seconds(word.partition("=")[2]))
        else:
            raise UsageError(f"status does not know {word!r}")
    return options


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= LONGEST_INTERVAL:  # noqa: PLR2004 - as often as a reader can follow
        raise UsageError(f"--watch {given!r} is no number of seconds from 0.1 to 86400")
    return seconds


def become_member(environment: MutableMapping[str, str]) -> None:
    """Switch from root to the member's user, if permitted: its files are only read as that one."""
    places = Places(process_environment.own_root())
    user = users.member_user(places)
    if user and users.may_switch_to(user):
        users.drop_root(user, environment, places)


def look(environment: MutableMapping[str, str], options: Options) -> int:
    """Look once; print it, and return the exit status. Raises `EntrypointError`."""
    status, shown = _seen(environment, options)
    return printing.put(shown, status)


def _seen(environment: MutableMapping[str, str], options: Options) -> tuple[int, str]:
    """Return the exit status, and what is to be printed."""
    try:
        become_member(environment)
        survey = gathering.take(environment, meanwhile=_import_what_shows)
    except EntrypointError as error:
        if not options.json:
            raise
        return NOT_WELL, _refused(error)
    from member_entrypoint.status.verdict import judge

    verdict = judge(survey)
    return 0 if verdict.well else NOT_WELL, _shown(survey, verdict, options, environment)


def _refused(error: EntrypointError) -> str:
    """Return the object that says why nobody was asked, as with settings that are wrong."""
    from member_entrypoint.status import document
    from member_entrypoint.status.verdict import Kind, Verdict

    why = "; ".join(str(error).splitlines())
    return document.write(Survey(at=time.time()), Verdict(Kind.NOT_ASKED, why))


def _import_what_shows() -> None:
    """Import what is not needed before the members have answered."""
    from member_entrypoint.status import text  # noqa: F401


def _shown(
    survey: Survey, verdict: "Verdict", options: Options, environment: MutableMapping[str, str]
) -> str:
    if options.json:
        from member_entrypoint.status import document

        return document.write(survey, verdict)
    from member_entrypoint.status import text

    return text.show(survey, verdict, _width(), colour=_has_colour(environment))


def _width() -> int:
    try:
        return os.get_terminal_size(printing.OUTPUT).columns or DEFAULT_WIDTH
    except OSError:
        return DEFAULT_WIDTH


def _has_colour(environment: MutableMapping[str, str]) -> bool:
    """Tell whether to use colour: on a terminal, unless NO_COLOR (no-color.org) says otherwise."""
    plain = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
    return os.isatty(printing.OUTPUT) and not plain


def watch(environment: MutableMapping[str, str], options: Options, interval: float) -> int:
    """Look again and again until SIGINT or SIGTERM; return the status of the last look."""

    def stop(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, stop)
    gc.enable()
    redraws = os.isatty(printing.OUTPUT) and not options.json
    status, shown = NOT_WELL, ""
    try:
        if redraws:
            printing.write(OTHER_SCREEN + HIDE)
        while True:
            began = time.monotonic()
            try:
                status, shown = _seen(environment, options)
            except EntrypointError as error:
                status, shown = NOT_WELL, f"{error}\n"
            printing.write(_redrawn(shown, interval) if redraws else shown)
            time.sleep(max(0.0, began + interval - time.monotonic()))
    except KeyboardInterrupt:
        return status
    except OSError as error:
        return printing.failed(error, status)
    finally:
        if redraws:
            printing.put(SHOW + BACK + shown, status)


def _redrawn(shown: str, interval: float) -> str:
    """Return what replaces the last look on a terminal; what does not fit on it is left."""
    now = time.strftime("%H:%M:%S UTC", time.gmtime())
    lines = [f"every {interval:g} s; {now}; Ctrl-C ends it", "", *shown.splitlines()]
    height = os.get_terminal_size(printing.OUTPUT).lines
    return HOME + "\n".join(line + CLEAR_LINE for line in lines[: height or None]) + CLEAR_BELOW
