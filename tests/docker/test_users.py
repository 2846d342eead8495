"""Who a member runs as, however its container is started, and what root's `docker exec` leaves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from containers import CTL
from docker_cli import docker, docker_result

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

UID = 5222
READ_ONLY = ("--read-only", "--tmpfs=/run", "--tmpfs=/tmp")
NO_CAPABILITIES = ("--cap-drop=ALL", "--security-opt=no-new-privileges")
FOLDERS = ("/run/mongooseim", "/var/lib/mongooseim", "/var/log/mongooseim")
PROMPT = 15
"""What a stop may take on a busy machine (seconds); what it must not wait for takes 25."""


class Start(NamedTuple):
    """Options of `docker run`, who the member runs as then, and whether root may become that."""

    options: tuple[str, ...]
    uid: int
    capable: bool = True


STARTS = {
    "default": Start((), UID),
    "user": Start(("--user=1234",), 1234),
    "read-only": Start((*READ_ONLY, "--init"), UID),
    "hardened root": Start((*READ_ONLY, *NO_CAPABILITIES), 0),
    "hardened user": Start((*READ_ONLY, *NO_CAPABILITIES, "--user=1234:4321"), 1234, capable=False),
}


def uids(member: Container) -> dict[str, set[int]]:
    """Return the uids that each of the member's programs runs as."""
    found: dict[str, set[int]] = {}
    for line in docker("top", member.name, "-eo", "pid,uid,comm").splitlines()[1:]:
        _, uid, program = line.split(maxsplit=2)
        found.setdefault(program, set()).add(int(uid))
    found.pop("docker-init", None)
    return found


def owners(member: Container) -> set[int]:
    """Return the uids that own what the member has written."""
    found = member.exec("find", *FOLDERS, "-mindepth", "1", "-printf", "%U\n", user="0")
    assert found.returncode == 0, found.stderr
    return {int(line) for line in found.stdout.split()}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_all_that_a_member_is_runs_as_one_user(cluster: Cluster, start: Start) -> None:
    """PID 1, VM and helpers, at the first start and the next; root's commands change nothing."""
    member = cluster.run("mongooseim-1", options=start.options)
    member.wait_for_log("Clustered ")
    for command in ((CTL, "status"), ("mongooseimctl", "bootstrap"), ("mongooseim", "ping")):
        done = member.exec(*command, user="0")
        if start.capable:
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            assert done.returncode == 126
            assert f"use docker exec --user {start.uid}" in done.stderr
    runs_as(member, start.uid)
    if start.capable:
        assert owners(member) == {start.uid}
    assert member.exec("find", "/root", "-newer", "/proc/1/cmdline", user="0").stdout == ""
    # Left by root, a child of PID 1 that it cannot end: no stop waits for it.
    member.exec("sh", "-c", "sleep 1000 > /dev/null 2>&1 &", user="0")
    assert member.stop() < PROMPT
    assert member.exit_status() == 0, member.logs()
    member.start()
    log = member.wait_for_log("Clustered ", count=2)
    runs_as(member, start.uid)
    assert log.count("running as root") == (2 if start.uid == 0 else 0)
    logs_elsewhere = 2 if "--read-only" in start.options else 0
    assert log.count("so the server logs in /run/mongooseim/log") == logs_elsewhere


def runs_as(member: Container, uid: int) -> None:
    """See that all of the member's programs run as `uid`, and that `uid` can use them."""
    own = member.exec("mongooseimctl", "status", user=str(uid))
    assert own.returncode == 0, own.stderr
    member.wait_for(lambda: "watch" in uids(member), what="the helper, under its own name")
    running = uids(member)
    assert {"beam.smp", "epmd"} <= running.keys()
    assert set().union(*running.values()) == {uid}, running


