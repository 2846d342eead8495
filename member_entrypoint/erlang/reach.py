"""How is a node reached? One value, made in one place, from flags, environment and release.

All members of a cluster are reached in the same way, so what this node is told holds for the
others, too. PID 1 reads this before it starts the VM: it imports next to nothing.
"""

import os
import re
from collections.abc import Iterable

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files.whole import regular
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.network.addresses import is_address
from member_entrypoint.release import flags
from member_entrypoint.release.active import Release
from member_entrypoint.settings import Settings

PLAIN, TLS = ("inet_tcp", "inet6_tcp"), ("inet_tls", "inet6_tls")
FIXED_PORT = "erl_epmd_node_listen_port"
"""The parameter of `kernel` that stands for the flag -erl_epmd_port since OTP 27.2."""
INTERFACE = "inet_dist_use_interface"
LOOPBACK = {False: ("127.0.0.1", "::1"), True: ("::1", "127.0.0.1")}
HIGHEST_PORT = 65535
ONLY_ONCE = ("proto_dist", "erl_epmd_port")
"""Flags that OTP ignores where they are given more than once."""


class Reach(NamedTuple):
    """How nodes of this cluster are reached.

    `carrier` is what -proto_dist says. `epmd_port` is the TCP port of each host's epmd. A node
    listens on `node_port`; 0: its epmd knows. `epmd_module` asks instead of an epmd, if given.
    `interface` is the address that this node listens at; empty: all. `listens`: it does at all.
    `starts_epmd`: the VM starts an epmd where none runs.
    """

    carrier: str = PLAIN[0]
    epmd_port: int = 4369
    node_port: int = 0
    epmd_module: str = ""
    interface: str = ""
    listens: bool = True
    starts_epmd: bool = True

    @property
    def direct(self) -> bool:
        """Whether we speak with nodes ourselves; if not, a VM of the release asks for us."""
        return self.carrier in {*PLAIN, *TLS} and not self.epmd_module

    @property
    def tls(self) -> bool:
        """Whether nodes speak TLS."""
        return self.carrier in TLS

    @property
    def ipv6(self) -> bool:
        """Whether nodes are reached by IPv6; by IPv4 if not, since OTP takes one of them."""
        return self.carrier.startswith("inet6_")

    @property
    def own(self) -> tuple[str, ...]:
        """The addresses at which this node itself can be asked, in the order of trying."""
        return (self.interface,) if self.interface else LOOPBACK[self.ipv6]

    @property
    def own_epmd(self) -> str:
        """The address of this host's epmd, which listens there whatever ERL_EPMD_ADDRESS says."""
        return LOOPBACK[self.ipv6][0]

    def usable(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return those of a host's addresses that its node can be reached at."""
        return tuple(address for address in addresses if (":" in address) == self.ipv6)

    def why_unusable(self, host: str) -> str:
        """Return why a host that has addresses has none that is usable."""
        kind, other = ("IPv6", "IPv4") if self.ipv6 else ("IPv4", "IPv6")
        return f"{host} has {other} addresses only, and -proto_dist {self.carrier} uses {kind}"

    @property
    def for_probes(self) -> tuple[str, ...]:
        """The words that a probe is told: what is spoken, two ports, and this node's address.

        What is spoken is `tcp`, `tls` or `other`. A port of 0 is one that is not known.
        """
        spoken = ("tls" if self.tls else "tcp") if self.direct else "other"
        node_port = self.node_port if self.listens else 0
        epmd = self.epmd_port if self.listens and not (node_port or self.epmd_module) else 0
        return spoken, str(epmd), str(node_port), self.interface or "-"


def for_control_script(how: Reach, settings: Settings) -> dict[str, str]:
    """Return what to set in the environment of `mongooseimctl`.

    Its VM takes vm.dist.args as the server does, and would listen on the node's own port.
    """
    if not how.node_port:
        return {}
    return {"ERL_AFLAGS": f"-dist_listen false {settings.erl_aflags}".strip()}


def flags_of(release: Release, settings: Settings) -> flags.Flags:
    """Return the flags of the VM of `release`, as rendered and as the environment has them."""
    names = ("vm.args", "vm.dist.args")
    return _flags(release, names, settings)


def _flags(release: Release, names: Iterable[str], settings: Settings) -> flags.Flags:
    return flags.read(
        release.etc,
        names,
        settings.vm_flags,
        current=release.server,
        unwritten=release.unwritten,
    )


def reach(given: flags.Flags, settings: Settings, app_config: str = "") -> Reach:
    """Return how a node with these flags, and with this text as app.config, is reached."""

    def kernel(name: str) -> str:
        return given.parameter("kernel", name) or _in_app_config(name, app_config)

    port = given.get("erl_epmd_port") if len(given.all("erl_epmd_port")) == 1 else ""
    port = port or kernel(FIXED_PORT)
    epmd_port = str(settings.erl_epmd_port or given.first("epmd_port") or Reach().epmd_port)
    module = given.get("epmd_module") or kernel("epmd_module")
    return Reach(
        carrier=given.get("proto_dist", PLAIN[0]),
        epmd_port=_number(epmd_port),
        node_port=_number(port),
        epmd_module="" if module == "erl_epmd" else module,
        interface=_address(kernel(INTERFACE)),
        listens=given.get("dist_listen") != "false",
        starts_epmd=given.get("start_epmd") != "false",
    )


def of_release(release: Release, settings: Settings) -> Reach:
    """Return how nodes of `release`, as it was rendered, are reached."""
    return reach(flags_of(release, settings), settings, app_config_of(release))


def app_config_of(release: Release) -> str:
    """Return app.config as it was rendered; empty if there is none."""
    name = "app.config"
    try:
        if name in release.unwritten:
            return release.unwritten[name].decode()
        path = os.path.join(release.etc, name)
        with open(path, encoding="utf-8", opener=regular) as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def refuse_unreachable(release: Release, settings: Settings, node: str) -> None:
    """Refuse what would make a member that nobody can join.

    Raises `ConfigurationError`, with a line for each thing and the flag's name.
    """
    given = flags_of(release, settings)
    how = reach(given, settings, app_config_of(release))
    errors = [*_wrong_flags(release, settings, given, how)]
    if not how.listens:
        errors.append(f"-dist_listen false: no node could connect to {node}, {WAYS_OUT}")
    if _is_loopback(how.interface):
        errors.append(
            f"-kernel {INTERFACE} is {how.interface}, where no other host reaches {node}, "
            f"{WAYS_OUT}"
        )
    epmd = settings.erl_epmd_address
    if epmd and not how.node_port and all(map(_is_loopback, epmd)):
        errors.append(
            f"ERL_EPMD_ADDRESS is {','.join(epmd)}, where no other host can ask for {node}, "
            f"{WAYS_OUT}"
        )
    host = node.partition("@")[2]
    of_ip = re.fullmatch(r"[0-9.]+|.*:.*", host) is not None
    if of_ip and how.carrier in {*PLAIN, *TLS} and (":" in host) != how.ipv6:
        plain, secure = (PLAIN[":" in host], TLS[":" in host])
        errors.append(
            f"the host of {node} is an {'IPv4' if how.ipv6 else 'IPv6'} address, and the VM is not "
            f"reached there with -proto_dist {how.carrier}: write -proto_dist "
            f"{secure if how.tls else plain} into vm.dist.args, or set another NODE_HOST"
        )
    if errors:
        raise ConfigurationError("\n".join(errors))


def _wrong_flags(
    release: Release, settings: Settings, given: flags.Flags, how: Reach
) -> Iterable[str]:
    """Yield what is wrong with the flags themselves."""
    for name in ONLY_ONCE:
        if (count := len(given.all(name))) > 1:
            yield (
                f"-{name} is given {count} times in vm.args, vm.dist.args and the environment, and "
                "OTP ignores all of them then: leave one"
            )
    port = given.get("erl_epmd_port") or given.parameter("kernel", FIXED_PORT)
    if port and not 0 < _number(port) <= HIGHEST_PORT:
        yield f"the port {port!r} of -erl_epmd_port is no TCP port, 1 to {HIGHEST_PORT}"
    names = ("vm.dist.args",)
    control = reach(_flags(release, names, settings), settings)
    flag_of = {
        "carrier": "-proto_dist",
        "epmd_port": "-epmd_port",
        "node_port": "-erl_epmd_port",
        "epmd_module": "-epmd_module",
    }
    for field, flag in flag_of.items():
        if getattr(how, field) != getattr(control, field):
            yield (
                f"{flag} is not in vm.dist.args but in vm.args or app.config, which mongooseimctl "
                "does not read, so that no node could join: move it to vm.dist.args"
            )


WAYS_OUT = "so no cluster could form: remove it, or set JOIN_CLUSTER=false"


def _in_app_config(name: str, text: str) -> str:
    """Return a parameter of `kernel` in app.config, as text; empty if it is not there."""
    # Most files have none of them: then nothing is parsed.
    if name not in text:
        return ""
    from member_entrypoint import terms

    stream = list(terms.tokens(text))
    inside = False
    for at, token in enumerate(stream[:-4]):
        following = [each.text for each in stream[at : at + 3]]
        if token.depth == 1 and token.text == "{":
            inside = following == ["{", "kernel", ","]
        elif inside and following == ["{", name, ","]:
            end = next(t for t in stream[at + 1 :] if t.depth == token.depth and t.text == "}")
            return text[stream[at + 3].start : end.start].strip()
    return ""


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0


def _address(text: str) -> str:
    """Return the address in an Erlang tuple, or in a string; empty where there is none.

    `{0,0,0,0}` and `{0,0,0,0,0,0,0,0}` are all addresses.
    """
    numbers = text.strip("{} \t\n").split(",")
    if text[:1] != "{":
        address = text.strip("\"' ")
        return address if is_address(address) and address not in {"0.0.0.0", "::"} else ""  # noqa: S104
    try:
        parts = [_integer(number.strip()) for number in numbers]
    except ValueError:
        return ""
    if not any(parts):
        return ""
    if len(parts) == 4:  # noqa: PLR2004 - the two lengths of addresses
        return ".".join(map(str, parts))
    return ":".join(f"{part:x}" for part in parts) if len(parts) == 8 else ""  # noqa: PLR2004


def _integer(text: str) -> int:
    base, hash_sign, digits = text.partition("#")
    return int(digits, int(base)) if hash_sign else int(text)


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address in {"::1", "0:0:0:0:0:0:0:1"}
