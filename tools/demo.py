"""The demonstration of the README: from source to a cluster of two members.

    make demo                                     the sample server
    make demo SOURCE=https://github.com/esl/MongooseIM COMMIT=6.8.0
    make demo SOURCE=/home/me/MongooseIM          a repository on this machine
    make demo BASE_IMAGE=debian:bookworm-slim     on another Debian; ERLANG_IMAGE: with another OTP
    make demo-clean                               removes everything that it made

SOURCE, COMMIT, PROJECT, BASE_IMAGE and ERLANG_IMAGE are variables of the environment, which make
sets.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import base_images
import engine
import setup
from console import ROOT, ToolError, ended, indented, run, run_live, say, shown, step, wait_for
from containers import CTL, PREFIX, Container
from demo_mark import MARK, remove_image, remove_marked
from docker_cli import DockerError, docker
from sources import BRANCH, make_repository

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = ROOT / ".demo"
BUILDS = FOLDER / "builds"
LOGS = FOLDER / "logs"
TARBALL = ROOT / "member" / "mongooseim.tar.gz"
TARBALL_OF_DEMO = FOLDER / "mongooseim.tar.gz"
TARBALL_BEFORE = ROOT / "member" / "mongooseim-before-demo.tar.gz"

NETWORK = "mim_cluster"
BUILDER = Container("mongooseim-builder", "mongooseim-builder")
MEMBERS = (Container("mongooseim-1", "mongooseim-1"), Container("mongooseim-2", "mongooseim-2"))
NODES = frozenset(f"mongooseim@{member.host}" for member in MEMBERS)
BUILDER_IMAGE = "mongooseim-builder"
MEMBER_IMAGE = "mongooseim"
STAGE_MARK = "mongooseim.stage=release"
LISTING = ("image", "ls", "--quiet")

NODE_TIMEOUT = 120.0
"""Seconds that a member may take to answer or to join."""
DEMO_IMAGE_TIMEOUT = 1800.0
"""Seconds that an image may take to build, perhaps over a slow network."""
CLIENT_PORT = 5222
NOT_XML = b"this is not XML\r\n"
LONGEST_LOG = 24
"""Lines of a log that are printed."""


def demonstrate() -> None:
    """Run all steps. Raises ToolError if a step fails or the two nodes do not form a cluster."""
    begin = time.monotonic()
    with step("A Docker engine, git"):
        setup.programs({"git": "git"}, purpose="the demonstration")
        engine.ensure()
    with step("Removing the containers of an earlier demonstration"):
        _remove_containers()
    _build_builder_image()
    tarball = _build_release()
    _build_member_image(tarball)
    _start_members()
    answers = _look()
    _last_screen(answers, time.monotonic() - begin)


def clean() -> None:
    """Remove everything that the demonstration made, without asking."""
    with step("Removing what the demonstration made"):
        if engine.version() is None:
            say("    no Docker engine answers: removing files only")
        else:
            _remove_containers()
            _remove_files_of_root()
            _remove_images()
        if _is_same(TARBALL, TARBALL_OF_DEMO):
            TARBALL.unlink()
            if TARBALL_BEFORE.exists():
                TARBALL_BEFORE.rename(TARBALL)
        if FOLDER.exists():
            shutil.rmtree(FOLDER)
            say(f"    removed {shown(FOLDER)}")


def _build_builder_image() -> None:
    with step("The base images of the builder"):
        bases = [f"--build-arg={argument}" for argument in base_images.arguments()]
    with step("The builder image"):
        _build_image(BUILDER_IMAGE, "Dockerfile.builder", *bases)


def _build_member_image(tarball: Path) -> None:
    with step("The base image of the members"):
        base = base_images.ensure(base_images.MEMBER)
    with step("The member image"):
        if TARBALL.exists() and not _is_same(TARBALL, TARBALL_OF_DEMO):
            TARBALL.replace(TARBALL_BEFORE)
            say(f"    renamed your {shown(TARBALL)} to {shown(TARBALL_BEFORE)}")
        TARBALL.parent.mkdir(exist_ok=True)
        shutil.copyfile(tarball, TARBALL)
        TARBALL_OF_DEMO.unlink(missing_ok=True)
        TARBALL_OF_DEMO.symlink_to(tarball.relative_to(FOLDER))
        say(f"    copied {shown(tarball)} to {shown(TARBALL)}")
        _build_image(MEMBER_IMAGE, "Dockerfile.member", f"--build-arg=BASE_IMAGE={base}")


def _build_image(tag: str, dockerfile: str, *build_args: str) -> None:
    command = ["docker", "build", f"--label={MARK}", *build_args, "-f", dockerfile, "-t", tag]
    log = LOGS / f"{tag}-image.log"
    say(f"    {' '.join(command)} .")
    say(f"    (its output goes to {shown(log)})")
    run([*command, "."], what=f"the image {tag}", timeout=DEMO_IMAGE_TIMEOUT, log=log)


def _build_release() -> Path:
    """Build a release; return its tarball."""
    source = os.environ.get("SOURCE", "")
    commit = os.environ.get("COMMIT", "")
    BUILDS.mkdir(parents=True, exist_ok=True)
    volumes = [f"{BUILDS}:/builds"]
    with step("The builder container"):
        if not source:
            folder = FOLDER / "source"
            say(f"    the sample server's sources, commit {make_repository(folder)[:9]}")
            project, commit = "sample", commit or BRANCH
        else:
            folder = Path(source).expanduser().absolute()
            project = os.environ.get("PROJECT") or "MongooseIM"
        if not source or folder.is_dir():
            # Docker would create a missing folder.
            volumes.append(f"{folder}:/source:ro")
            source = "file:///source"
        _docker(
            *("run", "-d", "--name", BUILDER.name, "-h", BUILDER.host),
            *(option for volume in volumes for option in ("-v", volume)),
            BUILDER_IMAGE,
        )
    with step("The release, built by the builder container"):
        arguments = [project, source, *([commit] if commit else [])]
        command = ["docker", "exec", "-i", BUILDER.name, "/build.sh", *arguments]
        say(f"    {' '.join(command)}")
        status, lines = run_live(command)
        if status != 0:
            raise ToolError(
                f"the builder ended with status {status} (its output is above, and in"
                f" {shown(BUILDS / 'build.log')})"
            )
        return _ready_tarball(lines)


def _ready_tarball(lines: list[str]) -> Path:
    for line in reversed(lines):
        if found := re.search(r"(?:^|\s)(/builds/\S+\.tar\.gz) is ready", line):
            tarball = BUILDS / Path(found[1]).name
            if tarball.is_file():
                return tarball
    raise ToolError(f"the builder ended with status 0, but there is no tarball in {shown(BUILDS)}")


def _start_members() -> None:
    first, second = MEMBERS
    options = ("run", "-t", "-d")
    with step(f"{first.name}, the primary node"):
        _docker(*options, "-h", first.host, "--name", first.name, MEMBER_IMAGE)
        _wait_until_it_answers(first)
    with step(f"{second.name}, in the same network"):
        _docker("network", "create", "--label", MARK, NETWORK)
        _docker("network", "connect", NETWORK, first.name)
        _docker(
            *(*options, "--network", NETWORK, "-h", second.host),
            *("--name", second.name, MEMBER_IMAGE),
        )
        _wait_until_it_answers(second)
    with step("The cluster"):
        for member in MEMBERS:
            sees_both = functools.partial(_sees_both, member)
            _wait_in(member, sees_both, "cluster of two")
            say(f"    {member.name} sees both nodes running")


def _sees_both(member: Container) -> bool:
    return member.running_db_nodes() == NODES


def _wait_until_it_answers(member: Container) -> None:
    _wait_in(member, lambda: bool(_answer(member)), f"answer on port {CLIENT_PORT}")
    say(f"    it answers on port {CLIENT_PORT}")


def _wait_in(member: Container, condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds.

    Raises ToolError if the container ends, or after NODE_TIMEOUT.
    """
    wait_for(lambda: condition() or not member.is_running(), timeout=NODE_TIMEOUT)
    if condition():
        return
    say(indented(_log_lines(member)[-LONGEST_LOG:]))
    if member.is_running():
        raise ToolError(f"{member.name}: no {what} within {NODE_TIMEOUT:.0f} s; its log is above")
    raise ToolError(
        f"{member.name} ended with status {member.exit_status()}; the end of its log is above"
    )


