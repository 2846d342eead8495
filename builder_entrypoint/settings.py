"""What was asked for: arguments and environment become one frozen value, every error at once."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder_entrypoint.errors import ConfigurationError
from builder_entrypoint.names import safe_name, shown

DEFAULTS = ("MongooseIM", "https://github.com/esl/MongooseIM", "master")
POSITIONS = ("PROJECT", "REPO", "COMMIT")
OPTIONS = {"-h": "--help", "--help": "--help"} | {
    option: option for option in ("--version", "--dry-run", "--no-cache")
}
LONGEST_FILE_NAME = 200  # bytes; file systems take 255, and endings are added
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One build."""

    project: str
    """Friendly name of the build, as given."""
    repository: str
    """What git fetches from, with credentials if they were given in it."""
    commit: str
    """Branch, tag, hash or full reference name."""
    builds: Path
    """The folder for tarballs, absolute."""
    log_file: Path
    """Everything printed is appended to it."""
    tarball_name: str | None
    """File name without `.tar.gz`; None: made from project, commit and time."""
    architecture: str | None
    """Added to the file name; None: nothing is."""
    configure_arguments: tuple[str, ...]
    """Arguments of `tools/configure`."""
    source_date_epoch: int | None
    """Time of the tarball's entries, seconds since 1970; None: the commit's."""
    use_cache: bool
    """Whether repository and packages are kept in `cache` for the next build."""
    options: frozenset[str]
    """Options other than `--no-cache`: `--help`, `--version`, `--dry-run`."""

    @property
    def cache(self) -> Path:
        """The folder of mirrors and packages."""
        return self.builds / ".cache"

    def stem(self, timestamp: str) -> str:
        """Return the tarball's file name without `.tar.gz`, for a build at `timestamp`."""
        name = self.tarball_name or "-".join(
            ("mongooseim", safe_name(self.project), safe_name(self.commit), timestamp)
        )
        return f"{name}-{self.architecture}" if self.architecture else name


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return what was asked for. Raises `ConfigurationError` that says all that is wrong."""
    errors: list[str] = []
    options, positional = _split(arguments, errors)
    given = [*positional, *("",) * len(DEFAULTS)]
    values = [value or default for value, default in zip(given, DEFAULTS, strict=False)]
    for name, value in zip(POSITIONS, values, strict=True):
        _check_argument(name, value, errors)
    builds = Path(os.path.abspath(environment.get("BUILDS") or "/builds"))
    settings = Settings(
        project=values[0],
        repository=values[1],
        commit=values[2],
        builds=builds,
        log_file=Path(os.path.abspath(environment.get("LOGFILE") or builds / "build.log")),
        tarball_name=_file_name("TARBALL_NAME", environment, errors),
        architecture=_file_name("ARCH", environment, errors),
        configure_arguments=_configure_arguments(environment, errors),
        source_date_epoch=_epoch(environment, errors),
        use_cache="--no-cache" not in options,
        options=frozenset(options - {"--no-cache"}),
    )
    if errors and "--help" not in options:
        raise ConfigurationError("\n".join(errors))
    return settings


def _split(arguments: Sequence[str], errors: list[str]) -> tuple[set[str], list[str]]:
    options: set[str] = set()
    positional: list[str] = []
    for argument in arguments:
        if argument in OPTIONS:
            options.add(OPTIONS[argument])
        elif argument.startswith("-"):
            errors.append(
                f"argument {shown(argument)} is not allowed: it is no option of /build.sh, and "
                "PROJECT, REPO and COMMIT never begin with a hyphen (see /build.sh --help)"
            )
        else:
            positional.append(argument)
    if len(positional) > len(POSITIONS):
        errors.append(
            f"{len(positional)} arguments are too many: [PROJECT [REPO [COMMIT]]] are allowed"
        )
    return options, positional


def _check_argument(name: str, value: str, errors: list[str]) -> None:
    if _CONTROL.search(value):
        errors.append(f"{name} {shown(value)} has control characters in it: none are allowed")
    elif name == "COMMIT" and any(character.isspace() for character in value):
        errors.append(f"COMMIT {shown(value)} has a blank in it: git knows no such name")


def _file_name(variable: str, environment: Mapping[str, str], errors: list[str]) -> str | None:
    value = environment.get(variable)
    if not value:
        return None
    problems = {
        "is too long for a file name": len(os.fsencode(value)) > LONGEST_FILE_NAME,
        "has a slash in it: it names a file in BUILDS, not a path": "/" in value,
        "has control characters in it: none are allowed": _CONTROL.search(value) is not None,
        "begins with a dot or a hyphen: a letter, a digit or _ is allowed": value[0] in ".-"
        and variable != "ARCH",
    }
    problem = next((problem for problem, found in problems.items() if found), None)
    if problem:
        errors.append(f"{variable}={shown(value)} {problem}")
    return value


def _configure_arguments(environment: Mapping[str, str], errors: list[str]) -> tuple[str, ...]:
    value = environment.get("CONFIGURE_ARGS", "with-all")
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        errors.append(f"CONFIGURE_ARGS={shown(value)} cannot be split into arguments: {error}")
        return ()


def _epoch(environment: Mapping[str, str], errors: list[str]) -> int | None:
    value = environment.get("SOURCE_DATE_EPOCH")
    if not value:
        return None
    # Eleven digits reach the year 5138; GNU tar takes no more than it can store.
    if not re.fullmatch(r"[0-9]{1,11}", value):
        errors.append(
            f"SOURCE_DATE_EPOCH={shown(value)} is not a number of seconds since 1970: digits only"
        )
        return None
    return int(value)
