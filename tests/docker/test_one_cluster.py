"""Sequences that once ended in two clusters, or in a member that could not start."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from clusters import HOSTS, assert_one_cluster, node_of, start_three, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from containers import Cluster, Container

FIRST, SECOND = "mongooseim@mongooseim-1", "mongooseim@mongooseim-2"
LEAVES = {"LEAVE_CLUSTER_ON_STOP": "true"}
TOGETHER = 4
ROUNDS = int(os.environ.get("BUSY_ROUNDS", "3"))


def start_two(cluster: Cluster, **env: str) -> tuple[Container, Container]:
    """Start two members, see one cluster, and write a value."""
    first, second = (cluster.run(host, env=env) for host in HOSTS[:2])
    for member in (first, second):
        member.wait_for_log("Clustered ")
    write(first, "kept")
    assert_one_cluster([first, second], "kept")
    return first, second


def restart(member: Container) -> None:
    """Stop a member, start it, and see it in a cluster."""
    count = member.logs().count("Clustered ")
    member.stop(grace=60)
    assert member.exit_status() == 0
    member.start()
    member.wait_for_log("Clustered ", count=count + 1)


def ready(member: Container) -> bool:
    """Tell whether a member says that it is ready."""
    return member.exec("member-entrypoint", "health", "ready").returncode == 0


def test_members_that_leave_at_each_stop_stay_one_cluster(cluster: Cluster) -> None:
    """Each comes back to those whom it left, the primary too; what was committed is there."""
    first, second = start_two(cluster, **LEAVES)
    for member in (second, first, first, second):
        restart(member)
        assert_one_cluster([first, second], "kept")


def test_all_that_leave_at_once_keep_the_data(cluster: Cluster) -> None:
    """Each would go with the last copy: `docker compose stop` with LEAVE_CLUSTER_ON_STOP."""
    members = list(start_two(cluster, **LEAVES))
    for _ in range(TOGETHER):
        with ThreadPoolExecutor(max_workers=len(members)) as threads:
            list(threads.map(lambda member: member.stop(grace=60), members))
        assert [member.exit_status() for member in members] == [0] * len(members)
        for member in members:
            member.start()
        assert_one_cluster(members, "kept", timeout=90)


def test_the_one_that_remains_serves(cluster: Cluster) -> None:
    """The primary has left and is gone; the other one is restarted, the primary comes back."""
    first, second = start_two(cluster)
    assert first.exec("member-entrypoint", "leave").returncode == 0
    first.stop()
    restart(second)
    assert "all others have left the cluster" in second.logs()
    assert ready(second)
    first.start()
    first.wait_for_log(f"Clustered {FIRST} with {SECOND}")
    assert_one_cluster([first, second], "kept")


def test_a_hook_that_leaves_in_each_pod_makes_no_second_cluster(cluster: Cluster) -> None:
    """As `rollout restart` does: leave, stop, start, from the last pod to the first."""
    first, second = start_two(cluster)
    for member in (second, first):
        assert member.exec("member-entrypoint", "leave").returncode == 0
        restart(member)
        assert_one_cluster([first, second], "kept")


def test_a_second_cluster_is_named_and_not_served_in(cluster: Cluster) -> None:
    """The primary lost its disk and starts alone: the others say both clusters, and the ways out.

    The primary hears of it.
    """
    members = start_three(cluster, "kept")
    for member in members:
        member.stop()
    members[0].remove()
    alone = cluster.run(HOSTS[0])
    alone.wait_for_log(f"Clustered {FIRST} with {FIRST}")
    for member in reversed(members[1:]):
        member.start()
        assert member.wait_exit() == 2
        said = member.logs().rpartition("Failed clustering ")[2]
        for words in (
            f"this node's cluster is the one that {FIRST} started at ",
            "with 3 members",
            f"{FIRST} runs in another one: the one that {FIRST} started at ",
            "with 1 member:",
            "to keep this node's cluster",
            "to keep the other one",
        ):
            assert words in said
        assert "Bad cookie" not in member.logs()
    alone.wait_for_log("there is a second cluster: ")
    assert ready(alone)
    # One way out: this primary gives its data up once a member of the old cluster runs.
    alone.stop()
    members[2].start()
    members[1].start()
    members[2].wait_for_log("Clustered ", count=2)
    members[0] = cluster.run(HOSTS[0])
    assert_one_cluster(members, "kept")


def test_a_cluster_that_was_started_in_doubt_gives_way(cluster: Cluster) -> None:
    """DNS is silent for an empty primary while the others run: said, looked after, not ready."""
    members = start_three(cluster, "kept")
    members[0].kill()
    members[0].remove()
    silent = ["--dns=192.0.2.1"]
    alone = cluster.run(HOSTS[0], network="bridge", options=silent)
    alone.wait_for_log("DNS does not answer: mongooseim@mongooseim-1 starts a new cluster")
    alone.wait_for_log(f"Clustered {FIRST} with {FIRST}")
    assert ready(alone)
    alone.connect(cluster.network, aliases=[HOSTS[0]])
    alone.wait_for_log("there is a second cluster: ", timeout=90)
    said = alone.exec("member-entrypoint", "health", "ready")
    assert (said.returncode, said.stdout.split(",")[0]) == (1, "another cluster exists")
    for member in members[1:]:
        member.wait_for_log(f"there is a second cluster: {FIRST} is in the one that")
        assert ready(member)


def test_new_cluster_never_starts_none(cluster: Cluster) -> None:
    """An empty primary that can know of nobody waits, until its time is over."""
    primary = cluster.run(HOSTS[0], env={"NEW_CLUSTER": "never", "JOIN_TIMEOUT": "3"})
    assert primary.wait_exit() == 2
    assert "NEW_CLUSTER=never" in primary.logs()
    assert "Exec: " not in primary.logs()


def test_a_first_start_of_three_has_no_warning_and_no_line_twice(cluster: Cluster) -> None:
    """A stop and a start of one leave a line each on the others."""
    members = [cluster.run(host, env={"CLUSTER_COOKIE": "c" * 40}) for host in HOSTS]
    for member in members:
        member.wait_for_log("Clustered ", timeout=90)
        member.wait_for_cluster(HOSTS)
    for member in members:
        lines = [line.partition("[")[2] for line in member.logs().splitlines() if "Z [" in line]
        assert not [line for line in lines if not line.startswith("info")], member.logs()
        assert len({line.split("seconds_left")[0] for line in lines}) == len(lines), member.logs()
    before = {member.name: member.logs() for member in members}
    restart(members[2])
    for member in members[:2]:
        member.wait_for_log(f"{node_of(member)} and {node_of(members[2])} run together again")
        new = member.logs()[len(before[member.name]) :].splitlines()
        ours = [line for line in new if "Z [" in line]
        assert len(ours) == 2, "\n".join(ours)
        assert "goes on without" in ours[0]


@pytest.fixture
def busy_cores() -> Iterator[None]:
    """Keep all cores of the machine busy."""
    import subprocess

    command = ["stress-ng", "--cpu", str(2 * (os.cpu_count() or 1)), "--timeout", "600"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as busy:
        try:
            yield
        finally:
            busy.terminate()


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("busy_cores")
def test_a_stop_of_a_busy_primary_leaves_the_other_ready(cluster: Cluster) -> None:
    """Its VM takes seconds to end, and is registered all the while: it goes, it is not silent."""
    first, second = start_two(cluster)
    for number in range(ROUNDS):
        first.stop(grace=60)
        time.sleep(1.0)  # for what would come late
        first.start()
        first.wait_for_log("Clustered ", count=number + 2, timeout=120)
        second.wait_for_cluster(HOSTS[:2])
    assert "is not ready" not in second.logs()
    assert " has lost " not in second.logs()
