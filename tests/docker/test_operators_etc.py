"""What operators mount on the release's own `etc`, copy or move there: used, and never changed.

The shell images read that folder, so people put their files there. Where the server listens tells
whose configuration it reads.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from docker_cli import docker

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

ETC = "/usr/lib/mongooseim/etc"
RENDERED = "/run/mongooseim/etc"
ALONE = {"JOIN_CLUSTER": "false"}
TOML = '[general]\n  hosts = ["localhost"]\n\n[[listen.c2s]]\n  port = 5333\n'
VM_ARGS = "-sname somebody@somewhere\n-setcookie theirs\n+K true\n"
OWNER = 4321


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Provide a folder of configuration as an operator has it on the host."""
    made = tmp_path / "etc"
    (made / "certs").mkdir(parents=True)
    files = {
        "mongooseim.toml": TOML,
        "vm.args": VM_ARGS,
        "server.pem": "key",
        "certs/ca.pem": "ca",
    }
    for name, text in files.items():
        (made / name).write_text(text)
    (made / "server.pem").chmod(0o640)
    for path in (made, *made.rglob("*")):
        os.chown(path, OWNER, OWNER)
        os.utime(path, ns=(1, 1))
    return made


def snapshot(top: Path) -> dict[str, tuple[object, ...]]:
    """Return all that could be changed of a folder and what is in it, but for reading times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (top, *top.rglob("*")):
        status = path.lstat()
        kept = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_ino)
        content = path.read_bytes() if path.is_file() else sorted(os.listdir(path))
        found[str(path)] = (*kept, content)
    return found


def serves(member: Container, port: int, *, count: int = 1) -> str:
    """Wait until a member has started; see that it listens on `port`. Return its log."""
    log = member.wait_for_log("MongooseIM started", count=count)
    listens = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
    done = member.exec("python3", "-c", listens)
    assert done.returncode == 0, done.stderr + log
    return log


@pytest.mark.parametrize("mode", ["", ":ro"])
def test_a_mounted_folder_is_used_and_stays_as_it_is(
    cluster: Cluster, theirs: Path, mode: str
) -> None:
    """On the host: files were overwritten, certificates deleted, all given to uid 5222."""
    before = snapshot(theirs)
    member = cluster.run("mongooseim-1", env=ALONE, volumes=[f"{theirs}:{ETC}{mode}"])
    serves(member, 5333)
    vm_args = member.exec("cat", f"{RENDERED}/vm.args").stdout
    assert vm_args.splitlines()[-2:] == ["-sname mongooseim@mongooseim-1", "-setcookie theirs"]
    # From the server's own folder, too: the names in its configuration may be relative.
    inside = "cd /proc/$(cat /run/mongooseim/var/pid)/cwd && cat etc/certs/ca.pem etc/server.pem"
    assert member.exec("sh", "-c", inside, user="5222").stdout == "cakey"
    assert member.running_db_nodes() == {"mongooseim@mongooseim-1"}
    member.stop()
    member.start()
    log = serves(member, 5333, count=2)
    assert "warning" not in log.replace("default one, 'mongooseim'", "")
    member.stop()
    assert snapshot(theirs) == before


@pytest.mark.parametrize("mode", ["", ":ro"])
def test_one_file_and_a_folder_of_certificates(cluster: Cluster, theirs: Path, mode: str) -> None:
    """The one file was given to uid 5222, or ended the start with `Device or resource busy`.

    Only root may read it here, and nobody but root can have mounted it.
    """
    os.chown(theirs / "mongooseim.toml", 0, 0)
    (theirs / "mongooseim.toml").chmod(0o600)
    before = snapshot(theirs)
    volumes = [
        f"{theirs}/mongooseim.toml:{ETC}/mongooseim.toml{mode}",
        f"{theirs}/certs:{ETC}/certs:ro",
    ]
    member = cluster.run("mongooseim-1", env=ALONE, volumes=volumes)
    serves(member, 5333)
    assert member.exec("cat", f"{RENDERED}/certs/ca.pem").stdout == "ca"
    # All else shows what the server reads, where the shell images have it.
    assert "-sname mongooseim@mongooseim-1" in member.exec("cat", f"{ETC}/vm.args").stdout
    member.stop()
    assert snapshot(theirs) == before


def test_as_another_user_on_a_read_only_root(cluster: Cluster, theirs: Path) -> None:
    """As Kubernetes has it: the mounted folder is all that is theirs, /run all that is ours."""
    before = snapshot(theirs)
    options = ["--read-only", "--user=4321:4321", "--tmpfs=/run:mode=1777", "--tmpfs=/tmp"]
    member = cluster.run("mongooseim-1", env=ALONE, volumes=[f"{theirs}:{ETC}:ro"], options=options)
    serves(member, 5333)
    assert "mongooseim@mongooseim-1" in member.ctl("mnesia", "running_db_nodes")
    member.stop()
    assert snapshot(theirs) == before


def test_a_named_volume_is_filled_from_the_image(cluster: Cluster) -> None:
    """Docker copies the release's files into it at its first use; from then on it is theirs."""
    volume = cluster.make_volume("etc")
    member = cluster.run("mongooseim-1", env=ALONE, volumes=[f"{volume}:{ETC}"])
    serves(member, 5222)
    assert "-sname mongooseim@localhost" in member.exec("cat", f"{ETC}/vm.args").stdout
    member.exec("sed", "-i", "s/5222/5333/", f"{ETC}/mongooseim.toml", user="0")
    member.remove()
    again = cluster.run("mongooseim-1", env=ALONE, volumes=[f"{volume}:{ETC}"])
    serves(again, 5333)


