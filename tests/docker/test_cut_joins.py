"""Joins that are cut short, and crowds of members.

JOIN_ROUNDS says how often a join is cut; the default is what a test run can afford.
"""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from clusters import assert_one_cluster, evaluate, node_of, views, write
from console import wait_for
from docker_cli import docker_result

if TYPE_CHECKING:
    from containers import Cluster, Container

ROUNDS = int(os.environ.get("JOIN_ROUNDS", "6"))
SECONDS_PER_ROUND = 90
# From `docker run` to the end of the join, and a little more.
JOIN_SECONDS = 3.0
CROWD = 12
TWICE = 3


@pytest.fixture
def moments() -> random.Random:
    """Return random numbers whose seed is shown when the test fails."""
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201
    return random.Random(seed)  # noqa: S311 - moments are no secret


@pytest.mark.timeout(60 + ROUNDS * SECONDS_PER_ROUND, func_only=True)
@pytest.mark.parametrize("way", ["VM killed", "container killed", "network cut"])
def test_a_join_cut_at_any_moment_ends_in_the_cluster(
    cluster: Cluster, moments: random.Random, way: str
) -> None:
    """After the next start the node is a member; as long as it cannot be, it does not serve.

    Each round begins with an empty volume, of which the other still knows the old one.
    """
    first = cluster.run("mongooseim-1")
    first.wait_for_log("Clustered ")
    write(first, "kept")
    for round_ in range(max(1, ROUNDS // 3)):
        moment = moments.uniform(0.0, JOIN_SECONDS)
        print(f"round {round_}: {way} after {moment:.3f} s")  # noqa: T201
        second = cluster.run("mongooseim-2")
        time.sleep(moment)
        if way == "network cut":
            second.disconnect(cluster.network)
            second.kill()
            second.start()
            assert_not_alone(second)
            second.connect(cluster.network, aliases=[second.host])
        elif way == "VM killed" and kill_the_vm(second):
            second.wait_exit()
            second.start()
        else:
            second.kill()
            second.start()
        assert_one_cluster([first, second], "kept")
        assert second.is_running()
        second.kill()
        second.remove()


def kill_the_vm(member: Container) -> bool:
    """Kill the VM of a member with SIGKILL, if there is one, and not that of a `mongooseimctl`."""
    for line in docker_result("top", member.name, "-o", "pid,args").stdout.splitlines()[1:]:
        pid, command = line.split(maxsplit=1)
        if "beam.smp" in command and " live " in command:
            os.kill(int(pid), signal.SIGKILL)
            return True
    return False


def assert_not_alone(member: Container) -> None:
    """See a member that cannot reach the others wait, or serve as the member that it is."""
    started = member.logs().count("MongooseIM started")

    def waits_or_serves() -> bool:
        log = member.logs()
        return "waiting for" in log or log.count("MongooseIM started") > started

    member.wait_for(waits_or_serves, what="word of what it waits for")
    if member.logs().count("MongooseIM started") > started:
        assert views([member])[node_of(member)].db_nodes != {node_of(member)}


def test_a_primary_that_goes_and_comes_back_meanwhile_does_no_harm(
    cluster: Cluster, moments: random.Random
) -> None:
    """It is stopped while a member joins it; the join ends well, without anybody's help."""
    for round_ in range(max(1, ROUNDS // 3)):
        hosts = [f"round{round_}-{number}" for number in (1, 2)]
        first = cluster.run(hosts[0])
        first.wait_for_log("Clustered ")
        write(first, "kept")
        second = cluster.run(hosts[1])
        moment = moments.uniform(0.0, JOIN_SECONDS)
        print(f"round {round_}: primary stopped after {moment:.3f} s")  # noqa: T201
        time.sleep(moment)
        first.stop(grace=60)
        first.start()
        assert_one_cluster([first, second], "kept", timeout=90)
        assert second.inspect("{{.RestartCount}} {{.State.Running}}") == "0 true"
        for member in (first, second):
            member.remove()


def test_a_join_that_was_cut_between_two_tables_is_made_anew(cluster: Cluster) -> None:
    """With the schema of the cluster alone no VM could start; nobody has to help.

    The tables are taken from a member, as where it is killed before it has copied them.
    """
    first, second = (cluster.run(f"mongooseim-{number}") for number in (1, 2))
    for member in (first, second):
        member.wait_for_log("Clustered ")
    write(first, "kept")
    for table in ("sample", "sample_ram"):
        call = f"[{table}, '{node_of(second)}']"
        expression = f"rpc:call('{node_of(first)}', mnesia, del_table_copy, {call})"
        said = evaluate(first, f'io:format("~p~n", [{expression}]), halt().')
        assert said == "{atomic,ok}\n"
    marker = f"/var/lib/mongooseim/.cluster.{node_of(second)}"
    second.exec("sed", "-i", "1s/^joined /joining /", marker)
    second.kill()
    first.stop()
    waits = second.logs().count(f"waiting for {node_of(first)}")
    second.start()
    second.wait_for_log(f"waiting for {node_of(first)}", count=waits + 1)
    assert second.inspect("{{.RestartCount}} {{.State.Running}}") == "0 true"
    first.start()
    second.wait_for_log("which has no data: removing that entry first")
    second.wait_for_log("Clustered ", count=2)
    assert_one_cluster([first, second], "kept", timeout=90)
    assert second.inspect("{{.RestartCount}} {{.State.Running}}") == "0 true"
    first.stop()
    assert views([second])[node_of(second)].value == "kept"


def test_twelve_members_at_once_three_of_them_twice(
    cluster: Cluster, moments: random.Random
) -> None:
    """Three are killed in the middle, and started again at once: one cluster of twelve."""
    members = [cluster.run(f"mongooseim-{number}") for number in range(1, CROWD + 1)]
    unlucky = moments.sample(members, TWICE)
    print(f"killed: {unlucky}")  # noqa: T201
    for member in unlucky:
        member.kill()
        member.start()
    assert wait_for(lambda: all("Clustered " in member.logs() for member in members), timeout=120)
    write(members[-1], "everywhere")
    assert_one_cluster(members, "everywhere")
