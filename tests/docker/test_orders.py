"""A cluster whose members are stopped, killed and started again, in every order."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest
from clusters import assert_one_cluster, node_of, start_three, write

if TYPE_CHECKING:
    from containers import Cluster, Container

# Mnesia's log is written behind: what was committed less than this before a SIGKILL may be gone.
WRITTEN_BEHIND = 2.5
SOME = ((2,), (0,), (0, 2), (2, 0))
ALL = tuple(itertools.permutations(range(3)))


def end(member: Container, how: str) -> None:
    """Stop a member, or kill it."""
    if how == "stop":
        member.stop(grace=60)
        assert member.exit_status() == 0
    else:
        member.kill()


def start(member: Container) -> None:
    """Start a member again, and see that its VM is on its way."""
    count = member.logs().count("Exec: ")
    member.start()
    member.wait_for_log("Exec: ", count=count + 1)


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("orders", [SOME, ALL], ids=["some", "all"])
def test_whatever_is_ended_comes_back_in_any_order(
    cluster: Cluster, orders: tuple[tuple[int, ...], ...], how: str
) -> None:
    """Members end one after the other, and start in this order: one cluster, all values there."""
    members = start_three(cluster, "first")
    for number, order in enumerate(orders):
        value = f"{how} {number}"
        write(members[number % 3], value)
        if how == "kill":
            time.sleep(WRITTEN_BEHIND)
        for index in sorted(order):
            end(members[index], how)
        for index in order:
            start(members[index])
        assert_one_cluster(members, value)


def test_a_node_that_waits_for_another_says_for_whom_and_why(cluster: Cluster) -> None:
    """Mnesia loads from the node that went down last; those that went before are not named."""
    members = start_three(cluster, "before")
    for member in members[:2]:
        member.stop()
    write(members[2], "after")
    members[2].stop()
    for member in members[:2]:
        member.start()
    said = "Mnesia loads its tables from the node that went down last, which may be "
    for member in members[:2]:
        log = member.wait_for_log(f"{said}{node_of(members[2])}: start it")
        assert "waiting for MongooseIM to start" in log
    members[2].start()
    assert_one_cluster(members, "after")


def test_a_member_that_is_killed_leaves_the_others_going(cluster: Cluster) -> None:
    """They go on and say so; what they write meanwhile is there when it is back."""
    members = start_three(cluster, "before")
    members[0].kill()
    for member in members[1:]:
        member.wait_for_log(f"goes on without {node_of(members[0])} reason='it does not run'")
    write(members[2], "meanwhile")
    assert members[1].ctl("sample", "read", "key") == "meanwhile"
    members[0].start()
    assert_one_cluster(members, "meanwhile")


def test_a_member_may_have_another_address_when_it_comes_back(cluster: Cluster) -> None:
    """The name is the node; the address is looked up anew by whoever needs it."""
    volumes = [f"{cluster.make_volume('data')}:/var/lib/mongooseim"]
    members = [
        cluster.run(host, volumes=volumes[: host == "mongooseim-2"])
        for host in ("mongooseim-1", "mongooseim-2", "mongooseim-3")
    ]
    for member in members:
        member.wait_for_log("Clustered ")
    write(members[0], "kept")
    assert_one_cluster(members, "kept")
    before = members[1].ip()
    members[1].stop()
    members[1].remove()
    squatter = cluster.run("squatter", "sleep", "1000")
    assert squatter.ip() == before
    members[1] = cluster.run("mongooseim-2", volumes=volumes)
    assert members[1].ip() != before
    assert_one_cluster(members, "kept")


def test_members_that_start_before_their_network_find_each_other_later(cluster: Cluster) -> None:
    """Mnesia looks for the others once; whoever waits for one is connected when that is there."""
    members = start_three(cluster, "kept")
    for member in members:
        member.stop()
        member.disconnect(cluster.network)
    for member in members:
        member.start()
    members[0].wait_for_log("Mnesia loads its tables from the node that went down last")
    for member in members:
        member.connect(cluster.network, aliases=[member.host])
    assert_one_cluster(members, "kept")
    assert all(" run apart" not in member.logs() for member in members)
