"""A Swarm of one engine: by `docker service create`, and the stack of deploy/swarm.yaml.

A task is in the DNS of a Swarm only while it is healthy, also under its own host name.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from console import ROOT, wait_for
from containers import Container
from docker_cli import docker, docker_result
from documents import Reader, commands
from loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLICAS = 3
HOSTS = [f"mongooseim-{slot}" for slot in range(1, REPLICAS + 1)]
STACK = "chat_mongooseim"
VOLUMES = [f"mongooseim-swarm-{slot}" for slot in range(1, REPLICAS + 2)]
pytestmark = pytest.mark.xdist_group("swarm")
UPDATED = "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}"


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
    for member in one_cluster("mongooseim", HOSTS):
        assert "overlapping partitions" not in member.logs()
    docker_result("service", "rm", "mongooseim")


def running(service: str) -> dict[str, Container]:
    """Return the running containers of a service by their host names."""
    found = docker("ps", "--quiet", f"--filter=label=com.docker.swarm.service.name={service}")
    members = {}
    for name in found.split():
        # A container may go between the two questions.
        host = docker_result("inspect", "--format={{.Config.Hostname}}", name).stdout.strip()
        members[host] = Container(name, host)
    return members


def one_cluster(service: str, hosts: list[str]) -> list[Container]:
    """Wait until the service has these members, each of which runs together with all; return them.

    A task that is replaced meanwhile counts as soon as its successor is there.
    """

    def together() -> bool:
        members = running(service)
        nodes = {f"mongooseim@{host}" for host in hosts}
        return sorted(members) == hosts and all(
            member.running_db_nodes() == nodes for member in members.values()
        )

    if not wait_for(together, timeout=240, interval=1):
        logs = [f"---- {host}\n{member.logs()}" for host, member in running(service).items()]
        tasks = docker("service", "ps", "--no-trunc", service)
        pytest.fail("\n".join([f"no cluster of {hosts}", tasks, *logs]))
    return list(running(service).values())


@pytest.fixture
def stack(swarm: str, member_image: str) -> Iterator[dict[str, str]]:
    """Provide the environment for the commands of the document; what they made is removed."""
    assert swarm
    taken = set(docker("volume", "ls", "--quiet").split()) & set(VOLUMES)
    assert not taken, f"{taken} are somebody's"
    try:
        yield {**os.environ, "MONGOOSEIM_IMAGE": member_image, "C2S_PORT": str(free_port())}
    finally:
        docker_result("stack", "rm", "chat")
        wait_for(lambda: not running(STACK), timeout=60)
        wait_for(lambda: not volumes_left(), timeout=60, interval=1)


def volumes_left() -> set[str]:
    """Remove the volumes of the stack that no container has; return those that are left."""
    docker_result("volume", "rm", *VOLUMES)
    return set(docker("volume", "ls", "--quiet").split()) & set(VOLUMES)


@pytest.mark.timeout(900)
def test_the_stack_of_the_document(stack: dict[str, str]) -> None:
    """One cluster after the start, a crash of all, an update, and with one member more or less."""
    reader = Reader(ROOT, stack)
    for command in commands("swarm.md", "test_the_stack_of_the_document"):
        # The container of a task that was removed keeps its volume for a moment.
        patience = 60 if " volume rm " in command else 0
        assert wait_for(lambda it=command: reader.does(it), timeout=patience, interval=1), command  # type: ignore[misc]
        if command.startswith("docker stack deploy"):
            first, *_ = one_cluster(STACK, HOSTS)
            first.ctl("sample", "write", "key", "kept")
            crash_all()
        elif command.startswith("CONFIGURATION=2"):
            see_rolled_out()
        elif command.endswith("=4"):
            one_cluster(STACK, [*HOSTS, "mongooseim-4"])
        elif command.endswith("=3"):
            one_cluster(STACK, HOSTS)
    assert VOLUMES[-1] not in docker("volume", "ls", "--quiet").split()
    for member in running(STACK).values():
        assert member.db_nodes() == {f"mongooseim@{host}" for host in HOSTS}


def crash_all() -> None:
    """Kill all members at once: started again, they find each other, with their data."""
    members = running(STACK).values()
    # Mnesia's log is written behind.
    for member in members:
        member.exec("sync")
    wait_for(lambda: False, timeout=3)
    docker("kill", *(member.name for member in members))
    assert wait_for(lambda: not set(running(STACK).values()) & set(members), timeout=60)
    for member in one_cluster(STACK, HOSTS):
        assert member.ctl("sample", "read", "key") == "kept"


def see_rolled_out() -> None:
    """Wait for the end of a rolling update: all members are new, and have their data."""
    assert wait_for(
        lambda: docker("service", "inspect", f"--format={UPDATED}", STACK) == "completed",
        timeout=240,
        interval=1,
    ), docker("service", "ps", "--no-trunc", STACK)
    for member in one_cluster(STACK, HOSTS):
        assert member.inspect('{{index .Config.Labels "com.docker.stack.namespace"}}') == "chat"
        assert member.ctl("sample", "read", "key") == "kept"
        assert "joining" not in member.logs()
