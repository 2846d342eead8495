"""Hosts of members: network namespaces on a switch, with real nodes of the sample server.

Each host has its own network, host name, hosts file and root folder. What the tests do to a network
(take a link down) Docker does to containers. It needs root, as `unshare --net` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from certificates import Authority
from processes import DEADLINE, MEMBER, ROOT, Machine, Mode, Program, eventually, tool

from member_entrypoint import state
from member_entrypoint.places import Places
from member_entrypoint.release import server_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processes import Running

PLAIN = Program(MEMBER, Mode.SUBREAPER)
SAMPLE = ROOT / "tests" / "sample_server"
DOMAIN = "chat.example.com"
TICKS = "-kernel net_ticktime 4\n"
"""A lost connection is noticed after 5 s, not after a minute."""
SLOW = 4 * DEADLINE
"""Seconds for what takes a few on a machine that does nothing else."""


@dataclass(frozen=True)
class Carrier:
    """How the nodes of a cluster are reached."""

    flags: str = ""
    """vm.dist.args; OPTFILE is the file with the options for TLS, ADDRESS the host's own address,
    as a tuple."""
    ipv6: bool = False
    """There is no IPv4 in the network at all."""
    named: str = "short"
    """Nodes have short names, long ones, or those of addresses."""
    variables: dict[str, str] = field(default_factory=dict)
    """More of the environment; ADDRESS is the host's own address."""
    one_root: bool = False
    """Each host has its root folder at the same path, as containers have. Only then do members find
    each other's markers and status files, which a VM is asked to read."""

    def address(self, number: int) -> str:
        """Return the address of a host."""
        return f"fd00:88::{number}" if self.ipv6 else f"10.88.0.{number}"

    def host(self, number: int) -> str:
        """Return the part of a node's name behind the `@`."""
        if self.named == "address":
            return self.address(number)
        return f"chat-{number}" + (f".{DOMAIN}" if self.named == "long" else "")

    def node(self, number: int) -> str:
        """Return the name of a node."""
        return f"mongooseim@{self.host(number)}"

    @property
    def tls(self) -> bool:
        """Whether nodes speak TLS."""
        return "_tls" in self.flags


FIXED = "-start_epmd false -erl_epmd_port 9100"
TLS = "-proto_dist inet_tls -ssl_dist_optfile OPTFILE"
IPV6_TLS = "-proto_dist inet6_tls -ssl_dist_optfile OPTFILE"
CARRIERS = {
    "plain": Carrier(),
    "other port of epmd": Carrier(variables={"ERL_EPMD_PORT": "4370"}),
    "epmd at one address": Carrier(variables={"ERL_EPMD_ADDRESS": "ADDRESS"}),
    "no epmd": Carrier(FIXED),
    "one interface": Carrier("-kernel inet_dist_use_interface ADDRESS"),
    "TLS": Carrier(TLS),
    "TLS, no epmd": Carrier(f"{TLS} {FIXED}"),
    "IPv6": Carrier("-proto_dist inet6_tcp", ipv6=True),
    "IPv6, long names": Carrier("-proto_dist inet6_tcp", ipv6=True, named="long"),
    "IPv6, addresses": Carrier("-proto_dist inet6_tcp", ipv6=True, named="address"),
    "IPv6, TLS": Carrier(IPV6_TLS, ipv6=True),
}


def build_sample(folder: Path) -> Path:
    """Build the release of the sample server with this machine's Erlang; return its folder."""
    source, release = folder / "sample", folder / "release"
    shutil.copytree(SAMPLE, source)
    command = [tool("escript"), "tools/make_release.escript", str(release)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=SLOW)
    return release