def _answer(member: Container) -> str:
    """Send something that is not XML to the member's client port; return the answer."""
    try:
        with socket.create_connection((member.ip(), CLIENT_PORT), timeout=5) as connection:
            connection.sendall(NOT_XML)
            received = b""
            while chunk := connection.recv(4096):
                received += chunk
            return received.decode(errors="replace")
    except (OSError, DockerError):
        pass
    # With Docker Desktop the containers' network cannot be reached from here, but from inside.
    script = f"exec 3<>/dev/tcp/127.0.0.1/{CLIENT_PORT} && echo this is not XML >&3 && cat <&3"
    return member.exec("timeout", "5", "bash", "-c", script).stdout


def _look() -> dict[str, str]:
    """Print logs and answers as in the README; return the running nodes that each member sees."""
    answers = {}
    for member in MEMBERS:
        with step(f"The log of {member.name}"):
            say(indented(_shortened(_log_lines(member))))
    for member in MEMBERS:
        with step(f"Port {CLIENT_PORT} of {member.name}, which gets something that is not XML"):
            if not (answer := _answer(member)):
                raise ToolError(f"{member.name} does not answer on port {CLIENT_PORT}")
            say(indented(answer.splitlines()))
    for member in MEMBERS:
        with step(f"The running nodes, as {member.name} sees them"):
            answers[member.name] = member.mnesia_info("running_db_nodes")
            say(indented(answers[member.name].splitlines()))
    return answers


