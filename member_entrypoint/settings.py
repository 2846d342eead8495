"""The settings: the environment as one frozen value, and all errors in it together.

`VARIABLES` is the whole list of variables. `Settings` is a `NamedTuple` and not a dataclass because
this runs before the VM is started, and importing `dataclasses` takes longer than all the rest of
that way.
"""

import re
from collections.abc import Callable, Mapping

from member_entrypoint import environment, log
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.lean_typing import Any, NamedTuple
from member_entrypoint.values import (
    Address,
    WrongValueError,
    is_long,
    one_of,
    parse_addresses,
    parse_boolean,
    parse_cookie,
    parse_host,
    parse_ips,
    parse_node,
    parse_node_name,
    parse_ordinal,
    parse_path,
    parse_port,
    seconds_from,
)

LONGEST_COOKIE_FILE = 4096  # characters that are read of it


class Settings(NamedTuple):
    """What the environment says. Times are in seconds; None and an empty tuple: not set."""

    hostname: str | None
    """Host name to derive node name and ordinal from; None: the kernel's."""
    node_type: str
    """`sname` (short node names) or `name` (long ones)."""
    node_name: str
    """The part of the node name before the `@`."""
    node_host: str | None
    """The part after the `@`; None: derived from the host name."""
    master_ordinal: str
    """Ordinal of the primary node, as digits: `01` is not `1`."""
    join_cluster: bool
    """Whether the node joins others; if not, it runs alone."""
    cluster_with: str | None
    """Node to join, `NAME@HOST`; None: derived from the host name."""
    cluster_cookie: str | None
    """Erlang cookie, also if it came from a file; None: that of vm.args."""
    cluster_cookie_file: str | None
    """File with the cookie; None: there is none."""
    bootstrap_enabled: bool
    """Whether the release's bootstrap scripts run before the server starts."""
    print_config_files_on_start: bool
    """Whether the files that the server reads are printed, without secrets."""
    start_timeout: float
    """Seconds that the server may take to start."""
    join_timeout: float
    """Seconds in all to find the node to join and to join it."""
    stop_timeout: float
    """Seconds between the first stop signal and SIGKILL."""
    leave_cluster_on_stop: bool
    """Whether the node leaves its cluster before it stops."""
    wait_for: tuple[Address, ...]
    """Addresses that must listen before the VM starts; empty: nothing is waited for."""
    join_discards_data: bool
    """Whether a node with data of its own may join, and lose them."""
    node_renamed: str
    """`refuse` or `start-empty`: what to do beside the data of another node name."""
    new_cluster: str
    """`auto` or `never`: whether a primary without data may start a new cluster."""
    partition_policy: str
    """`ignore` or `restart-minority`."""
    discovery_name: str | None
    """Headless service whose nodes CETS uses; None: there is no discovery."""
    discovery_file: str | None
    """Absolute path of the file to list these nodes in; None as above."""
    discovery_interval: float
    """Seconds between two looks at DNS."""
    health_port: int
    """Port of the listener that readiness looks at."""
    health_http_port: int | None
    """Port to answer probes on over HTTP; None: nobody answers."""
    log_format: str
    """One of `log.FORMATS`."""
    log_level: str
    """One of `log.LEVELS`."""
    mongooseim_config_format: str | None
    """`toml` or `cfg`, for the release's scripts; None: they choose."""
    ejabberd_config_path: str | None
    """Configuration file of the server, for the release's scripts; None: they choose."""
    erl_epmd_port: int | None
    """Port of epmd, on all hosts; None: that of the VM's flags, else 4369."""
    erl_epmd_address: tuple[str, ...]
    """The IP addresses that this host's epmd listens at, beside the loopback; empty: all."""
    erl_aflags: str
    """Flags for each VM before all others; empty: none."""
    erl_flags: str
    """Flags for each VM after those of the command line and vm.args; empty: none."""
    erl_zflags: str
    """Flags for each VM after all others; empty: none."""
    root: str
    """Folder that stands for `/`; another one in tests only."""

    @property
    def vm_flags(self) -> dict[str, str]:
        """The variables that OTP reads flags of the VM from, in its order."""
        return {
            "ERL_AFLAGS": self.erl_aflags,
            "ERL_FLAGS": self.erl_flags,
            "ERL_ZFLAGS": self.erl_zflags,
        }


class Variable(NamedTuple):
    """One environment variable: its name, its default as text, and how to read its value.

    `field` is that of `Settings`; where it is empty, it is the name in small letters.
    """

    name: str
    default: str | None
    parse: Callable[[str], Any]
    field: str = ""


