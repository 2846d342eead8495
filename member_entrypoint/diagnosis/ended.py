"""Why has a VM ended by itself? Found out from what it left behind, none of it being its output."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator

from member_entrypoint import counts
from member_entrypoint.cluster.member import Member
from member_entrypoint.diagnosis import backends, elf, listeners, toml, traces
from member_entrypoint.diagnosis.traces import Traces
from member_entrypoint.erlang import reach
from member_entrypoint.errors import ConfigurationError, ExplainedError
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.log import printable
from member_entrypoint.pid1 import limits
from member_entrypoint.release import sources

NOT_RUN = {126, 127}  # statuses of a shell, and of what loads libraries
KILLED, FIRST_SIGNAL = 137, 128
DATABASE = "requires_internal_database"
LONGEST_QUOTE = 400  # characters of a line that the server has logged
_PORT = re.compile(r"\{eaddrinuse,\s*(\d+)\}|\{(\d+),[^{}]*\{[\d,]+\}[^\n]{0,200}eaddrinuse")
_CONFIG_FILE = re.compile(
    r'error in config file "([^"]+)" \((\d+|none)\): (.{1,300}?)\)*$', re.MULTILINE
)


class Ended(NamedTuple):
    """A VM that has ended: whose, its exit status as a shell gives it, what it left behind.

    `booting`: it had not started yet.
    """

    member: Member
    code: int
    booting: bool
    traces: Traces


def explain(member: Member, code: int, *, booting: bool, environment_dump: str) -> None:
    """Raise the `ExplainedError` that says why a VM ended, and what to do."""
    left = traces.find(member.release, member.places, member.settings, environment_dump)
    ended = Ended(member, code, booting, left)
    causes = (*ALWAYS, *(BOOTING if booting else ()), *LAST)
    reason = next(filter(None, (cause(ended) for cause in causes)))
    how = f"signal {code - FIRST_SIGNAL}" if code > FIRST_SIGNAL else f"exit status {code}"
    what = "MongooseIM ended while it started" if booting else "MongooseIM ended by itself"
    raise ExplainedError(f"{what} ({how}): {reason}")


def source_of(member: Member, rendered: str) -> str:
    """Return the path of the file that a file of the server's `etc` was made from."""
    folder, name = os.path.split(rendered)
    if folder != member.release.etc:
        return rendered
    try:
        found = sources.find(member.release, member.places).files.get(name, rendered)
    except ConfigurationError:
        return rendered
    return sources.shown(found)


def _configuration(member: Member) -> str:
    """Return the path of the server's mongooseim.toml, empty if it reads another format."""
    settings = member.settings
    path = settings.ejabberd_config_path or os.path.join(member.release.etc, "mongooseim.toml")
    wanted = settings.mongooseim_config_format or "toml"
    return path if wanted == "toml" and path.endswith(".toml") and os.path.exists(path) else ""


def _not_run(ended: Ended) -> str:
    """Explain a program that could not even be started."""
    if ended.traces.slogan or ended.traces.logs or ended.code > FIRST_SIGNAL:
        return ""
    release = ended.member.release
    folder = os.path.join(release.server, f"erts-{release.erts}", "bin")
    for path in (f"{folder}/erlexec", f"{folder}/beam.smp"):
        try:
            with open(path, "rb") as file:
                header = file.read(elf.LONGEST_HEADER)
        except OSError as error:
            return f"{path} cannot be read ({error.strerror}); build the release anew"
        if reason := elf.why_not_run(header, os.uname().machine):
            return f"{path} cannot be run: {reason}; build the release on a machine like this one"
    if ended.code not in NOT_RUN:
        return ""
    return (
        "a program of the release, or a library that it needs, cannot be loaded, as it says above: "
        f"see what ldd {folder}/beam.smp misses, and build the release on the Debian of this image"
    )


def _out_of_memory(ended: Ended) -> str:
    if ended.code != KILLED:
        return ""
    # Another process of this container may have been killed before this VM was started.
    if limits.oom_kills() > counts.number(ended.member.places.root, counts.OOM_KILLS):
        return (
            "the kernel killed it, since this container has reached its memory limit; raise that "
            "(docker run --memory, resources.limits.memory in Kubernetes)"
        )
    return (
        "SIGKILL came from outside of this program; the machine may be short of memory (dmesg says "
        "so), or somebody has killed it"
    )


def _app_config(ended: Ended) -> str:
    found = _CONFIG_FILE.search(ended.traces.slogan)
    if not found:
        return ""
    path = source_of(ended.member, os.path.join(ended.member.release.etc, "app.config"))
    # What stands there may be a secret, also one without its quotes.
    what = re.sub(r"(before: ).*\w.*", r"\1a word that is not shown here", found[3])
    where = path if found[2] == "none" else f"{path}, line {found[2]}"
    return f"{where}: {what}; correct it there"


