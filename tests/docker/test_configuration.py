"""What operators mount into a member, and what its server then reads."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from docker_cli import docker

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

ETC = "/usr/lib/mongooseim/etc"
CHART = """\
## as the Helm chart has it
-name mongooseim
-setcookie chart
-kernel inet_dist_listen_min 9100
-kernel inet_dist_listen_max 9100
"""


def rendered(member: Container) -> str:
    """Return a digest of all that the server reads, with the hosts file."""
    return member.exec("sh", "-c", f"cat {ETC}/* /etc/hosts | sha256sum; ls {ETC}").stdout


def test_a_configmap_and_a_secret_make_a_member(cluster: Cluster, tmp_path: Path) -> None:
    """Read-only `/member`, a cookie from a file, long names from a short host name."""
    (tmp_path / "member").mkdir()
    (tmp_path / "member/vm.args").write_text(CHART)
    (tmp_path / "member/hosts").write_text("10.9.9.9 database\n")
    (tmp_path / "cookie").write_text("s3cret\n")
    member = cluster.run(
        "mongooseim-0",
        env={
            "NODE_TYPE": "name",
            "MASTER_ORDINAL": "0",
            "CLUSTER_COOKIE_FILE": "/cookie",
            "PRINT_CONFIG_FILES_ON_START": "true",
        },
        volumes=[f"{tmp_path}/member:/member:ro", f"{tmp_path}/cookie:/cookie:ro"],
        options=["--domainname=mim.local"],
    )
    node = "mongooseim@mongooseim-0.mim.local"
    log = member.wait_for_log(f"Clustered {node} with {node}")
    assert "==> /usr/lib/mongooseim/etc/vm.args <==" in log
    assert "s3cret" not in log
    vm_args = member.exec("cat", f"{ETC}/vm.args").stdout
    lines = [line for line in vm_args.splitlines() if line and not line.startswith("#")]
    assert lines == [
        "-kernel inet_dist_listen_min 9100",
        "-kernel inet_dist_listen_max 9100",
        f"-name {node}",
        "-setcookie s3cret",
    ]
    assert member.running_db_nodes() == {node}
    assert (
        member.exec("test", "-s", f"/var/lib/mongooseim/Mnesia.{node}/schema.DAT").returncode == 0
    )
    assert member.exec("grep", "-c", "database", "/etc/hosts").stdout == "1\n"
    before = rendered(member)
    member.stop()
    member.start()
    member.wait_for_log(f"Clustered {node} with {node}", count=2)
    assert rendered(member) == before
    assert (tmp_path / "member/vm.args").read_text() == CHART


def test_a_release_in_member_is_run_instead_of_the_images(
    cluster: Cluster, sample_tarball: Path, tmp_path: Path
) -> None:
    """Unpacked once, not at each start; when it is taken away, the image's release counts again."""
    tarball = tmp_path / "mongooseim.tar.gz"
    shutil.copyfile(sample_tarball, tarball)
    member = cluster.run("mongooseim-1", volumes=[f"{tmp_path}:/member"])
    member.wait_for_log("Clustered ")
    folder = member.exec("readlink", "/usr/lib/mongooseim").stdout.strip()
    assert folder.startswith("mongooseim-member-")
    assert member.running_db_nodes() == {"mongooseim@mongooseim-1"}
    unpacked = member.exec("stat", "-c", "%z", f"/usr/lib/{folder}").stdout
    member.stop()
    member.start()
    member.wait_for_log("Clustered ", count=2)
    assert member.exec("stat", "-c", "%z", f"/usr/lib/{folder}").stdout == unpacked
    member.stop()
    tarball.unlink()
    member.start()
    member.wait_for_log("Clustered ", count=3)
    assert member.exec("readlink", "/usr/lib/mongooseim").stdout.strip() == "mongooseim-image"


def test_a_damaged_release_in_member_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    """Status 78 and one line; the image's release is not run by mistake."""
    (tmp_path / "mongooseim.tar.gz").write_bytes(b"no tarball")
    member = cluster.run("mongooseim-1", volumes=[f"{tmp_path}:/member:ro"])
    assert member.wait_exit() == 78
    assert "/member/mongooseim.tar.gz cannot be unpacked as a release" in member.logs()
    assert len(member.logs().splitlines()) == 1


def test_members_run_on_a_read_only_root(cluster: Cluster) -> None:
    """What changes is below /run, /tmp, the data volume and the log folder."""
    options = ["--read-only", "--tmpfs=/run", "--tmpfs=/tmp", "--tmpfs=/var/log/mongooseim"]
    members = [cluster.run(f"mongooseim-{number}", options=options) for number in (1, 2)]
    for member in members:
        member.wait_for_log("Clustered ")
        member.wait_for_cluster(["mongooseim-1", "mongooseim-2"])


def test_a_member_waits_for_its_database(cluster: Cluster) -> None:
    """WAIT_FOR: the VM is not started before something listens there."""
    member = cluster.run("mongooseim-1", env={"WAIT_FOR": "database:5432"})
    member.wait_for_log("waiting for database:5432")
    assert "Exec: " not in member.logs()
    listen = "import socket; socket.create_server(('', 5432)).accept()"
    cluster.run("database", "python3", "-c", listen)
    member.wait_for_log("Clustered ")


def test_bootstrap_runs_before_the_server(cluster: Cluster) -> None:
    """The release's own scripts, in the order of their versions."""
    member = cluster.run("mongooseim-1", env={"BOOTSTRAP_ENABLED": "true"})
    log = member.wait_for_log("Clustered ")
    assert 0 <= log.lower().find("bootstrap") < log.index("Exec: ")


def test_the_release_commands_work_in_a_container_of_their_own(cluster: Cluster) -> None:
    """`docker run IMAGE mongooseimctl status` has the node prepared, whatever its host name."""
    member = cluster.run("some-host", "mongooseimctl", "status")
    assert member.wait_exit() == 3
    assert "mongooseim@some-host" in member.logs()
    assert docker("inspect", "--format={{.Path}}", member.name).endswith("member-entrypoint")
