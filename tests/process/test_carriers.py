"""Real members, over each carrier: they look, join, are probed, asked for their status, leave.

The matrix in docs/networking.md is made of these tests.
"""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from certificates import Authority
from hosts import CARRIERS, SLOW, Carrier, Host, hosts
from processes import tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from processes import Machine

EPMD_MODULE = """
-module(own_epmd).
-compile([export_all, nowarn_export_all]).
start_link() -> erl_epmd:start_link().
register_node(Name, Port) -> erl_epmd:register_node(Name, Port).
register_node(Name, Port, Family) -> erl_epmd:register_node(Name, Port, Family).
port_please(Name, Host) -> erl_epmd:port_please(Name, Host).
port_please(Name, Host, Timeout) -> erl_epmd:port_please(Name, Host, Timeout).
address_please(Name, Host, Family) -> erl_epmd:address_please(Name, Host, Family).
listen_port_please(Name, Host) -> erl_epmd:listen_port_please(Name, Host).
names(Host) -> erl_epmd:names(Host).
"""


@pytest.fixture(params=CARRIERS)
def pair(request: pytest.FixtureRequest, tmp_path: Path, sample: Path) -> Iterator[list[Host]]:
    """Provide two hosts whose nodes are reached in each of the ways."""
    with hosts(tmp_path, sample, CARRIERS[request.param]) as made:
        yield made


@pytest.mark.parametrize("carrier", ["plain", "no epmd", "IPv6"])
@pytest.mark.parametrize("name", ["mongooseim@alias", "mongooseim@CHAT-1"])
def test_a_name_that_the_other_does_not_have_ends_the_wait_at_once(
    tmp_path: Path, sample: Path, machine: Machine, carrier: str, name: str
) -> None:
    """An alias in the network, and another letter case: status 2, and the name to use."""
    with hosts(tmp_path, sample, CARRIERS[carrier]) as (first, second):
        primary = first.start(machine, JOIN_CLUSTER="false")
        primary.wait_for_output("MongooseIM started", timeout=SLOW)
        second.name("alias", 1)
        member = second.start(machine, CLUSTER_WITH=name)
        said = f"the node there is called {first.node}, CLUSTER_WITH must name that"
        assert said in member.wait_for_output("Failed clustering", timeout=SLOW)
        assert member.wait() == 2


def test_a_foreign_certificate_is_said(tmp_path: Path, sample: Path, machine: Machine) -> None:
    """The one that waits says whose certificate is not accepted; it never serves."""
    with hosts(tmp_path, sample, CARRIERS["TLS"]) as (first, second):
        first.start(machine, JOIN_CLUSTER="false").wait_for_output(
            "MongooseIM started", timeout=SLOW
        )
        foreign = Authority(tmp_path, "foreign")
        second.replace_options(foreign.issue("foreign-node", "DNS:chat-2"), foreign.ca)
        member = second.start(machine, JOIN_TIMEOUT="5")
        output = member.wait_for_output("Failed clustering", timeout=SLOW)
        assert f"the certificate of {first.node} is not accepted: " in output
        assert "MongooseIM started" not in output
        assert member.wait() == 2


def test_members_join_and_leave_by_a_module_that_knows_where_nodes_are(
    tmp_path: Path, sample: Path, machine: Machine
) -> None:
    """With -epmd_module a VM asks each question, and nobody watches for partitions."""
    source = tmp_path / "own_epmd.erl"
    source.write_text(EPMD_MODULE)
    subprocess.run([tool("erlc"), "-o", tmp_path, source], check=True, timeout=SLOW)
    carrier = Carrier(f"-epmd_module own_epmd -pa {tmp_path}")
    with hosts(tmp_path, sample, carrier) as (first, second):
        # Nobody can see that the other one, which waits, has no data either.
        first.start(machine, JOIN_CLUSTER="false")
        first.becomes_ready(machine)
        member = second.start(machine, LEAVE_CLUSTER_ON_STOP="true")
        member.wait_for_output(f"Clustered {second.node} with {first.node}", timeout=SLOW)
        second.becomes_ready(machine)
        member.wait_for_output("partitions are not watched", timeout=SLOW)
        second.says(
            machine,
            1,
            f"{second.node} is ready; the members are not asked: -epmd_module own_epmd: only this "
            "module knows where nodes are, so each question boots a VM of the release, and "
            "partitions are not watched",
        )
        member.send(signal.SIGTERM)
        assert member.wait() == 0, member.output()
        assert f"{second.node} left its cluster" in member.output()


def test_members_live_together(pair: list[Host], machine: Machine) -> None:
    """From the first look at each other to the end of the one and the loss of the other."""
    first, second = pair
    primary = first.start(machine)
    member = second.start(machine, LEAVE_CLUSTER_ON_STOP="true")
    # It has found out that the other waits with an empty disk.
    primary.wait_for_output("MongooseIM cluster primary node", timeout=SLOW)
    first.becomes_ready(machine)
    member.wait_for_output(f"Clustered {second.node} with {first.node}", timeout=SLOW)
    second.becomes_ready(machine)
    assert first.run(machine, "health", "live") == (0, "live\n")
    for host in pair:
        host.says(machine, 0, "2 of 2 members run together")
    with first.stopped_vm():
        assert first.whats_wrong() == "the Erlang VM hangs: it closed no connection within 1 s"
    assert first.whats_wrong() == ""
    member.send(signal.SIGTERM)
    assert member.wait() == 0, member.output()
    assert f"{second.node} left its cluster" in member.output()
    second.start(machine).wait_for_output(f"Clustered {second.node} with", timeout=SLOW)
    second.becomes_ready(machine)
    second.link("down")
    primary.wait_for_output(f"{first.node} has lost {second.node}", timeout=SLOW)
    first.says(machine, 1, f"1 of 2 members runs; {second.node} cannot be reached")
    for said in ("Traceback", "cannot be heeded", "not watched"):
        assert said not in primary.output() + member.output()
