"""What `status` shows of a cluster of three, in five states: as docs/status.md has it.

`STATUS_DOCS=write` puts what these runs show into that page.
"""

from __future__ import annotations

import contextlib
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
from processes import ROOT, Running, eventually

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
NOBODY_ELSE = """
import time
from dns_server import serving
with serving("127.0.0.1", lambda name, kind: 3):
    print("up", flush=True)
    time.sleep(3600)
"""


def block(name: str) -> re.Pattern[str]:
    """Return the pattern of a part of the page: what comes before it, the part, what follows."""
    return re.compile(rf"(<!-- {name} -->\n```text\n)(.*?)(```\n)", re.DOTALL)


def unchanging(text: str) -> str:
    """Return a text without what is another one in each run."""
    for pattern, word in CHANGING.items():
        text = re.sub(pattern, word, text)
    return " ".join(text.split())


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Host]]:
    """Provide three hosts, each with a DNS server that knows nobody."""
    sample = build_sample(tmp_path / "sample")
    with hosts(tmp_path, sample, Carrier(), 3) as made, contextlib.ExitStack() as stack:
        for host in made:
            (host.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
            stack.enter_context(name_server(host))
        yield made


@contextlib.contextmanager
def name_server(host: Host) -> Iterator[None]:
    """Run a DNS server on a host."""
    command = f"PYTHONPATH={ROOT / 'tests/shared'} exec {sys.executable} -c "
    words = [*host.inside(), "sh", "-ec", command + shlex.quote(NOBODY_ELSE)]
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