def test_a_derived_image_has_its_own_configuration(cluster: Cluster, theirs: Path) -> None:
    """COPY of one file, of a tree over the release, and RUN sed: as with the shell images."""
    tree = theirs.parent / "tree"
    (tree / "priv/ssl").mkdir(parents=True)
    (tree / "priv/ssl/own.pem").write_text("own")
    (tree / "templates").mkdir()
    (tree / "templates/extra.ini").write_text("template")
    (theirs.parent / "Dockerfile").write_text(
        f"FROM {cluster.image}\n"
        f"COPY etc/mongooseim.toml {ETC}/\n"
        f"RUN sed -i 's/5333/5444/' {ETC}/mongooseim.toml && echo '+A 7' >> {ETC}/vm.args\n"
        "COPY tree/ /usr/lib/mongooseim/\n"
    )
    image = f"{cluster.prefix}-derived"
    docker("build", "--quiet", f"--tag={image}", str(theirs.parent), timeout=300)
    try:
        member = cluster.run("mongooseim-1", env=ALONE, image=image)
        serves(member, 5444)
        assert "+A 7\n" in member.exec("cat", f"{RENDERED}/vm.args").stdout
        inside = "cd /proc/$(cat /run/mongooseim/var/pid)/cwd && cat priv/ssl/*.pem templates/*"
        assert member.exec("sh", "-c", inside, user="5222").stdout == "owntemplate"
        member.stop()
        member.start()
        serves(member, 5444, count=2)
        member.remove()
    finally:
        docker("image", "rm", "--force", image)


def test_a_script_that_moves_a_template_there_and_runs_the_start_script(
    cluster: Cluster, theirs: Path
) -> None:
    """`mv` failed on a link that led nowhere."""
    script = (
        f"cp /theirs/mongooseim.toml /tmp/t && mv /tmp/t {ETC}/mongooseim.toml && exec /start.sh"
    )
    member = cluster.run(
        *("mongooseim-1", "-c", script),
        env=ALONE,
        volumes=[f"{theirs}:/theirs:ro"],
        options=["--entrypoint=sh"],
    )
    serves(member, 5333)


def test_docker_cp_then_docker_restart(cluster: Cluster, theirs: Path) -> None:
    """Used, and a warning says that a new container will not have it; only root may read it."""
    (theirs / "mongooseim.toml").chmod(0o600)
    member = cluster.run("mongooseim-1", env=ALONE)
    serves(member, 5222)
    docker("cp", f"{theirs}/mongooseim.toml", f"{member.name}:{ETC}/mongooseim.toml")
    member.stop()
    member.start()
    log = serves(member, 5333, count=2)
    assert log.count(f"{ETC}/mongooseim.toml was changed in this container since") == 1
    member.stop()
    member.start()
    assert serves(member, 5333, count=3).count("was changed in this container since") == 1
    assert member.exec("cat", f"{ETC}/mongooseim.toml").stdout == TOML


