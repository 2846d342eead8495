"""A Swarm of one engine: three replicas, the health check of the image, one cluster at once.

A task is in the DNS of a Swarm only while it is healthy, also under its own host name.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from console import wait_for
from containers import Container
from docker_cli import docker, docker_result

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLICAS = 3


@pytest.fixture
def swarm() -> Iterator[str]:
    """Make the engine a Swarm of its own, with a network; what was made is removed at the end."""
    state = docker("info", "--format", "{{.Swarm.LocalNodeState}}")
    if state != "inactive":
        pytest.skip("the engine is part of a Swarm already")
    docker("swarm", "init", "--advertise-addr=127.0.0.1")
    try:
        name = f"mimtest-{uuid.uuid4().hex[:8]}"
        docker("network", "create", "--driver=overlay", name)
        yield name
    finally:
        docker_result("swarm", "leave", "--force")


@pytest.mark.timeout(600)
def test_three_replicas_with_a_health_check_form_one_cluster(swarm: str, member_image: str) -> None:
    """Each joins when it reaches all; nobody is ready before that, and nothing is split."""
    docker(
        *("service", "create", "--detach", "--name=mongooseim", f"--replicas={REPLICAS}"),
        "--hostname={{.Service.Name}}-{{.Task.Slot}}",
        f"--network={swarm}",
        *("--health-interval=2s", "--health-start-period=300s", "--stop-grace-period=60s"),
        *("--no-resolve-image", member_image),
    )
    hosts = [f"mongooseim-{slot}" for slot in range(1, REPLICAS + 1)]
    members: list[Container] = []

    def all_run() -> bool:
        members.clear()
        found = docker("ps", "--quiet", "--filter=label=com.docker.swarm.service.name=mongooseim")
        for name in found.split():
            host = docker("inspect", "--format={{.Config.Hostname}}", name)
            members.append(Container(name, host))
        return sorted(member.host for member in members) == hosts

    assert wait_for(all_run, timeout=120), docker("service", "ps", "--no-trunc", "mongooseim")
    for member in members:
        member.wait_for_log("Clustered ", timeout=240)
    for member in members:
        member.wait_for_cluster(hosts, timeout=120)
        assert "overlapping partitions" not in member.logs()
    docker_result("service", "rm", "mongooseim")
