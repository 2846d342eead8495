"""`member-entrypoint check` in containers: as each user, beside a member, and what it leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from docker_cli import docker

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

DATA = "/var/lib/mongooseim"
SNAPSHOT = (
    f"cd {DATA} && find . -exec stat -c '%n %F %a %u %g %s %y %z' {{}} + | sort; "
    "find . -type f -exec sha256sum {} +"
)
PASSWORD = "hunter2"  # noqa: S105 - one that must not be shown


def shown(container: Container) -> dict[str, Any]:
    """Return what a container that checks has found, when it has ended."""
    status = container.wait_exit()
    found: dict[str, Any] = json.loads(container.logs())
    assert found["status"] == status
    return found


def texts(found: dict[str, Any], level: str) -> str:
    """Return the texts of all findings of a level."""
    return "\n".join(each["text"] for each in found["findings"] if each["level"] == level)


def files_of(cluster: Cluster, volume: str) -> str:
    """Return all that is on a volume, with owners and times."""
    look = cluster.run("look", "sh", "-c", SNAPSHOT, volumes=[f"{volume}:{DATA}"])
    assert look.wait_exit() == 0
    return look.logs()


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("0", "root becomes mongooseim (uid 5222, gid 5222), who runs the server"),
        ("5222:5222", "the server would run as this user (uid 5222, gid 5222)"),
        ("12345:0", "the server would run as this user (uid 12345, gid 0)"),
    ],
    ids=["root", "the image's", "a third one"],
)
def test_check_as_each_user_changes_nothing(cluster: Cluster, user: str, says: str) -> None:
    """Neither the container nor the volume, and says as whom the server would run."""
    volume = cluster.make_volume("data")
    # Docker touches a volume that is empty each time.
    fill = cluster.run("fill", "touch", f"{DATA}/file", volumes=[f"{volume}:{DATA}"])
    assert fill.wait_exit() == 0
    before = files_of(cluster, volume)
    container = cluster.run(
        "mongooseim-1",
        "check",
        "--json",
        options=[f"--user={user}"],
        volumes=[f"{volume}:{DATA}"],
    )
    found = shown(container)
    assert found["status"] == 0
    assert says in texts(found, "ok")
    assert found["plan"].startswith("would start a new cluster: no other member was found")
    # What Docker makes, it makes for each container.
    other = cluster.run("mongooseim-1", "--version", volumes=[f"{volume}:{DATA}"])
    assert other.wait_exit() == 0
    assert docker("diff", container.name) == docker("diff", other.name)
    assert files_of(cluster, volume) == before


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("755", "it belongs to uid 7, gid"),
        ("700", f"{DATA} cannot be read (Permission denied; uid 12345"),
    ],
)
def test_a_volume_of_another_user_is_an_error(cluster: Cluster, mode: str, said: str) -> None:
    """Where nobody may give it away."""
    volume = cluster.make_volume("data")
    # Docker gives an empty volume the image's owner and mode, again and again.
    script = f"touch {DATA}/file; chmod $MODE {DATA}; chown 7 {DATA}"
    volumes = [f"{volume}:{DATA}"]
    owner = cluster.run("owner", "sh", "-c", script, volumes=volumes, env={"MODE": mode})
    assert owner.wait_exit() == 0
    for options, status in ((["--user=12345"], 78), ([], 0)):
        container = cluster.run(
            "mongooseim-1",
            "check",
            "--json",
            options=options,
            volumes=volumes,
        )
        found = shown(container)
        assert found["status"] == status
        if status:
            assert said in texts(found, "error")
        else:
            assert "belongs to uid 7; a start gives it to uid 5222" in texts(found, "ok")


def test_check_beside_a_member_that_runs(cluster: Cluster) -> None:
    """In its container, in another one with its volume, in one that would join: it stays ready."""
    volume = cluster.make_volume("data")
    member = cluster.run("mongooseim-1", volumes=[f"{volume}:{DATA}"])
    member.wait_for_log("Clustered ")
    said = member.logs()
    inside = member.exec("member-entrypoint", "check", "--json")
    assert inside.returncode == 0, inside.stdout
    assert "the server of this member runs here already" in texts(json.loads(inside.stdout), "ok")
    other = cluster.run(
        "mongooseim-2", "check", "--json", volumes=[f"{volume}:{DATA}"], env={"HOSTNAME": "m-1"}
    )
    assert "has the data of mongooseim@mongooseim-1" in texts(shown(other), "error")
    joins = cluster.run("mongooseim-2", "check")
    assert joins.wait_exit() == 0
    assert "would join mongooseim@mongooseim-1, which has 1 member\n" in joins.logs()
    assert member.exec("member-entrypoint", "health", "ready").returncode == 0
    assert member.logs() == said
    assert (
        "name mongooseim at"
        in member.exec("sh", "-c", "/usr/lib/mongooseim/erts-*/bin/epmd -names").stdout
    )


def test_check_in_the_container_of_another_user(cluster: Cluster) -> None:
    """Nobody is advised to give the volume of a member that runs to somebody else."""
    member = cluster.run("mongooseim-1", options=["--user=12345:0"])
    member.wait_for_log("Clustered ")
    for user, said in (
        ("0", "root becomes the user of this member (uid 12345, gid 0), who runs the server"),
        ("5222", "the member of this container runs as uid 12345, and this is uid 5222"),
    ):
        done = docker("exec", "--user", user, member.name, "member-entrypoint", "check")
        assert said in done
        assert "chown" not in done


def test_a_tarball_in_member_is_looked_into(
    cluster: Cluster, sample_tarball: Path, tmp_path: Path
) -> None:
    """In an image without a release; nothing is unpacked. Its configuration counts."""
    (tmp_path / "member").mkdir()
    (tmp_path / "member/mongooseim.toml").write_text(f'[x]\n  password = "{PASSWORD}"\n  port =\n')
    volumes = [
        f"{sample_tarball}:/member/mongooseim.tar.gz:ro",
        f"{tmp_path}/member/mongooseim.toml:/member/mongooseim.toml:ro",
    ]
    script = "rm -rf /usr/lib/mongooseim*; member-entrypoint check; e=$?; ls /usr/lib; exit $e"
    options = ["--entrypoint=/bin/sh"]
    container = cluster.run("mongooseim-1", "-c", script, volumes=volumes, options=options)
    status, said = container.wait_exit(), container.logs()
    assert status == 1, said
    assert "/member/mongooseim.tar.gz is whole; it would be unpacked to " in said
    assert "error    toml      /member/mongooseim.toml, line 3, column 9: Invalid value" in said
    assert "mongooseim-member-" not in said
    assert PASSWORD not in said


def test_check_on_a_read_only_root(cluster: Cluster) -> None:
    """Without the folders that a start needs: an error, as that would be."""
    bare = cluster.run("mongooseim-1", "check", "--json", options=["--read-only"])
    found = shown(bare)
    assert found["status"] == 78
    assert "/run/mongooseim cannot be written (Read-only file system" in texts(found, "error")
    options = ["--read-only", "--tmpfs=/run", "--tmpfs=/tmp"]
    found = shown(cluster.run("mongooseim-1", "check", "--json", options=options))
    assert found["status"] == 0


def test_check_asks_the_network_as_the_members_user(cluster: Cluster) -> None:
    """Root has become that by then; a stop ends it though it waits for a silent DNS."""
    container = cluster.run(
        "mongooseim-1", "check", options=["--dns=192.0.2.1"], env={"WAIT_FOR": "database:5432"}
    )
    container.wait_for(
        lambda: "Uid:\t5222\t5222\t5222" in container.exec("cat", "/proc/1/status").stdout,
        what="user 5222",
    )
    container.kill("TERM")
    assert container.wait_exit() == 143


@pytest.mark.parametrize("user", ["0", "12345"])
def test_kubernetes_is_told_why_a_member_ended(cluster: Cluster, tmp_path: Path, user: str) -> None:
    """By a file as the kubelet mounts it: for the server, and for `check` in an init container."""
    message, member = tmp_path / "message", tmp_path / "member"
    member.mkdir()
    (member / "mongooseim.toml").write_text("[general]\n  loglevel =\n")
    said = "/member/mongooseim.toml, line 2, column 13: Invalid value"
    for command in ((), ("check",)):
        message.write_text("")
        message.chmod(0o666)
        container = cluster.run(
            "mongooseim-1",
            *command,
            volumes=[f"{member}:/member:ro", f"{message}:/dev/termination-log"],
            env={"JOIN_CLUSTER": "false"},
            options=[f"--user={user}"],
        )
        assert container.wait_exit() == 1
        assert said in message.read_text()


EATS = (
    'F = fun(F) -> case filelib:is_file("/tmp/eat") of true -> lists:seq(1, 100000000); '
    "_ -> timer:sleep(100), F(F) end end, spawn(fun() -> F(F) end)."
)


def test_a_server_without_memory_is_explained(cluster: Cluster) -> None:
    """What the kernel has killed for the container's limit is told from what somebody has."""
    member = cluster.run(
        "mongooseim-1",
        env={"JOIN_CLUSTER": "false", "ERL_FLAGS": f"-eval '{EATS}'"},
        options=["--memory=150m", "--memory-swap=150m"],
    )
    member.wait_for(
        lambda: member.exec("member-entrypoint", "health", "ready").returncode == 0, what="ready"
    )
    member.exec("touch", "/tmp/eat")  # noqa: S108 - in the container
    assert member.wait_exit() == 137
    said = member.logs()
    assert "the kernel killed it, since this container has reached its memory limit" in said