def test_an_edit_of_what_the_server_reads_is_kept_and_named(cluster: Cluster) -> None:
    """It was lost without a word."""
    member = cluster.run("mongooseim-1", env=ALONE)
    serves(member, 5222)
    edit = f"echo '# mine' >> {RENDERED}/mongooseim.toml"
    assert member.exec("sh", "-c", edit, user="0").returncode == 0
    member.stop()
    member.start()
    log = serves(member, 5222, count=2)
    kept = f"{RENDERED}.edited/mongooseim.toml"
    assert f"{RENDERED}/mongooseim.toml was edited" in log
    assert f"what it was is {kept} now" in log
    assert member.exec("tail", "-n1", kept).stdout == "# mine\n"
    assert "# mine" not in member.exec("cat", f"{RENDERED}/mongooseim.toml").stdout


def test_a_mount_on_what_we_write_is_refused(cluster: Cluster, theirs: Path) -> None:
    """Before anything in it is changed; the line says where to mount it."""
    before = snapshot(theirs)
    for what, where in (("", RENDERED), ("/mongooseim.toml", f"{RENDERED}/mongooseim.toml")):
        member = cluster.run("mongooseim-1", env=ALONE, volumes=[f"{theirs}{what}:{where}"])
        assert member.wait_exit() == 78
        assert f"{where} is a mount, and the files there are written anew" in member.logs()
        assert f"mount it in /member, or in {ETC}" in member.logs()
        member.remove()
        assert snapshot(theirs) == before


def test_bootstrap_scripts_find_etc_by_its_path_or_by_their_own(cluster: Cluster) -> None:
    """What they write is read in this start, and not the beginning of the next one."""
    script = (
        f"#!/bin/sh\nsed -i 's/5222/5333/' {ETC}/mongooseim.toml\n"
        'echo "# $(grep -c added $0/../../etc/vm.args) added" >> ${0%/*}/../etc/vm.args\n'
    )
    script = script.replace("$0/../..", "${0%/*}/..")
    install = (
        f"printf %s '{script}' > /tmp/b && install /tmp/b /usr/lib/mongooseim/scripts/bootstrap2.sh"
    )
    member = cluster.run(
        *("mongooseim-1", "-c", f"{install} && exec /start.sh"),
        env={**ALONE, "BOOTSTRAP_ENABLED": "true"},
        options=["--entrypoint=sh"],
    )
    for count in (1, 2):
        log = serves(member, 5333, count=count)
        assert "was changed" not in log
        assert "# 0 added\n" in member.exec("cat", f"{RENDERED}/vm.args").stdout
        member.stop()
        member.start()


def test_bootstrap_scripts_write_into_the_servers_etc(cluster: Cluster, theirs: Path) -> None:
    """As those of MongooseIM 6 do, by the folder that mongooseimctl runs from; not into theirs."""
    scripts = theirs.parent / "scripts"
    scripts.mkdir()
    (scripts / "bootstrap20-template.sh").write_text(
        "#!/bin/bash\n"
        f"sed 's/5333/5444/' {ETC}/mongooseim.toml > $MIM_DIR/etc/mongooseim.toml\n"
        "echo x > $MIM_DIR/etc/final_template_vars.config\n"
    )
    (scripts / "bootstrap20-template.sh").chmod(0o755)
    before = snapshot(theirs)
    member = cluster.run(
        "mongooseim-1",
        env={**ALONE, "BOOTSTRAP_ENABLED": "true"},
        volumes=[f"{theirs}:{ETC}", f"{scripts}:/usr/lib/mongooseim/scripts:ro"],
    )
    for count in (1, 2):
        log = serves(member, 5444, count=count)
        assert "was edited" not in log
        assert member.exec("cat", f"{RENDERED}/final_template_vars.config").stdout == "x\n"
        member.stop()
        member.start()
    member.stop()
    assert snapshot(theirs) == before
