"""Arguments and environment become one frozen value; all errors are reported together."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder_entrypoint.errors import ConfigurationError
from builder_entrypoint.names import printable, safe_name

DEFAULTS = ("MongooseIM", "https://github.com/esl/MongooseIM", "master")
CONFIGURE_DEFAULT = ("with-all",)
"""Arguments of `tools/configure` for a release that does not say how it configures itself."""
POSITIONS = ("PROJECT", "REPO", "COMMIT")
OPTIONS = {"-h": "--help", "--help": "--help"} | {
    option: option
    for option in ("--version", "--dry-run", "--no-cache", "--no-submodules", "--list", "--stop")
}
LONGEST_FILE_NAME = 200  # bytes; file systems allow 255, and endings are added
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one build."""

    project: str
    """Friendly name of the build, as given; never empty."""
    project_given: bool
    """Whether PROJECT was given; else `--stop` means all builds."""
    repository: str
    """What git fetches from: an address, or an absolute path. May hold credentials; never empty."""
    commit: str
    """Branch, tag, full or short hash, or full reference name; never empty."""
    commit_given: bool
    """Whether COMMIT was given; else the repository's default branch does instead of `commit`."""
    builds: Path
    """The folder for tarballs, absolute."""
    log_file: Path
    """The file that all output is appended to, absolute."""
    tarball_name: str | None
    """File name without `.tar.gz`; None: made from project, commit and local time."""
    architecture: str | None
    """Added to the file name after a hyphen; None: nothing is added."""
    configure_arguments: tuple[str, ...] | None
    """Arguments of `tools/configure`, perhaps none; None: those that the release gives itself."""
    source_date_epoch: int | None
    """Time of the tarball's entries, seconds since 1970; None: the time of the commit."""
    use_cache: bool
    """Whether repository and packages are taken from `cache`, and saved there."""
    submodules: bool
    """Whether the submodules of the repository are checked out too."""
    options: frozenset[str]
    """What is asked for instead of a build, such as `--help` and `--list`; empty: a build."""

    @property
    def cache(self) -> Path:
        """The folder for mirrors and packages, absolute."""
        return self.builds / ".cache"

    def epoch(self, commit_time: int) -> int:
        """Return the time of the tarball's entries; both times are seconds since 1970."""
        return commit_time if self.source_date_epoch is None else self.source_date_epoch

    def stem(self, timestamp: str) -> str:
        """Return the tarball's file name without `.tar.gz`, for a build at `timestamp`."""
        name = self.tarball_name or "-".join(
            ("mongooseim", safe_name(self.project), safe_name(self.commit), timestamp)
        )
        return f"{name}-{self.architecture}" if self.architecture else name


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings. Raises `ConfigurationError` with one line for each error."""
    errors: list[str] = []
    options, positional = _split_arguments(arguments, errors)
    given = [*positional, *("",) * len(DEFAULTS)]
    values = [value or default for value, default in zip(given, DEFAULTS, strict=False)]
    for name, value in zip(POSITIONS, values, strict=True):
        _check_argument(name, value, errors)
    if "--stop" in options and len(positional) > 1:
        errors.append(f"{len(positional)} arguments are too many: allowed are --stop [PROJECT]")
    builds = Path(os.path.abspath(environment.get("BUILDS") or "/builds"))
    settings = Settings(
        project=values[0],
        project_given=bool(given[0]),
        repository=_absolute(values[1]),
        commit=values[2],
        commit_given=bool(given[2]),
        builds=builds,
        log_file=Path(os.path.abspath(environment.get("LOGFILE") or builds / "build.log")),
        tarball_name=_file_name("TARBALL_NAME", environment, errors),
        architecture=_file_name("ARCH", environment, errors),
        configure_arguments=_configure_arguments(environment, errors),
        source_date_epoch=_epoch(environment, errors),
        use_cache="--no-cache" not in options,
        submodules="--no-submodules" not in options,
        options=frozenset(options - {"--no-cache", "--no-submodules"}),
    )
    if errors and "--help" not in options:
        raise ConfigurationError("\n".join(errors))
    return settings


def _split_arguments(arguments: Sequence[str], errors: list[str]) -> tuple[set[str], list[str]]:
    options: set[str] = set()
    positional: list[str] = []
    for argument in arguments:
        if argument in OPTIONS:
            options.add(OPTIONS[argument])
        elif argument.startswith("-"):
            errors.append(
                f"argument {printable(argument)} is not an option of /build.sh, and PROJECT, REPO "
                "and COMMIT must not begin with a hyphen (see /build.sh --help)"
            )
        else:
            positional.append(argument)
    if len(positional) > len(POSITIONS):
        errors.append(
            f"{len(positional)} arguments are too many: allowed are [PROJECT [REPO [COMMIT]]]"
        )
    return options, positional


def _absolute(repository: str) -> str:
    """Return a path as an absolute one, an address as it is; git tells them apart in this way."""
    colon, slash = repository.find(":"), repository.find("/")
    is_path = colon < 0 or 0 <= slash < colon
    return os.path.abspath(repository) if is_path else repository


def _check_argument(name: str, value: str, errors: list[str]) -> None:
    if _CONTROL.search(value):
        errors.append(f"{name} {printable(value)} contains control characters: none are allowed")
    elif name == "COMMIT" and any(character.isspace() for character in value):
        errors.append(f"COMMIT {printable(value)} contains white space: git allows none in names")


def _file_name(variable: str, environment: Mapping[str, str], errors: list[str]) -> str | None:
    value = environment.get(variable)
    if not value:
        return None
    problems = {
        f"is too long: {LONGEST_FILE_NAME} bytes are allowed": len(os.fsencode(value))
        > LONGEST_FILE_NAME,
        "contains a slash: a file name is allowed, not a path": "/" in value,
        "contains control characters: none are allowed": _CONTROL.search(value) is not None,
        "begins with a dot or a hyphen: neither is allowed": value[0] in ".-"
        and variable != "ARCH",
    }
    problem = next((problem for problem, found in problems.items() if found), None)
    if problem:
        errors.append(f"{variable}={printable(value)} {problem}")
    return value


def _configure_arguments(
    environment: Mapping[str, str], errors: list[str]
) -> tuple[str, ...] | None:
    value = environment.get("CONFIGURE_ARGS")
    if value is None:
        return None
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        errors.append(f"CONFIGURE_ARGS={printable(value)} cannot be split into arguments: {error}")
        return None


def _epoch(environment: Mapping[str, str], errors: list[str]) -> int | None:
    value = environment.get("SOURCE_DATE_EPOCH")
    if not value:
        return None
    # 11 digits reach the year 5138; GNU tar fails on times that it cannot store.
    if not re.fullmatch(r"[0-9]{1,11}", value):
        errors.append(
            f"SOURCE_DATE_EPOCH={printable(value)} is not a number of seconds since 1970: up to 11 "
            "digits are allowed"
        )
        return None
    return int(value)
