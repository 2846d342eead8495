"""What happens to a cluster after its first day: lost volumes, changed names, farewells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clusters import HOSTS, assert_one_cluster, node_of, start_three, write

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container


def joined(*members: Container) -> None:
    """See each member say that it is in, and each list all."""
    for member in members:
        member.wait_for_log("Clustered ")
    assert_one_cluster(members)


@pytest.mark.parametrize("lost", [0, 2], ids=["primary", "member"])
def test_a_node_that_lost_its_volume_comes_back_into_its_cluster(
    cluster: Cluster, lost: int
) -> None:
    """Under its old name, though the others still list it; the primary starts no second cluster."""
    members = start_three(cluster, "value")
    members[lost].kill()
    members[lost].remove()
    others = [member for member in members if member is not members[lost]]
    members[lost] = cluster.run(HOSTS[lost])
    assert_one_cluster(members, "value")
    assert all(member.is_running() for member in others)


def test_a_primary_without_data_waits_for_a_member_that_exists(cluster: Cluster) -> None:
    """Another member's name is there, but no node answers: it may have the cluster's data."""
    cluster.run("mongooseim-2", "sleep", "1000")
    primary = cluster.run("mongooseim-1", env={"JOIN_TIMEOUT": "4"})
    assert primary.wait_exit() == 2
    log = primary.logs()
    assert "waiting for one of mongooseim@mongooseim-2" in log
    assert "Failed clustering mongooseim@mongooseim-1" in log
    assert "Exec: " not in log


def test_a_primary_does_not_join_a_node_that_runs_alone(cluster: Cluster) -> None:
    """JOIN_CLUSTER=false under a member's name: that is no cluster which the primary lost."""
    lone = cluster.run("mongooseim-2", env={"JOIN_CLUSTER": "false"})
    lone.wait_for_log("MongooseIM started")
    primary = cluster.run("mongooseim-1")
    primary.wait_for_log("MongooseIM cluster primary node mongooseim@mongooseim-1")
    primary.wait_for_cluster(["mongooseim-1"])
    assert lone.db_nodes() == {"mongooseim@mongooseim-2"}


def test_data_of_another_node_name_are_noticed(cluster: Cluster) -> None:
    """The host name changed: the node does not start empty beside its old data, unless told to."""
    volumes = [f"{cluster.make_volume('data')}:/var/lib/mongooseim"]
    first = cluster.run("old-1", volumes=volumes)
    first.wait_for_log("Clustered ")
    first.stop()
    renamed = cluster.run("new-1", volumes=volumes)
    assert renamed.wait_exit() == 78
    for said in ("mongooseim@new-1", "mongooseim@old-1", "NODE_RENAMED=start-empty"):
        assert said in renamed.logs()
    told = cluster.run("new-1", volumes=volumes, env={"NODE_RENAMED": "start-empty"})
    told.wait_for_log("Clustered ")


def test_a_member_leaves_its_cluster_when_it_is_stopped(cluster: Cluster) -> None:
    """LEAVE_CLUSTER_ON_STOP: the others forget it; it joins anew when it is started again."""
    first = cluster.run("mongooseim-1")
    second = cluster.run("mongooseim-2", env={"LEAVE_CLUSTER_ON_STOP": "true"})
    joined(first, second)
    second.stop()
    assert second.exit_status() == 0
    assert "MongooseIM node mongooseim@mongooseim-2 left its cluster" in second.logs()
    assert first.db_nodes() == {"mongooseim@mongooseim-1"}
    second.start()
    second.wait_for_log("Clustered ", count=2)
    joined(first, second)


def test_a_farewell_that_fails_keeps_nobody_from_stopping(cluster: Cluster) -> None:
    """MongooseIM refuses to leave while another member is down: said, and stopped all the same."""
    first, second = cluster.run("mongooseim-1"), cluster.run("mongooseim-2")
    third = cluster.run("mongooseim-3", env={"LEAVE_CLUSTER_ON_STOP": "true"})
    joined(first, second, third)
    second.kill()
    third.stop(grace=60)
    assert third.exit_status() == 0
    assert "could not leave its cluster" in third.logs()


def test_a_prestop_hook_can_leave_the_cluster(cluster: Cluster) -> None:
    """`member-entrypoint leave` does what LEAVE_CLUSTER_ON_STOP does, when it is called."""
    first, second = cluster.run("mongooseim-1"), cluster.run("mongooseim-2")
    joined(first, second)
    done = second.exec("member-entrypoint", "leave")
    assert done.returncode == 0, done
    assert first.db_nodes() == {"mongooseim@mongooseim-1"}
    ready = second.exec("member-entrypoint", "health", "ready")
    assert (ready.returncode, ready.stdout) == (1, "this node has left its cluster\n")
    second.stop()
    assert second.exit_status() == 0


def remove_while_down(cluster: Cluster, removed: Container, by: Container) -> None:
    """Stop a member, and have the others forget it.

    Its name is kept alive meanwhile: MongooseIM looks for a name that is gone for minutes.
    """
    removed.stop()
    removed.disconnect(cluster.network)
    keeper = cluster.run(removed.host, "sleep", "1000")
    by.ctl("remove_from_cluster", "-f", node_of(removed))
    keeper.remove()
    removed.connect(cluster.network, aliases=[removed.host])


@pytest.mark.parametrize("index", [0, 2], ids=["primary", "member"])
def test_a_node_that_was_removed_while_it_was_down_is_told_so(cluster: Cluster, index: int) -> None:
    """It does not come back by itself: it ends, says why, and the others do not know it."""
    members = start_three(cluster, "before")
    removed, other = members[index], members[1]
    remove_while_down(cluster, removed, other)
    write(other, "after")
    removed.start()
    assert removed.wait_exit() == 2
    log = removed.logs()
    assert f"{node_of(removed)} was removed from its cluster while it was down" in log
    assert "JOIN_DISCARDS_DATA=true" in log
    assert_one_cluster([member for member in members if member is not removed], "after")


def test_a_node_that_was_removed_joins_again_if_it_may_lose_its_data(cluster: Cluster) -> None:
    """JOIN_DISCARDS_DATA=true: as if it had never been away."""
    first = cluster.run("mongooseim-1")
    second = cluster.run("mongooseim-2", env={"JOIN_DISCARDS_DATA": "true"})
    third = cluster.run("mongooseim-3")
    joined(first, second, third)
    remove_while_down(cluster, second, first)
    write(first, "after")
    second.start()
    second.wait_for_log("was removed from its cluster while it was down")
    second.wait_for_log("Clustered ", count=2)
    assert_one_cluster([first, second, third], "after")


def test_a_configuration_with_cets_and_no_mnesia_needs_no_join(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Nobody is waited for, and the host name needs no ordinal."""
    (tmp_path / "mongooseim.toml").write_text(
        "[[listen.c2s]]\n  port = 5222\n[internal_databases.cets]\n"
    )
    member = cluster.run("any", volumes=[f"{tmp_path}:/member:ro"])
    log = member.wait_for_log("MongooseIM started")
    assert "joins nobody: mongooseim.toml configures CETS and no Mnesia" in log
