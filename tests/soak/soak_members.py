"""The members of the soak: hosts with a PID namespace and a volume each, as containers have.

They hang on one switch. The switch's own network has the name server and the clients.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dns.rcode
import psutil
from dns_server import serving
from hosts import SLOW, Carrier, Host, hosts, in_network
from processes import MEMBER, Machine, Mode, Program, children_of, lean_python, tool
from soak_volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from processes import Running

COUNT = 5
PRIMARY = 1
NUMBERS = range(1, COUNT + 1)
HUB = "10.88.0.250"
"""The address of the name server and the clients."""
DATA = "var/lib/mongooseim"
PID_1 = Program(MEMBER, Mode.PID_1)
CLONE_NEWNET = 0x40000000
FAKETIME = "libfaketimeMT.so.1"
CLOCK = {
    "FAKETIME_CACHE_DURATION": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_DONT_RESET": "1",
    "NO_FAKE_STAT": "1",
}
"""libfaketime looks at its file once a second, and changes the clock of the wall only."""
KEPT_LINES = 12
"""Of a member's log: how many are shown when something is wrong."""


class Member:
    """One member: started, stopped and killed as a container, with a volume that outlives it."""

    def __init__(self, host: Host, machine: Machine, logs: Path) -> None:
        """Take its host, on which the volume is made."""
        self.host = host
        self.number = host.number
        self.node = host.node
        self.address = host.carrier.address(host.number)
        self.lives: list[Running] = []
        self.stopping = False
        self._machine = machine
        self._logs = logs
        self._clock = host.root / "clock"
        self.set_clock(0)
        self.volume = Volume(host, host.seen_root / DATA)

    @property
    def up(self) -> bool:
        """Whether the container runs."""
        return bool(self.lives) and self.lives[-1].launcher.poll() is None

    def start(self, **variables: str) -> None:
        """Start the container; `variables` are for this start only."""
        clock = {**CLOCK, "FAKETIME_TIMESTAMP_FILE": str(self._clock)}
        running = self.host.start_as(PID_1, self._machine, {**clock, **variables})
        self.lives.append(running)
        name = f"chat-{self.number}.{len(self.lives)}.log"
        (self._logs / name).symlink_to(os.path.relpath(running.file, self._logs))

    def ask_to_stop(self) -> None:
        """Send SIGTERM, as `docker stop` does."""
        if self.up:
            self.lives[-1].send(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until the container has ended; return its status."""
        return self.lives[-1].wait(timeout=SLOW)

    def stop(self) -> int:
        """Stop it in good order; return its status."""
        self.ask_to_stop()
        return self.wait()

    def kill(self) -> None:
        """Kill PID 1, and with it the whole namespace."""
        if self.up:
            self.lives[-1].send(signal.SIGKILL)
            self.wait()

    def vm(self) -> int:
        """Return the pid of the VM, as this machine sees it; 0 if there is none."""
        if self.up:
            for pid in children_of(self.lives[-1].pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if psutil.Process(pid).name().startswith("beam"):
                        return pid
        return 0

    def signal_vm(self, number: int) -> None:
        """Send the VM a signal; nothing happens where there is none."""
        if pid := self.vm():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command of our program in the container, as `docker exec` does."""
        if not self.up:
            return 255, "the container does not run"
        return self._inside(str(self._machine.python), "-I", str(MEMBER), *command)

    def control(self, *command: str) -> tuple[int, str]:
        """Run mongooseimctl in the container."""
        return self.run(str(self.host.seen_root / "usr/lib/mongooseim/bin/mongooseimctl"), *command)

    def why_not_ready(self) -> str:
        """Return what the probe says against the member; empty if it is ready."""
        status, output = self.run("health", "ready")
        return "" if status == 0 else output.strip() or f"status {status}"

    def set_clock(self, offset: int) -> None:
        """Let the clock of the VM be wrong by `offset` seconds, within a second."""
        self._clock.write_text(f"{offset:+d}\n")

    def keep_data(self) -> None:
        """Copy the volume to the logs, from which it can be read later."""
        self.volume.copy(self._logs / f"chat-{self.number}.data")

    def said(self) -> str:
        """Return what it has printed since its last start."""
        return self.lives[-1].output() if self.lives else ""

    def last_lines(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(f"    {line}" for line in self.said().splitlines()[-KEPT_LINES:])

    def _inside(self, *command: str) -> tuple[int, str]:
        enter = [
            tool("nsenter"),
            "-t",
            str(self.lives[-1].pid),
            "--pid",
            "--net",
            "--uts",
            "--mount",
        ]
        environment = {"PATH": os.environ["PATH"], **self.host.environment()}
        done = subprocess.run(
            [*enter, "--", tool("env"), "--block-signal", *command],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=SLOW,
        )
        return done.returncode, done.stdout + done.stderr


class Five:
    """The five members, their network and their name server."""

    def __init__(self, members: Sequence[Member], policy: str = "ignore") -> None:
        """Begin with a network that is whole; `policy` is the members' PARTITION_POLICY."""
        self.policy = policy
        self.members = {member.number: member for member in members}
        self.names = "yes"
        """Whether the name server answers: `yes`, `silent`, or `fails`."""
        self.helped: list[str] = []
        """What an operator had to do for the step, in words."""

    @property
    def nodes(self) -> frozenset[str]:
        """The names of all nodes."""
        return frozenset(member.node for member in self.members.values())

    def zone(self, name: str, kind: str) -> list[str] | int | None:
        """Answer as Docker's name server does: a name exists while its container runs."""
        if self.names == "silent":
            return None
        if self.names == "fails":
            return int(dns.rcode.SERVFAIL)
        host = name.partition(".")[0]
        for member in self.members.values():
            if host == f"chat-{member.number}" and member.up:
                return [f"{name} {kind} {member.address}"] if kind == "A" else []
        return int(dns.rcode.NXDOMAIN)

    def deafen(self, number: int, others: Sequence[int]) -> None:
        """Have a member hear nothing from these others: one way."""
        rules = (
            f"iptables -w -A INPUT -s {self.members[other].address} -j DROP" for other in others
        )
        self.members[number].host.shell(" && ".join(rules))

    def part(self, groups: Sequence[Sequence[int]]) -> None:
        """Cut the network into groups, both ways."""
        for group in groups:
            others = [number for each in groups if each is not group for number in each]
            for number in group:
                self.deafen(number, others)

    def heal(self) -> None:
        """Make the network, names, disks and clocks whole again, and let all VMs run on."""
        self.names = "yes"
        for member in self.members.values():
            member.host.shell("iptables -w -F INPUT")
            member.host.link("up")
            member.signal_vm(signal.SIGCONT)
            member.volume.heal()
            member.set_clock(0)


@contextlib.contextmanager
def five(folder: Path, release: Path, variables: dict[str, str]) -> Iterator[Five]:
    """Provide five members, none started; this thread is in the switch's network meanwhile.

    `folder` keeps their logs. `variables` are of the environment of all.
    """
    logs, roots = folder / "logs", folder / "hosts"
    for each in (logs, roots):
        each.mkdir()
    machine = Machine(lean_python(folder / "python"), logs)
    carrier = Carrier(variables=variables, one_root=True)
    fake_clock_of_vm(release)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, roots, ignore_errors=True)
        made = stack.enter_context(hosts(roots, release, carrier, COUNT))
        stack.callback(machine.clean)
        for host in made:
            own = f"127.0.0.1 localhost\n{carrier.address(host.number)} chat-{host.number}\n"
            (host.root / "etc/hosts").write_text(own)
            (host.root / "etc/resolv.conf").write_text(f"nameserver {HUB}\n")
        in_network(made[0].switch, f"ip addr add {HUB}/24 dev switch", "ip link set lo up")
        policy = variables.get("PARTITION_POLICY", "ignore")
        cluster = Five([Member(host, machine, logs) for host in made], policy)
        stack.enter_context(_network_of(made[0].switch))
        stack.enter_context(serving(HUB, cluster.zone))
        yield cluster


@contextlib.contextmanager
def _network_of(pid: int) -> Iterator[None]:
    """Move this thread, and those that it starts, into the network of a process."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(path: str) -> int:
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        target = os.open(path, os.O_RDONLY)
        try:
            if libc.setns(target, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {path}")
        finally:
            os.close(target)
        return before

    before = enter(f"/proc/{pid}/ns/net")
    try:
        yield
    finally:
        os.close(enter(f"/proc/self/fd/{before}"))
        os.close(before)


@functools.cache
def faketime() -> str:
    """Return the path of libfaketime."""
    prefix = Path(tool("faketime")).parents[1]
    return str(next(prefix.glob(f"lib/*/faketime/{FAKETIME}")))


def fake_clock_of_vm(release: Path) -> None:
    """Have the VM of a release run with libfaketime: Python's `sleep` fails under it."""
    script = release / "bin/mongooseim"
    first, _, rest = script.read_text().partition("\n")
    script.write_text(f"{first}\nexport LD_PRELOAD={faketime()}\n{rest}")


def until(deadline: float, seconds: float = 0.2) -> bool:
    """Sleep a little; tell whether the deadline, in monotonic seconds, is still to come."""
    time.sleep(seconds)
    return time.monotonic() < deadline
