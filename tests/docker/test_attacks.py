"""What the member's own user tries, to become root or to see what is root's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from docker_cli import docker, docker_result

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

UID = "5222"
AS_MEMBER = "/usr/lib/python3/dist-packages/member_entrypoint/release/as-member.sh"
ALONE = {"JOIN_CLUSTER": "false"}
STEAL = "mv /run/mongooseim /run/was && ln -sT {target} /run/mongooseim"


def owner_of(container: Container, path: str) -> str:
    """Return who has a file of a container that has ended."""
    header = docker("cp", f"{container.name}:{path}", "-", timeout=20)
    return str(int(header[108:115], 8))


def member(cluster: Cluster, *options: str) -> Container:
    """Start a lone member."""
    made = cluster.run("mongooseim-1", env=ALONE, options=options)
    made.wait_for(
        lambda: made.exec("cat", "/run/mongooseim/state").stdout == "serving\n", what="serving"
    )
    return made


def steal(container: Container, target: str) -> None:
    """Put a link in the place of the folder that root works in."""
    done = container.exec("sh", "-c", STEAL.format(target=target), user=UID)
    assert done.returncode == 0, done.stderr


def test_a_link_in_the_place_of_run_is_refused_at_the_next_start(cluster: Cluster) -> None:
    """/etc, with passwd and shadow, belonged to the member after `docker restart`."""
    one = member(cluster)
    steal(one, "/etc")
    one.stop()
    one.start()
    assert one.wait_exit() == 78
    assert "/run/mongooseim is not the folder that it should be" in one.logs()
    for path in ("/etc/shadow", "/etc/passwd", "/etc"):
        assert owner_of(one, path) == "0", path


def test_a_restart_policy_does_not_make_it_automatic(cluster: Cluster) -> None:
    """The member ends its own VM; the engine starts the container again, by itself."""
    one = member(cluster, "--restart=on-failure:2")
    steal(one, "/etc")
    one.exec("sh", "-c", "kill -9 $(cat /run/was/var/pid)", user=UID)
    one.wait_for_log("/run/mongooseim is not the folder that it should be")
    one.wait_exit()
    assert owner_of(one, "/etc/shadow") == "0"


@pytest.mark.parametrize("target", ["/", "/etc", "/nowhere"])
def test_what_root_asks_is_done_as_the_member_whatever_the_member_did(
    cluster: Cluster, target: str
) -> None:
    """The release's scripts found uid 0 behind the link, and stayed root."""
    one = member(cluster)
    steal(one, target)
    who = ("bash", "-c", f". {AS_MEMBER}; /usr/bin/id -u", "/usr/bin/id", "-u")
    assert one.exec(*who, user="0").stdout == f"{UID}\n"


def test_a_link_in_member_shows_the_member_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """Root reads the files of /member; where the member can write there, only as the member."""
    folder = tmp_path / "member"
    folder.mkdir()
    docker(
        *("run", "--rm", "--user=0", "--entrypoint=sh", f"--volume={folder}:/member"),
        *(cluster.image, "-c", f"ln -s /etc/shadow /member/vm.dist.args; chown {UID} /member"),
    )
    one = cluster.run("mongooseim-1", env=ALONE, volumes=[f"{folder}:/member"])
    assert one.wait_exit() == 78
    assert "/member/vm.dist.args cannot be read (only root may read it" in one.logs()


def test_the_interpreter_is_the_images_whatever_path_says(cluster: Cluster, tmp_path: Path) -> None:
    """Another python3 first in PATH was run, as root; without any, nothing started."""
    other = tmp_path / "python3"
    other.write_text("#!/bin/sh\necho STOLEN\n")
    other.chmod(0o755)
    one = cluster.run(
        "mongooseim-1",
        env={**ALONE, "PATH": "/opt/bin:/usr/bin:/bin"},
        volumes=[f"{other}:/opt/bin/python3:ro"],
    )
    assert "STOLEN" not in one.wait_for_log("MongooseIM started")
    done = docker_result("run", "--rm", "--env=PATH=/nowhere", cluster.image, "/bin/true")
    assert done.returncode == 0, done.stderr


def test_a_limit_of_three_processes_gives_one_line(cluster: Cluster) -> None:
    """A server cannot start; a command can, unless it is not even one process."""
    one = cluster.run("mongooseim-1", env=ALONE, options=["--pids-limit=3"])
    assert one.wait_exit() == 78
    assert len(one.logs().splitlines()) == 1
    assert "may have 3 processes and threads" in one.logs()
    done = docker_result("run", "--rm", "--pids-limit=3", cluster.image, "/bin/true")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = docker_result("run", "--rm", "--pids-limit=1", cluster.image, "/bin/true")
    assert done.returncode == 126
    assert "/bin/true: cannot be run (Resource temporarily unavailable)" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