VARIABLES: tuple[Variable, ...] = (
    Variable("HOSTNAME", None, parse_host),
    Variable("NODE_TYPE", "sname", one_of("sname", "name")),
    Variable("NODE_NAME", "mongooseim", parse_node_name),
    Variable("NODE_HOST", None, parse_host),
    Variable("MASTER_ORDINAL", "1", parse_ordinal),
    Variable("JOIN_CLUSTER", "true", parse_boolean),
    Variable("CLUSTER_WITH", None, parse_node),
    Variable("CLUSTER_COOKIE", None, parse_cookie),
    Variable(environment.COOKIE_FILE, None, str),
    Variable("BOOTSTRAP_ENABLED", "false", parse_boolean),
    Variable("PRINT_CONFIG_FILES_ON_START", "false", parse_boolean),
    Variable("START_TIMEOUT", "120", seconds_from(1)),
    Variable("JOIN_TIMEOUT", "300", seconds_from(0)),
    Variable("STOP_TIMEOUT", "25", seconds_from(0)),
    Variable("LEAVE_CLUSTER_ON_STOP", "false", parse_boolean),
    Variable("WAIT_FOR", "", parse_addresses),
    Variable("JOIN_DISCARDS_DATA", "false", parse_boolean),
    Variable("NODE_RENAMED", "refuse", one_of("refuse", "start-empty")),
    Variable("NEW_CLUSTER", "auto", one_of("auto", "never")),
    Variable("PARTITION_POLICY", "ignore", one_of("ignore", "restart-minority")),
    Variable("DISCOVERY_NAME", None, parse_host),
    Variable("DISCOVERY_FILE", None, parse_path),
    Variable("DISCOVERY_INTERVAL", "10", seconds_from(1)),
    Variable("HEALTH_PORT", "5222", parse_port),
    Variable("HEALTH_HTTP_PORT", None, parse_port),
    Variable("LOG_FORMAT", log.DEFAULT_FORMAT, one_of(*log.FORMATS)),
    Variable("LOG_LEVEL", log.DEFAULT_LEVEL, one_of(*log.LEVELS)),
    # The release's own: its scripts and the VM check them.
    Variable("MONGOOSEIM_CONFIG_FORMAT", None, str),
    Variable("EJABBERD_CONFIG_PATH", None, str),
    Variable("ERL_EPMD_PORT", None, parse_port),
    Variable("ERL_EPMD_ADDRESS", "", parse_ips),
    Variable("ERL_AFLAGS", "", str),
    Variable("ERL_FLAGS", "", str),
    Variable("ERL_ZFLAGS", "", str),
    Variable(environment.ROOT, "/", parse_path, field="root"),
)
SECRET = {"CLUSTER_COOKIE"}


def read(variables: Mapping[str, str]) -> Settings:
    """Return the settings that the environment `variables` gives; an empty variable is not set.

    Raises `ConfigurationError` with a line for each wrong variable: its name, its value (not
    where that is a secret) and what is allowed. Source: the contract's table of variables.
    """
    settings, errors = read_with_errors(variables)
    if errors:
        raise ConfigurationError("\n".join(errors))
    return settings


def read_with_errors(variables: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Return the same with a line for each wrong variable, which then has its default."""
    errors: list[str] = []
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        text = variables.get(variable.name) or variable.default
        value = None
        if text is not None:
            try:
                value = variable.parse(text)
            except WrongValueError as error:
                # A URL, where HOST:PORT is asked for, may have a password.
                shown = re.sub("://.*@", "://***@", repr(text))
                found = "a value not shown here" if variable.name in SECRET else shown
                errors.append(f"{variable.name} is {found}; allowed: {error}")
                if variable.default is not None:
                    value = variable.parse(variable.default)
        values[variable.field or variable.name.lower()] = value
    settings = Settings(**values)
    try:
        settings = _with_cookie_file(settings)
    except WrongValueError as error:
        errors.append(str(error))
    errors.extend(_contradictions(settings))
    return settings, errors


def log_as(settings: Settings) -> log.Log:
    """Return a log as the settings want it."""
    return log.Log(settings.log_format, settings.log_level)


def log_of(variables: Mapping[str, str], descriptor: int) -> log.Log:
    """Return a log for errors in the settings themselves: in the format asked for, if it exists."""
    wanted = variables.get("LOG_FORMAT", "").lower()
    chosen = wanted if wanted in log.FORMATS else log.DEFAULT_FORMAT
    return log.Log(chosen, descriptor=descriptor)


def _with_cookie_file(settings: Settings) -> Settings:
    path, name = settings.cluster_cookie_file, environment.COOKIE_FILE
    if path is None:
        return settings
    try:
        with open(path, encoding="utf-8") as file:
            cookie = file.read(LONGEST_COOKIE_FILE).strip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise WrongValueError(
            f"{name} is {path!r}, which cannot be read ({reason}); "
            f"allowed: a readable file that holds the cookie, as made by "
            f"openssl rand -hex 32 > {path}"
        ) from None
    if settings.cluster_cookie not in (None, cookie):
        raise WrongValueError(
            f"CLUSTER_COOKIE and {name} ({path!r}) give different cookies; allowed: one of the two"
        )
    try:
        return settings._replace(cluster_cookie=parse_cookie(cookie))
    except WrongValueError as error:
        raise WrongValueError(
            f"{name} is {path!r}, whose content is not a cookie; allowed: {error}"
        ) from None


def _contradictions(settings: Settings) -> list[str]:
    """Return a line for each pair of values that exclude each other, each valid by itself."""
    errors = []
    for name, host in (
        ("NODE_HOST", settings.node_host),
        ("CLUSTER_WITH", (settings.cluster_with or "").partition("@")[2] or None),
    ):
        if host is None:
            continue
        value = host if name == "NODE_HOST" else settings.cluster_with
        if settings.node_type == "sname" and "." in host:
            errors.append(
                f"{name} is {value!r}, a long name, but NODE_TYPE is 'sname'; "
                "allowed: a host without dots, or NODE_TYPE=name"
            )
        elif settings.node_type == "name" and not is_long(host):
            errors.append(
                f"{name} is {value!r}, a short name, but NODE_TYPE is 'name'; "
                "allowed: a fully qualified host name or an IP address, or NODE_TYPE=sname"
            )
    if settings.health_http_port is not None and settings.health_http_port == settings.health_port:
        errors.append(
            f"HEALTH_HTTP_PORT is {settings.health_http_port}, which is the server's HEALTH_PORT; "
            "allowed: a port that the server does not use"
        )
    if bool(settings.discovery_name) != bool(settings.discovery_file):
        errors.append(
            f"DISCOVERY_NAME is {settings.discovery_name!r} and DISCOVERY_FILE is "
            f"{settings.discovery_file!r}; allowed: both or neither"
        )
    return errors