def test_root_reads_secrets_and_takes_over_what_an_older_image_wrote(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The volume of a member that was root, a cookie and files that only root can read."""
    volume = cluster.make_volume("data")
    old = cluster.run(
        "mongooseim-1",
        options=["--cap-drop=ALL"],
        volumes=[f"{volume}:/var/lib/mongooseim"],
        env={"CLUSTER_COOKIE": "s3cret"},
    )
    old.wait_for_log("Clustered ")
    old.ctl("sample", "write", "key", "value")
    old.exec("ln", "-s", "/etc/shadow", "/var/lib/mongooseim/link")
    old.stop()
    old.remove()
    (tmp_path / "member").mkdir(mode=0o700)
    (tmp_path / "member/vm.args").write_text("-setcookie other\n")
    (tmp_path / "member/hosts").write_text("10.9.9.9 database\n")
    (tmp_path / "cookie").write_text("s3cret\n")
    for file in ("member/vm.args", "member/hosts", "cookie"):
        (tmp_path / file).chmod(0o400)
    member = cluster.run(
        "mongooseim-1",
        env={"CLUSTER_COOKIE_FILE": "/cookie"},
        volumes=[
            f"{volume}:/var/lib/mongooseim",
            f"{tmp_path}/member:/member:ro",
            f"{tmp_path}/cookie:/cookie:ro",
        ],
    )
    member.wait_for_log("Clustered ")
    assert member.ctl("sample", "read", "key") == "value"
    assert owners(member) == {UID}
    assert member.exec("stat", "-c", "%u", "/etc/shadow").stdout == "0\n"
    assert member.exec("grep", "-c", "database", "/etc/hosts").stdout == "1\n"
    member.stop()
    # To another user than the one that it belongs to now, it is no use.
    other = cluster.run(
        "mongooseim-1", options=["--user=1234"], volumes=[f"{volume}:/var/lib/mongooseim"]
    )
    assert other.wait_exit() == 78
    (line,) = other.logs().splitlines()
    assert re.search(
        r"/var/lib/mongooseim/\S+ cannot be written .*uid 1234.*belongs to uid 5222.*fsGroup", line
    )


def test_a_hosts_file_that_cannot_be_written_has_a_way_out(
    cluster: Cluster, tmp_path: Path
) -> None:
    """One line that says so; the same lines given to Docker are enough."""
    (tmp_path / "member").mkdir(mode=0o700)
    (tmp_path / "member/hosts").write_text("10.9.9.9 database # ours\n")
    volumes = [f"{tmp_path}/member:/member:ro"]
    for mode, said in (
        (0o700, r"/member/\S+ cannot be read .*uid 1234"),
        (0o755, "/etc/hosts cannot be written .*uid 1234.*--add-host"),
    ):
        (tmp_path / "member").chmod(mode)
        member = cluster.run("mongooseim-1", options=["--user=1234"], volumes=volumes)
        assert member.wait_exit() == 78
        (line,) = member.logs().splitlines()
        assert re.search(said, line)
    member = cluster.run(
        "mongooseim-1",
        options=["--user=1234", "--add-host=database:10.9.9.9"],
        volumes=volumes,
    )
    member.wait_for_log("Exec: ")


@pytest.mark.parametrize(
    ("command", "uid"), [(("sh", "-c", "id -u"), 0), (("mongooseimctl", "status"), UID)]
)
def test_a_command_is_roots_unless_it_is_the_releases(
    cluster: Cluster, command: tuple[str, ...], uid: int
) -> None:
    """`docker run IMAGE bash` is for looking around; the release's programs leave files behind."""
    ended = cluster.run("mongooseim-1", *command)
    ended.wait_exit()
    if uid == 0:
        assert ended.logs() == "0\n"
        return
    copied = docker_result("diff", ended.name).stdout
    assert "/run/mongooseim/etc/vm.args" in copied
    folder = docker("cp", f"{ended.name}:/run/mongooseim/var/lock", "-", timeout=10)
    assert f"{UID:07o}\0" in folder


def test_standard_output_can_be_opened_by_the_user(member_image: str) -> None:
    """As a server does that is told to log to /dev/stdout."""
    program = (
        "from member_entrypoint.files import users;"
        "from member_entrypoint.places import Places; places = Places('/');"
        "users.drop_root(users.image_user(places), {}, places);"
        "open('/dev/stdout', 'w').write('said')"
    )
    command = ("--entrypoint=python3", member_image, "-I", "-c", program)
    assert docker("run", "--rm", *command) == "said"


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_any_user_may_ask_and_root_becomes_the_members_user(cluster: Cluster, start: Start) -> None:
    """`status` for root, for the member's user, and for one who is neither."""
    member = cluster.run("mongooseim-1", options=start.options)
    member.wait_for_log("Clustered ")

    def asked_as(user: int) -> tuple[int, str]:
        done = member.exec("member-entrypoint", "status", user=str(user))
        assert done.stderr == ""
        return done.returncode, " ".join(done.stdout.split())

    well = "mongooseim@mongooseim-1 runs, the only member of its cluster"
    member.wait_for(lambda: asked_as(start.uid)[1].startswith(well), 60, what=well)
    assert asked_as(start.uid)[0] == 0
    cannot = f"members cannot be asked as uid {{}}, .*; use docker exec --user {start.uid}$"
    code, said = asked_as(0)
    if start.capable:
        assert (code, said.startswith(well)) == (0, True)
    else:
        assert code == 1
        assert re.search(cannot.format(0), said)
    code, said = asked_as(1000)
    assert code == 1
    assert re.search(cannot.format(1000), said)
    if start.capable and start.uid:
        assert owners(member) == {start.uid}
        # Not even where the member leads it to what only root may read.
        trap = "cd /run/mongooseim/etc && mv vm.args was && ln -s /etc/shadow vm.args"
        assert member.exec("sh", "-ec", trap, user=str(start.uid)).returncode == 0
        assert re.search(cannot.format(start.uid), asked_as(0)[1])
