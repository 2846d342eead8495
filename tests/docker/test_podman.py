"""deploy/quadlet, by a real systemd and Podman 5, in a container that is their machine.

The commands are those of docs/podman.md, in the order in which they stand there.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import base_images
import images
import pytest
from console import ROOT, one_at_a_time, wait_for
from containers import node_names
from documents import commands

if TYPE_CHECKING:
    from containers import Cluster, Container

IMAGE = "mimtest-podman"
MEMBERS = ("mongooseim-1", "mongooseim-2", "mongooseim-3")
MACHINE = (
    "--cap-add=SYS_ADMIN",
    "--cap-add=NET_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/tmp:exec",
    "--volume=/var/lib/containers",
    f"--volume={ROOT}/deploy:/root/deploy:ro",
    "--workdir=/root",
)
"""What a container needs to be a machine on which systemd runs containers."""


@pytest.fixture(scope="session")
def podman_image(docker_engine: None) -> str:  # noqa: ARG001 - for its effect
    """Build the image of the machine; return its name."""
    folder = Path(__file__).parent / "podman"
    with one_at_a_time():
        base = base_images.ensure(base_images.MEMBER)
        return images.build(IMAGE, folder, f"BASE_IMAGE={base}")


@pytest.fixture
def machine(cluster: Cluster, podman_image: str) -> Container:
    """Provide a machine that has booted."""
    made = cluster.run("machine", image=podman_image, options=MACHINE)
    made.wait_for(
        lambda: (
            made.exec("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}
        ),
        what="end of the boot",
    )
    return made


@pytest.fixture
def with_image(machine: Container, member_image: str) -> Container:
    """Provide a machine whose Podman has the member image."""
    with subprocess.Popen(["docker", "save", member_image], stdout=subprocess.PIPE) as saved:
        loading = ["docker", "exec", "--interactive", machine.name, "podman", "load", "--quiet"]
        subprocess.run(loading, stdin=saved.stdout, check=True, timeout=120, capture_output=True)
    shell(machine, f"podman tag {member_image} mongooseim")
    return machine


def shell(machine: Container, command: str, timeout: float = 120) -> str:
    """Return what a command prints on the machine; it must succeed."""
    done = machine.exec("bash", "-c", command, timeout=timeout)
    units = machine.exec("journalctl", "--no-pager", "--lines=60").stdout if done.returncode else ""
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}\n{units}"
    return done.stdout


def running_together(machine: Container, member: str) -> frozenset[str]:
    """Return the nodes that a member sees running."""
    done = machine.exec("podman", "exec", member, "mongooseimctl", "mnesia", "running_db_nodes")
    return node_names(done.stdout)


def nodes(*members: str) -> frozenset[str]:
    """Return the node names of members."""
    return frozenset(f"mongooseim@{member}" for member in members)


def is_active(machine: Container, number: int) -> bool:
    """Tell whether a member's service runs and is healthy."""
    asked = machine.exec("systemctl", "is-active", f"mongooseim@{number}")
    return asked.stdout.strip() == "active"


@pytest.mark.timeout(420)
def test_podman_runs_the_members_as_services(with_image: Container) -> None:
    """Started, crashed, restarted, reloaded and left by the commands of the document."""
    machine = with_image
    for command in commands("podman.md", "test_podman_runs_the_members_as_services"):
        shell(machine, command)
        if command.startswith("systemctl start"):
            assert all(is_active(machine, number) for number in (1, 2, 3))
            assert running_together(machine, MEMBERS[2]) == nodes(*MEMBERS)
            shell(machine, "podman exec mongooseim-1 mongooseimctl sample write key kept")
            shell(machine, "timeout 10 bash -c ': > /dev/tcp/127.0.0.1/5223'")
            crash(machine)
        if command.startswith("systemctl restart"):
            member = f"mongooseim-{command[-1]}"
            assert running_together(machine, member) == nodes(*MEMBERS)
            assert "joining" not in shell(machine, f"podman logs {member}")
            kept = shell(machine, f"podman exec {member} mongooseimctl sample read key")
            assert kept.strip() == "kept"

    assert running_together(machine, MEMBERS[0]) == nodes(*MEMBERS[:2])
    ended = shell(machine, "journalctl --no-pager --unit=mongooseim@3 --lines=40")
    assert "MongooseIM ended" in ended
    assert "how='exit status 0'" in ended
    assert sorted(shell(machine, "podman volume ls --quiet").split()) == [*MEMBERS[:2]]
    failed = machine.exec(
        "systemctl", "list-units", "--failed", "--plain", "--no-legend", "mongoose*"
    )
    assert failed.stdout == ""


def crash(machine: Container) -> None:
    """Kill a member; systemd starts it again, and it is back in its cluster."""
    before = shell(machine, "podman inspect --format '{{.Id}}' mongooseim-3")
    shell(machine, "podman kill --signal=KILL mongooseim-3")

    def is_back() -> bool:
        now = machine.exec("podman", "inspect", "--format", "{{.Id}}", "mongooseim-3")
        return now.returncode == 0 and now.stdout != before and is_active(machine, 3)

    assert wait_for(is_back, timeout=60), shell(machine, "journalctl --no-pager --lines=60")
    assert running_together(machine, MEMBERS[2]) == nodes(*MEMBERS)


@pytest.mark.timeout(300)
def test_podman_takes_every_line_of_the_units(machine: Container) -> None:
    """Podman's generator makes services of all files, and knows all their keys."""
    generator = "/usr/libexec/podman/quadlet -dryrun"
    shell(machine, "mkdir -p /etc/containers/systemd")
    shell(machine, "cp -r deploy/quadlet/. /etc/containers/systemd")
    done = machine.exec("bash", "-c", generator)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if ": Loading source " not in line]
    assert said == []
    for name in (
        "mongooseim@1",
        "mongooseim@2",
        "mongooseim@3",
        "mongooseim@",
        "mongooseim-network",
    ):
        assert f"---{name}.service---" in done.stdout
    shell(machine, "sed -i s/^HealthCmd=/HelthCmd=/ /etc/containers/systemd/mongooseim@.container")
    done = machine.exec("bash", "-c", generator)
    assert "HelthCmd" in done.stderr, "an unknown key is an error"