def _wrong_toml(ended: Ended) -> str:
    """Explain by a mongooseim.toml that is none, or whose listeners make no sense.

    Not where the server speaks of other things: it may read what is no TOML to us.
    """
    text = ended.traces.text
    if text.strip() and "toml" not in text.lower() and DATABASE not in text:
        return ""
    try:
        tables = _toml(ended.member)
    except toml.WrongTomlError as error:
        path = source_of(ended.member, _configuration(ended.member))
        return f"{path}, {error}; correct it there"
    except OSError as error:
        return f"{_configuration(ended.member)} cannot be read ({error.strerror})"
    if tables is None:
        return ""
    wrong = next(listeners.wrong_in_toml(tables), "")
    return wrong or (backends.in_words(tables) if DATABASE in text else "")


def _taken_port(ended: Ended) -> str:
    """Explain by a port that is taken now; by one that was, if the server says so."""
    for each in _listeners(ended.member):
        if unusable := listeners.why_unusable(each):
            return unusable
    if "eaddrinuse" in ended.traces.text:
        found = _PORT.search(ended.traces.text)
        port = f"port {found[1] or found[2]}" if found else "a port of its configuration"
        return (
            f"{port} was taken by another process (eaddrinuse), and is free now; see what else "
            "runs in this network namespace, then start it again"
        )
    return ""


def _listeners(member: Member) -> Iterator[listeners.Listener]:
    given = reach.flags_of(member.release, member.settings)
    how = reach.reach(given, member.settings, reach.app_config_of(member.release))
    yield from listeners.of_node(how, given)
    with contextlib.suppress(toml.WrongTomlError, OSError):
        tables = _toml(member)
        yield from listeners.of_toml(tables) if tables else ()


def _toml(member: Member) -> toml.Toml | None:
    """Return what mongooseim.toml says; None if the server reads none.

    Raises `WrongTomlError`, OSError.
    """
    path = _configuration(member)
    if not path:
        return None
    with open(path, "rb") as file:
        tables = toml.parse(file.read(sources.LARGEST_CONFIGURATION))
    return toml.Toml(tables, source_of(member, path))


def _taken_name(ended: Ended) -> str:
    """Explain by a node of the same name that runs on this host."""
    if ended.traces.logs:
        return ""
    how = reach.of_release(ended.member.release, ended.member.settings)
    return listeners.why_name_taken(ended.member.node, how)


class Known(NamedTuple):
    """What a line of a log or a slogan means: a pattern, and the explanation with what to do.

    `quoted`: the line itself says more.
    """

    pattern: re.Pattern[str]
    meaning: str
    quoted: bool = False


KNOWN = (
    Known(
        re.compile(r"backend_requires_internal_database"),
        "a part of its configuration needs an internal database that is not configured: without "
        '[internal_databases.mnesia], each backend = "mnesia" (also where that is the default, as '
        'of [auth.anonymous]) must become backend = "cets", or another one',
        quoted=True,
    ),
    Known(
        re.compile(r"Bad cookie in table definition|Failed to merge schema"),
        "Mnesia met a node of its schema that runs in another cluster (Bad cookie in table "
        "definition); member-entrypoint check says which clusters there are, and the ways out",
    ),
    Known(
        re.compile(r"\benospc\b|No space left on device"),
        "no space is left on the volume or in the log folder (enospc); make room, see df",
    ),
    Known(
        re.compile(r"eheap_alloc: Cannot|Cannot allocate \d+ bytes|binary_alloc: Cannot"),
        "it could not get memory; raise the container's memory limit",
    ),
    Known(
        re.compile(r"Too many open files|\bemfile\b"),
        "it may not open more files (emfile); raise the limit: docker run --ulimit nofile=65536",
    ),
)


def _known(ended: Ended) -> str:
    """Explain by what is known of lines that servers log."""
    # What a server that has served for days has logged needs not be why it ended.
    text = ended.traces.text if ended.booting else ended.traces.slogan
    for known in KNOWN:
        for line in text.splitlines():
            if known.pattern.search(line):
                return known.meaning + (f"; it logged: {_quoted(line)}" if known.quoted else "")
    return ""


def _first_error(ended: Ended) -> str:
    line, path = ended.traces.first_error()
    if not line:
        return ""
    return f"it logged: {_quoted(line)}; see {path}"


def _slogan(ended: Ended) -> str:
    if not ended.traces.slogan:
        return ""
    return f"{_quoted(ended.traces.slogan)}; see {ended.traces.dump}"


def _nothing(ended: Ended) -> str:
    """Say what can be said of a VM that has left nothing behind."""
    if ended.code > FIRST_SIGNAL:
        return "it crashed, in the VM or in native code; see what it printed above"
    if ended.traces.logs:
        return f"see what it printed above, and {next(iter(ended.traces.logs))}"
    if ended.booting:
        return (
            "it ended before it wrote a log, so see what it printed above: most likely vm.args, "
            "vm.dist.args or ERL_FLAGS have a flag that this Erlang does not know"
        )
    return "see what it printed above"


def _quoted(line: str) -> str:
    """Return a line of the server's, without secrets, and not too long."""
    from member_entrypoint.release import masking

    text = printable(masking.mask(" ".join(line.split())))
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


Cause = Callable[[Ended], str]
ALWAYS: tuple[Cause, ...] = (_out_of_memory,)
BOOTING: tuple[Cause, ...] = (
    *(_not_run, _wrong_toml, _app_config, _taken_port, _taken_name),
    *(_known, _first_error),
)
LAST: tuple[Cause, ...] = (_known, _slogan, _nothing)
