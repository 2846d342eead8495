"""A stop at a random moment of a member's first seconds, again and again.

STOP_ROUNDS says how many; the default is what a test run can afford.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from docker_cli import docker, docker_result

if TYPE_CHECKING:
    from containers import Cluster, Container

ROUNDS = int(os.environ.get("STOP_ROUNDS", "6"))
FIRST_SECONDS = 2.0
STOP_TIMEOUT = 25.0
SECONDS_PER_ROUND = 60


@pytest.mark.timeout(60 + ROUNDS * SECONDS_PER_ROUND, func_only=True)
def test_a_stop_at_any_moment_ends_well(cluster: Cluster) -> None:
    """Each ends within STOP_TIMEOUT with 0, and the member comes up afterwards with its data.

    Every second round begins with an empty volume, whose schema may be stopped half-written.
    """
    volume = cluster.make_volume("data")
    member = cluster.run("mongooseim-1", volumes=[f"{volume}:/var/lib/mongooseim"])
    seed = time.time_ns()
    moments = random.Random(seed)  # noqa: S311 - moments are no secret
    came_up(member, 1)
    for round_ in range(ROUNDS):
        empty = round_ % 2 == 1
        if not empty:
            member.ctl("sample", "write", "round", str(round_))
        assert member.stop(grace=60) < STOP_TIMEOUT
        assert member.exit_status() == 0
        if empty:
            wipe(cluster, volume)
        moment = moments.uniform(0.0, FIRST_SECONDS)
        where = f"round {round_}, {moment:.3f} s, seed {seed}"
        before = member.logs().count("MongooseIM started")
        took = start_and_stop(member, moment)
        assert took < STOP_TIMEOUT, where
        assert member.exit_status() == 0, where
        assert docker_result("top", member.name).returncode != 0, where
        print(f"{where}: ended after {took:.2f} s")  # noqa: T201 - shown when the test fails
        started = member.logs().count("MongooseIM started")
        assert started in {before, before + 1}, where
        member.start()
        came_up(member, started + 1)
        if not empty:
            assert member.ctl("sample", "read", "round") == str(round_), where
    assert member.stop(grace=60) < STOP_TIMEOUT


def came_up(member: Container, count: int) -> None:
    """Wait until a member has come up for the `count`-th time."""
    member.wait_for_log("MongooseIM started", count=count)


def start_and_stop(member: Container, moment: float) -> float:
    """Start a member, send SIGTERM that many seconds later; return the seconds until its end.

    Its life begins when `env` has become the interpreter. A signal that comes before PID 1 has
    executed anything is lost to every init: the kernel drops it (tini and dumb-init: 1 of 20).
    """
    with subprocess.Popen(["docker", "start", member.name], stdout=subprocess.DEVNULL):
        time.sleep(moment)
        while "python3" not in docker_result("top", member.name, "-o", "pid,comm").stdout:
            pass
    member.kill("TERM")
    began = time.monotonic()
    member.wait_exit()
    return time.monotonic() - began


def wipe(cluster: Cluster, volume: str) -> None:
    """Empty a volume."""
    command = ["find", "/var/lib/mongooseim", "-mindepth", "1", "-delete"]
    docker("run", "--rm", f"--volume={volume}:/var/lib/mongooseim", cluster.image, *command)
