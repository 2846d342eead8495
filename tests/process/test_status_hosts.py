"""What `status` shows of a cluster of three, in five states: as docs/status.md has it.

`STATUS_DOCS=write` puts what these runs show into that page.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hosts import SLOW, Carrier, Host, build_sample, hosts
from processes import MEMBER, ROOT, Running, eventually, tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from processes import Machine

PAGE = ROOT / "docs" / "status.md"
CHANGING = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ": "TIME",
    r"\d+ (?:s|min|h|d) ago": "N ago",
    r"[\d.]+ (?:bytes|KiB|MiB)": "SIZE",
    r"\b[0-9a-f]{8}\b": "IDENTITY",
    r"identity \{.*?\}": "identity",
    r"in \d+ s\b": "in N s",
    r"OTP \d+ \(erts [\d.]+\)": "OTP",
}
"""What is another one in each run."""
SERVICE = "chat.example.com"
NAME_SERVER = """
import pathlib, sys, time
from dns_server import serving
def zone(name, kind):
    pods = pathlib.Path(sys.argv[1]).read_text().split()
    return [f"{name} SRV 0 0 5222 {pod}." for pod in pods] if kind == "SRV" and pods else 3
with serving("127.0.0.1", zone):
    print("up", flush=True)
    time.sleep(3600)
"""
"""Knows the hosts that a file names behind any service, and nothing else."""
CETS = """
[[listen.c2s]]
  port = 5222
[internal_databases.cets]
  backend = "file"
  node_list_file = "{}"
"""


def block(name: str) -> re.Pattern[str]:
    """Return the pattern of a part of the page: what comes before it, the part, what follows."""
    return re.compile(rf"(<!-- {name} -->\n```text\n)(.*?)(```\n)", re.DOTALL)


def unchanging(text: str) -> str:
    """Return a text without what is another one in each run."""
    for pattern, word in CHANGING.items():
        text = re.sub(pattern, word, text)
    return " ".join(text.split())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a release of the sample server."""
    return build_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def three(tmp_path: Path, sample: Path) -> Iterator[list[Host]]:
    """Provide three hosts, each with a DNS server that knows nobody."""
    with hosts(tmp_path, sample, Carrier(), 3) as made, contextlib.ExitStack() as stack:
        for host in made:
            stack.enter_context(name_server(host))
        yield made


@contextlib.contextmanager
def name_server(host: Host) -> Iterator[None]:
    """Run a DNS server on a host."""
    (host.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    pods = host.root / "pods"
    pods.write_text("")
    command = f"PYTHONPATH={ROOT / 'tests/shared'} exec {sys.executable} -c "
    command += f"{shlex.quote(NAME_SERVER)} {shlex.quote(str(pods))}"
    words = [*host.inside(), "sh", "-ec", command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "up\n"
            yield
        finally:
            server.kill()


class Page:
    """Compares what is shown with the page, or writes it there."""

    def __init__(self, machine: Machine) -> None:
        """Take what runs programs."""
        self._machine = machine

    def shows(self, name: str, host: Host, status: int, verdict: str) -> None:
        """See that a host says this first, and that the page has what it shows."""
        shown = ""

        def seen() -> bool:
            nonlocal shown
            code, shown = host.run(self._machine, "status")
            shown = shown.replace(str(host.root), "").replace("chat-1,\n            ", "chat-1, ")
            shown = re.sub(r"(/Mnesia\.\S+),\n +", r"\1, ", shown)
            return code == status and unchanging(shown).startswith(verdict)

        try:
            eventually(seen, verdict, timeout=SLOW)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{shown}") from None
        page = PAGE.read_text(encoding="utf-8")
        found = block(name).search(page)
        assert found, f"docs/status.md has no part {name}"
        if os.environ.get("STATUS_DOCS") == "write":
            PAGE.write_text(f"{page[: found.start(2)]}{shown}{page[found.end(2) :]}")
        else:
            assert unchanging(shown) == unchanging(found[2])


def stop(member: Running) -> None:
    """Stop a member."""
    member.send(signal.SIGTERM)
    assert member.wait(timeout=SLOW) == 0, member.output()


def wipe(host: Host) -> None:
    """Delete what is on the volume of a host."""
    data = host.root / "var/lib/mongooseim"
    shutil.rmtree(data)
    data.mkdir()


@pytest.mark.timeout(600)
def test_five_states_are_as_the_page_shows_them(three: list[Host], machine: Machine) -> None:
    """All well; one stopped; one on the other side; one in another cluster; one that waits."""
    page = Page(machine)
    first, _, third = three
    members = [host.start(machine) for host in three]
    for host in three:
        host.becomes_ready(machine)
    page.shows("well", first, 0, "3 of 3 members run together node")

    stop(members[2])
    page.shows("stopped", first, 1, f"2 of 3 members run together; {third.node} does not run")

    members[2] = third.start(machine)
    third.becomes_ready(machine)
    page.shows("well", first, 0, "3 of 3 members run together node")
    third.link("down")
    for member in (members[0], members[1]):
        member.wait_for_output(f"has lost {third.node}", timeout=SLOW)
    third.link("up")
    said = f"the cluster is split, and {first.node} is on the side that stays: start {third.node}"
    page.shows("partitioned", first, 1, said)
    said = f"{third.node} is on the losing side of a partition, without {first.node} and"
    page.shows("losing", third, 1, said)

    stop(members[2])
    wipe(third)
    members[2] = third.start(machine, JOIN_CLUSTER="false")
    third.becomes_ready(machine)
    said = f"2 of 3 members run together; {third.node} runs in another cluster"
    page.shows("another-cluster", first, 1, said)

    stop(members[2])
    stop(members[0])
    wipe(third)
    members[2] = third.start(machine)
    said = f"{third.node} waits for {first.node}: no epmd on {first.carrier.address(1)} port 4369"
    page.shows("waits", third, 1, said)


@pytest.mark.timeout(300)
def test_nodes_for_cets_are_compared_with_dns(
    tmp_path: Path, sample: Path, machine: Machine
) -> None:
    """All is well if the file has those of DNS, and all are connected."""
    with hosts(tmp_path, sample, Carrier(), 2) as (host, other), name_server(host):
        (host.root / "member").mkdir()
        nodes, pods = host.root / "run/mongooseim/nodes", host.root / "pods"
        (host.root / "member/mongooseim.toml").write_text(CETS.format(nodes))
        pods.write_text("chat-1")
        discovery = {
            "DISCOVERY_NAME": SERVICE,
            "DISCOVERY_FILE": str(nodes),
            "DISCOVERY_INTERVAL": "1",
        }
        host.start(machine, **discovery)
        host.becomes_ready(machine)

        def cets() -> dict[str, object]:
            run = [*host.inside(), tool("env"), "--block-signal", str(machine.python), "-I"]
            done = subprocess.run(
                [*run, str(MEMBER), "status", "--json"],
                env={"PATH": os.environ["PATH"], **host.environment(**discovery)},
                capture_output=True,
                text=True,
                check=False,
                timeout=SLOW,
            )
            return dict(json.loads(done.stdout))

        assert cets()["verdict"] == f"{host.node} runs with CETS"
        pods.write_text("chat-1 chat-2")
        lost = f"{host.node} has no connection to {other.node}, which {nodes} lists"
        eventually(lambda: cets()["verdict"] == lost, lost, timeout=SLOW)
        found = cets()["cets"]
        assert found == {
            "only": True,
            "file": str(nodes),
            "listed": [host.node, other.node],
            "discovery_name": SERVICE,
            "in_dns": [host.node, other.node],
            "why_not_in_dns": None,
            "connected": [],
        }