class Host:
    """One host: its namespaces, held by a process that sleeps, and its root folder."""

    def __init__(
        self, folder: Path, release: Path, carrier: Carrier, number: int, count: int
    ) -> None:
        """Lay out the root folder; there are `count` hosts."""
        self.carrier = carrier
        self.number = number
        self.node = carrier.node(number)
        self.root = folder / f"host-{number}"
        self.seen_root = folder / "root" if carrier.one_root else self.root
        """The same folder as processes on the host see it."""
        self.holder: subprocess.Popen[str] | None = None
        self.switch = 0
        """The pid of the process that holds the switch's network."""
        installed = self.root / "usr/lib/mongooseim-image"
        installed.parent.mkdir(parents=True)
        shutil.copytree(release, installed, copy_function=_link)
        for name in ("run/mongooseim", "var/lib/mongooseim", "var/log/mongooseim", "etc"):
            (self.root / name).mkdir(parents=True)
        numbers = ",".join(carrier.address(number).split("."))
        self._optfile = folder / f"ssl-{number}.conf"
        if carrier.tls:
            shutil.copy2(folder / "ssl.conf", self._optfile)
        flags = carrier.flags.replace("OPTFILE", str(self._optfile)).replace(
            "ADDRESS", f"{{{numbers}}}"
        )
        self._write(installed / "etc/vm.dist.args", f"{flags}\n{TICKS}")
        server_root.lay_out(str(installed), Places(str(self.seen_root)))
        (self.root / "usr/lib/mongooseim").symlink_to("mongooseim-image")
        lines = [
            f"{carrier.address(each)} chat-{each}.{DOMAIN} chat-{each}"
            for each in range(1, count + 1)
        ]
        (self.root / "etc/hosts").write_text("\n".join(["::1 localhost", *lines, ""]))
        (self.root / "etc/resolv.conf").write_text("")

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.unlink(missing_ok=True)  # the release's own is a link to that of all hosts
        path.write_text(text)

    def start(self, machine: Machine, **variables: str) -> Running:
        """Start the member."""
        return self.start_as(PLAIN, machine, variables)

    def start_as(self, program: Program, machine: Machine, variables: dict[str, str]) -> Running:
        """Start the member as one of the ways to run a program."""
        environment = self.environment(**variables)
        return machine.start(program, environment=environment, outside=self.inside())

    def inside(self) -> list[str]:
        """Return the words that have the next process run on this host."""
        assert self.holder is not None
        return [tool("nsenter"), "-t", str(self.holder.pid), "--net", "--uts", "--mount", "--"]

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of the member."""
        named = {
            "short": {},
            "long": {"NODE_TYPE": "name"},
            "address": {
                "NODE_TYPE": "name",
                "NODE_HOST": self.carrier.host(self.number),
                "CLUSTER_WITH": self.carrier.node(1),
            },
        }[self.carrier.named]
        return {
            "ENTRYPOINT_ROOT": str(self.seen_root),
            "HOSTNAME": f"chat-{self.number}.{DOMAIN}",
            "CLUSTER_COOKIE": "sample",
            "LOG_FORMAT": "logfmt",
            **named,
            **{
                name: value.replace("ADDRESS", self.carrier.address(self.number))
                for name, value in self.carrier.variables.items()
            },
            **variables,
        }

    def run(self, machine: Machine, *command: str) -> tuple[int, str]:
        """Run a command under our program; return status and output."""
        return machine.run(PLAIN, command, environment=self.environment(), before=self.inside())

    def becomes_ready(self, machine: Machine) -> None:
        """Wait until the probe says so."""

        def ready() -> bool:
            return self.run(machine, "health", "ready")[0] == 0

        eventually(ready, f"{self.node} is ready", timeout=SLOW)

    def says(self, machine: Machine, status: int, verdict: str) -> None:
        """Wait until `status` has this exit status, and says this of the cluster."""
        last = (0, "")

        def said() -> bool:
            nonlocal last
            last = self.run(machine, "status", "--json")
            return last[0] == status and json.loads(last[1])["verdict"] == verdict

        try:
            eventually(said, f"{self.node} says {verdict!r}", timeout=SLOW)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {last}") from None

    @contextlib.contextmanager
    def stopped_vm(self) -> Iterator[None]:
        """Stop the VM while the block runs: it hangs then, whatever the signal."""
        vm = int(state.processes(str(self.root))["vm"][0])
        os.kill(vm, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(vm, signal.SIGCONT)

    def whats_wrong(self) -> str:
        """Return what a probe finds wrong with the node, by what PID 1 has noted of its reach."""
        node = state.processes(str(self.root))["node"]
        script = (
            "from member_entrypoint.health import probe; probe.NODE_TIMEOUT = 1.0;"
            f"print(probe.whats_wrong_with_node(*{node!r}))"
        )
        return self.shell(f"cd {ROOT} && {sys.executable} -c {shlex.quote(script)}").strip()

    def name(self, alias: str, number: int) -> None:
        """Have the hosts file of this host name another one."""
        with (self.root / "etc/hosts").open("a") as file:
            file.write(f"{self.carrier.address(number)} {alias}\n")

    def replace_options(self, certificate: Path, authority: Path) -> None:
        """Give this node other options for TLS."""
        self._optfile.write_text(options_for_tls(certificate, authority))

    def shell(self, script: str) -> str:
        """Run a script of the shell on this host; return what it prints."""
        done = subprocess.run(
            [*self.inside(), "sh", "-ec", script],
            check=True,
            capture_output=True,
            text=True,
            timeout=SLOW,
        )
        return done.stdout

    def link(self, state: str) -> None:
        """Take the link to the others `down`, or `up` again."""
        self.shell(f"ip link set eth0 {state}")
        if state == "up" and self.carrier.ipv6:
            self.shell(f"ip addr replace {self.carrier.address(self.number)}/64 dev eth0 nodad")


def _link(source: str, target: str) -> None:
    """Give a file a second name; copy scripts and configuration, which are changed."""
    if "/lib/" in source or "/erts-" in source:
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


@contextlib.contextmanager
def hosts(folder: Path, release: Path, carrier: Carrier, count: int = 2) -> Iterator[list[Host]]:
    """Provide hosts that reach each other; whatever runs on them is ended afterwards."""
    if carrier.tls:
        _write_options(folder, carrier, count)
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(_namespace("ip link add switch type bridge"))
        in_network(switch.pid, "ip link set switch up")
        made = []
        for number in range(1, count + 1):
            host = Host(folder, release, carrier, number, count)
            host.seen_root.mkdir(exist_ok=True)
            etc = host.root / "etc"
            host.switch = switch.pid
            host.holder = stack.enter_context(
                _namespace(
                    f"mount --bind {host.root} {host.seen_root}",
                    f"mount --bind {etc}/hosts /etc/hosts",
                    f"mount --bind {etc}/resolv.conf /etc/resolv.conf",
                    f"hostname chat-{number}",
                    "ip link set lo up",
                )
            )
            in_network(
                switch.pid,
                f"ip link add port-{number} type veth peer name eth0 netns {host.holder.pid}",
                f"ip link set port-{number} master switch up",
            )
            if carrier.ipv6:
                host.shell("ip -4 addr flush dev lo")
            host.shell(
                f"ip addr add {carrier.address(number)}/{64 if carrier.ipv6 else 24} dev eth0"
                f"{' nodad' if carrier.ipv6 else ''} && ip link set eth0 up"
            )
            made.append(host)
        yield made


def _write_options(folder: Path, carrier: Carrier, count: int) -> None:
    """Write the options for TLS: both sides are verified, with one certificate for all hosts."""
    authority = Authority(folder, "authority")
    names = [carrier.host(number) for number in range(1, count + 1)]
    kind = "IP" if carrier.named == "address" else "DNS"
    certificate = authority.issue("node", *(f"{kind}:{name}" for name in names))
    (folder / "ssl.conf").write_text(options_for_tls(certificate, authority.ca))


def options_for_tls(certificate: Path, authority: Path) -> str:
    """Return a file with options for both sides, each of which verifies the other."""
    both = f'{{certfile, "{certificate}"}}, {{cacertfile, "{authority}"}}, {{verify, verify_peer}}'
    return f"[{{server, [{both}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{both}]}}].\n"


@contextlib.contextmanager
def _namespace(*commands: str) -> Iterator[subprocess.Popen[str]]:
    """Hold namespaces in which these commands were run, until the block ends."""
    words = [tool("unshare"), "--net", "--uts", "--mount", "--propagation", "private"]
    script = " && ".join([*commands, "echo up", "exec sleep infinity"])
    with subprocess.Popen(
        [*words, "sh", "-ec", script], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "up\n"
            yield holder
        finally:
            holder.kill()


def in_network(pid: int, *commands: str) -> None:
    """Run commands of the shell in the network of a process."""
    command = [tool("nsenter"), "-t", str(pid), "--net", "sh", "-ec", " && ".join(commands)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=SLOW)
