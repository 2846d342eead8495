"""Members in containers that reach each other over TLS, by IPv4 and by IPv6.

A container that Docker takes out of its network loses its IPv6 altogether, also on the loopback.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

import pytest
from certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

HOSTS = ("mongooseim-1", "mongooseim-2")
NODES = {f"mongooseim@{host}" for host in HOSTS}
# Erlang takes a node for gone that has said nothing for this long; its default is 60.
TICK = "-kernel net_ticktime 4\n"
CARRIERS = {"TLS": "inet_tls", "IPv6, TLS": "inet6_tls"}


def write_flags(folder: Path, carrier: str) -> None:
    """Write the configuration of all members: flags, and a certificate for both hosts."""
    flags = f"-proto_dist {carrier}\n"
    if carrier.endswith("tls"):
        authority = Authority(folder, "authority")
        authority.issue("node", *(f"DNS:{host}" for host in HOSTS))
        both = (
            '{certfile, "/member/node.pem"}, {cacertfile, "/member/authority.pem"}, '
            "{verify, verify_peer}"
        )
        (folder / "ssl.conf").write_text(
            f"[{{server, [{both}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{both}]}}].\n"
        )
        flags += "-ssl_dist_optfile /member/ssl.conf\n"
    (folder / "vm.dist.args").write_text(flags + TICK)
    folder.chmod(0o755)


def is_ready(member: Container) -> bool:
    """Tell whether the probe says so."""
    return member.exec("member-entrypoint", "health", "ready").returncode == 0


@pytest.mark.parametrize("carrier", CARRIERS)
def test_members_in_containers_live_together(
    cluster: Cluster, tmp_path: Path, carrier: str
) -> None:
    """They join, are ready, notice that one is cut off, and that one leaves for good."""
    write_flags(tmp_path, CARRIERS[carrier])
    subnet = f"fd00:{secrets.token_hex(2)}:{secrets.token_hex(2)}::/64"
    network = cluster.make_network("six", "--ipv6", "--subnet", subnet)
    members = [
        cluster.run(
            host,
            volumes=[f"{tmp_path}:/member:ro"],
            options=[f"--network-alias={host}"],
            network=network,
        )
        for host in HOSTS
    ]
    first, second = members
    first_node = f"mongooseim@{first.host}"
    second.wait_for_log("Clustered ", timeout=90)
    for member in members:
        member.wait_for(partial(is_ready, member), what="readiness")
        assert member.running_db_nodes() == NODES
    second.disconnect(network)
    first.wait_for_log("goes on without mongooseim@mongooseim-2")  # its name is gone, too
    second.wait_for_log("has lost mongooseim@mongooseim-1")
    second.connect(network, aliases=[HOSTS[1]])
    first.wait_for_log("the cluster is split: ")
    second.stop()
    second.start()
    second.wait_for_log("Clustered ", count=2, timeout=90)
    first.wait_for_cluster(HOSTS)
    left = second.exec("member-entrypoint", "leave")
    assert left.returncode == 0, left
    first.wait_for(lambda: first.db_nodes() == {first_node}, what="cluster of one")
    assert "Traceback" not in first.logs() + second.logs()
