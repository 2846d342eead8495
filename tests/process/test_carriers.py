"""Real members, over each carrier: they look, join, are probed, notice a partition, and leave.

The matrix in docs/networking.md is made of these tests.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hosts import SLOW, Carrier, Host, build_sample, hosts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from processes import Machine

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


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a release of the sample server."""
    return build_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(params=CARRIERS)
def pair(request: pytest.FixtureRequest, tmp_path: Path, sample: Path) -> Iterator[list[Host]]:
    """Provide two hosts whose nodes are reached in each of the ways."""
    with hosts(tmp_path, sample, CARRIERS[request.param]) as made:
        yield made


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
    member.send(signal.SIGTERM)
    assert member.wait() == 0, member.output()
    assert f"{second.node} left its cluster" in member.output()
    second.start(machine).wait_for_output(f"Clustered {second.node} with", timeout=SLOW)
    second.becomes_ready(machine)
    second.link("down")
    primary.wait_for_output(f"{first.node} has lost {second.node}", timeout=SLOW)
    for said in ("Traceback", "cannot be heeded", "not watched"):
        assert said not in primary.output() + member.output()