def _log_lines(member: Container) -> list[str]:
    """Return the lines that a member has printed, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", member.logs()).splitlines()


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= LONGEST_LOG:
        return lines
    half = LONGEST_LOG // 2
    return [*lines[:half], f"... {len(lines) - 2 * half} more lines ...", *lines[-half:]]


def _last_screen(answers: dict[str, str], seconds: float) -> None:
    first, second = MEMBERS
    question = "running_db_nodes"
    if not answers[first.name].startswith("["):
        question = """systemInfo --keys '["running_db_nodes"]'"""
    say(f"""
A MongooseIM cluster of two members runs, after {seconds:.0f} s. The running nodes, as seen from""")
    for name, answer in answers.items():
        say(f"    {name}: {' '.join(answer.split())}")
    say(f"""
To see more:
    docker logs {second.name}
    docker exec {first.name} {CTL} mnesia {question}
    docker stop {second.name} && docker start {second.name}
To remove everything:
    make demo-clean""")


def _docker(*arguments: str) -> None:
    say(f"    docker {' '.join(arguments)}")
    docker(*arguments)


def _remove_containers() -> None:
    """Remove the demonstration's containers and network; ToolError if others use the names."""
    for container in (BUILDER, *MEMBERS):
        remove_marked("container", container.name, ".Config.Labels")
    remove_marked("network", NETWORK, ".Labels")


def _remove_files_of_root() -> None:
    """Remove files that containers wrote as root, because this user may not remove them."""
    if BUILDS.exists() and os.geteuid() != 0 and base_images.is_present(BUILDER_IMAGE):
        docker(
            *("run", "--rm", "--entrypoint", "find", "-v", f"{BUILDS}:/builds", BUILDER_IMAGE),
            *("/builds", "-mindepth", "1", "-delete"),
        )


def _remove_images() -> None:
    for name in (MEMBER_IMAGE, BUILDER_IMAGE):
        if docker(*LISTING, f"--filter=reference={name}", f"--filter=label={MARK}"):
            remove_image(name)
    for base in (base_images.MEMBER, base_images.BUILDER):
        if docker(*LISTING, f"--filter=reference={base.substitute}"):
            if docker(*LISTING, f"--filter=reference={PREFIX}-*"):
                say(f"    kept image {base.substitute}, which the tests use too")
            else:
                remove_image(base.substitute)
    for label in (MARK, STAGE_MARK):
        docker("image", "prune", "--force", f"--filter=label={label}")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _main() -> None:
    os.chdir(ROOT)
    actions = {"start": demonstrate, "clean": clean}
    wanted = sys.argv[1] if len(sys.argv) > 1 else "start"
    if wanted not in actions:
        raise ToolError(f"{wanted}: the actions are {', '.join(actions)}")
    try:
        actions[wanted]()
    except DockerError as error:
        raise ToolError(str(error)) from error


if __name__ == "__main__":
    sys.exit(ended(_main))
