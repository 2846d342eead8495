"""The network between members is cut, and healed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from clusters import HOSTS, assert_one_cluster, node_of, write
from docker_cli import docker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from containers import Cluster, Container

# Erlang takes a node for gone that has said nothing for this long; its default is 60.
TICK = "-kernel net_ticktime 4\n"
LOSER = 2
RESTART = {"PARTITION_POLICY": "restart-minority"}


def start(cluster: Cluster, folder: Path, env: dict[str, str] | None = None) -> list[Container]:
    """Start three members that notice within seconds when one of them is away."""
    pristine = "/usr/lib/mongooseim/etc/vm.args"
    found = docker("run", "--rm", "--entrypoint=cat", cluster.image, pristine)
    (folder / "vm.args").write_text(f"{found}\n{TICK}")
    members = [cluster.run(host, volumes=[f"{folder}:/member:ro"], env=env) for host in HOSTS]
    for member in members:
        member.wait_for_log("Clustered ", timeout=90)
    write(members[0], "before")
    assert_one_cluster(members, "before")
    return members


def pairs(members: Sequence[Container]) -> Iterator[tuple[Container, Container]]:
    """Return the pairs of containers that the partition separates, both ways."""
    for other in members[:LOSER]:
        yield from itertools.permutations((other, members[LOSER]))


def loses(member: Container) -> bool:
    """Tell whether a member is not ready because it is on the losing side, and for no other."""
    done = member.exec("member-entrypoint", "health", "ready")
    loses = "on the losing side of a partition" in done.stdout
    assert done.returncode == (1 if loses else 0), done
    return loses


def is_ready(member: Container) -> bool:
    """Tell whether a probe is told that clients may come."""
    return member.exec("member-entrypoint", "health", "ready").returncode == 0


def test_a_partition_is_noticed_and_ends_when_the_loser_starts_anew(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Said at once on both sides; the smaller one is not ready, and loses what it changed."""
    members = start(cluster, tmp_path)
    loser = members[LOSER]
    for one, other in pairs(members):
        one.cut_off(other)
    for winner in members[:LOSER]:
        log = winner.wait_for_log(f"{node_of(winner)} has lost {node_of(loser)}")
        assert "this side wins, so this node stays ready" in log
        loser.wait_for_log(f"{node_of(loser)} has lost {node_of(winner)}")
    assert "this side loses, so this node is not ready" in loser.logs()
    assert [loses(member) for member in members] == [False, False, True]
    write(members[0], "majority")
    write(loser, "minority")
    for one, other in pairs(members):
        one.hear_again(other)
    for winner in members[:LOSER]:
        winner.wait_for_log(f"split: {node_of(winner)} and {node_of(loser)} run apart")
    assert "start this node anew" in loser.wait_for_log("the cluster is split: ")
    assert [loses(member) for member in members] == [False, False, True]
    loser.stop()
    loser.start()
    for winner in members[:LOSER]:
        winner.wait_for_log(f"{node_of(winner)} and {node_of(loser)} run together again")
    assert_one_cluster(members, "majority")
    for member in members:
        member.wait_for(lambda member=member: is_ready(member), what="readiness")  # type: ignore[misc]


def test_the_minority_starts_anew_by_itself_if_told_to(cluster: Cluster, tmp_path: Path) -> None:
    """PARTITION_POLICY=restart-minority, when the other side answers again; one VM start each."""
    members = start(cluster, tmp_path, RESTART)
    loser = members[LOSER]
    for one, other in pairs(members):
        one.cut_off(other)
    loser.wait_for_log("this side loses, so this node is not ready")
    write(members[0], "majority")
    write(loser, "minority")
    for one, other in pairs(members):
        one.hear_again(other)
    loser.wait_for_log(f"{node_of(loser)} starts anew, as PARTITION_POLICY=restart-minority says")
    assert_one_cluster(members, "majority")
    loser.wait_for(lambda: is_ready(loser), what="readiness")
    assert [member.logs().count("Exec: ") for member in members] == [1, 1, 2]


def test_a_container_taken_out_of_its_network_is_on_the_losing_side(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Its peers' names are gone with the network: that does not mean that they were stopped."""
    members = start(cluster, tmp_path, RESTART)
    loser = members[LOSER]
    loser.disconnect(cluster.network)
    loser.wait_for_log("this side loses, so this node is not ready")
    assert loses(loser)
    for winner in members[:LOSER]:
        winner.wait_for_log(f"{node_of(winner)} goes on without {node_of(loser)}")
    write(members[0], "majority")
    loser.connect(cluster.network, aliases=[loser.host])
    assert_one_cluster(members, "majority")
    loser.wait_for(lambda: is_ready(loser), what="readiness")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_member_that_ends_is_no_partition(cluster: Cluster, tmp_path: Path, how: str) -> None:
    """Two of three end; the third goes on, and is ready."""
    members = start(cluster, tmp_path)
    for member in members[:2]:
        member.stop() if how == "stop" else member.kill()
        members[2].wait_for_log(f"goes on without {node_of(member)} reason='it does not run'")
    assert not loses(members[2])
    write(members[2], "alone")
    for member in members[:2]:
        member.start()
    assert_one_cluster(members, "alone")
