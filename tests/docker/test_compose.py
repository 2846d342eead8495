"""deploy/compose.yaml, by both generations of Compose."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tomllib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import base_images
import pytest
from console import ROOT, run
from containers import OWNER_LABEL, PREFIX, Container
from docker_cli import docker
from documents import Reader, commands

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBERS = ("mongooseim-1", "mongooseim-2", "mongooseim-3")
POSTGRESQL_IMAGE = "mimtest-postgresql"
PLUGIN = Path("/usr/libexec/docker/cli-plugins/docker-compose")
UP_TIMEOUT = 120
PASSWORD = 'a "password" of \\ the tests\' ☃'  # noqa: S105 - not one of anything else

VOLUMES = ("configuration", "schema", *MEMBERS, "postgresql")
TABLES = "CREATE TABLE last (username text PRIMARY KEY, seconds integer);\n"


def override(*, tables: bool) -> str:
    """Return what the tests add: who removes what a killed run leaves, and tables.

    The sample server is no MongooseIM and has no tables of its own.
    """
    ours = {"labels": {OWNER_LABEL: str(os.getpid())}}
    services: dict[str, Any] = {name: dict(ours) for name in (*MEMBERS, "postgresql", "prepare")}
    if tables:
        target = "/usr/lib/mongooseim/lib/mongooseim-0/priv/pg.sql"
        services["prepare"]["volumes"] = [f"./pg.sql:{target}:ro"]
    volumes = dict.fromkeys(VOLUMES, ours)
    return json.dumps({"services": services, "volumes": volumes, "networks": {"default": ours}})


class Compose(NamedTuple):
    """One generation of Compose, with a project to run."""

    command: tuple[str, ...]
    folder: Path
    project: str

    def __call__(self, *arguments: str, timeout: float = UP_TIMEOUT) -> str:
        """Run a command of Compose; return what it prints on standard output."""
        files = ("--file=compose.yaml", "--file=override.yaml")
        done = subprocess.run(
            [*self.command, f"--project-name={self.project}", *files, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
        return done.stdout

    def container(self, service: str) -> Container:
        """Return the container of a service, running or not."""
        identifier = docker(
            *("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.service={service}"),
            f"--filter=label=com.docker.compose.project={self.project}",
        )
        assert identifier, f"no container of {service}"
        return Container(identifier, service)

    def up(self) -> None:
        """Start all, and see everything healthy."""
        self("up", "--detach")
        self.see_healthy(*MEMBERS, "postgresql")

    def see_healthy(self, *services: str) -> None:
        """Wait until services are healthy."""
        for service in services:
            container = self.container(service)
            container.wait_for(
                lambda it=container: it.inspect("{{.State.Health.Status}}") == "healthy",  # type: ignore[misc]
                timeout=60,
                what="health",
            )


def _version_2(cache: Path) -> tuple[str, ...]:
    """Return the command of Compose 2: the machine's own, else that of the base image's Debian."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if _major(*command) >= 2:
            return command
    binary = cache / "compose-2" / PLUGIN.name
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        script = (
            "apt-get update -qq && cd /tmp && apt-get download -qq docker-compose && "
            f"dpkg -x docker-compose_*.deb tree && cp tree{PLUGIN} /out/new"
        )
        docker(
            *("run", "--rm", f"--volume={binary.parent}:/out"),
            *(base_images.ensure(base_images.MEMBER), "sh", "-ec", script),
            timeout=120,
        )
        (binary.parent / "new").rename(binary)
    return (str(binary),)


def _version_1() -> tuple[str, ...]:
    """Return the command of Compose 1; skip where the machine has none, as Debian 13."""
    if _major("docker-compose") != 1:
        pytest.skip("docker-compose 1.29 is not on this machine, and cannot be installed")
    return ("docker-compose",)


def _major(*command: str) -> int:
    """Return the first number of the version of a Compose; 0 where there is none."""
    if shutil.which(command[0]) is None:
        return 0
    asked = [*command, "version"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"version v?(\d+)\.", done.stdout)
    return int(found[1]) if found and done.returncode == 0 else 0


@pytest.fixture(scope="session")
def postgresql_image(docker_engine: None) -> str:  # noqa: ARG001 - for its effect
    """Give an image of PostgreSQL: the official one if it is there, else one like it."""
    official = "postgres:17"
    if base_images.is_present(official):
        return official
    base = base_images.ensure(base_images.MEMBER)
    folder = str(Path(__file__).parent / "postgresql")
    run(
        ["docker", "build", "-t", POSTGRESQL_IMAGE, f"--build-arg=BASE_IMAGE={base}", folder],
        what=f"the image {POSTGRESQL_IMAGE}",
        timeout=900,
    )
    return POSTGRESQL_IMAGE


@pytest.fixture
def compose(
    request: pytest.FixtureRequest, member_image: str, postgresql_image: str, tmp_path: Path
) -> Iterator[Compose]:
    """Give a copy of the project with secrets, and remove all that it made; of Compose 2 or 1."""
    version = getattr(request, "param", "2")
    command = _version_2(ROOT / ".cache") if version == "2" else _version_1()
    folder = tmp_path / "deploy"
    folder.mkdir()
    shutil.copy(ROOT / "deploy" / "compose.yaml", folder)
    ignored = shutil.ignore_patterns("secrets", "__pycache__")
    shutil.copytree(ROOT / "deploy" / "compose", folder / "compose", ignore=ignored)
    secrets = folder / "compose" / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "cookie").write_text("a-cookie-of-the-tests\n")
    (secrets / "database-password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    (folder / "override.yaml").write_text(override(tables=True))
    (folder / "pg.sql").write_text(TABLES)
    ports = "".join(f"C2S_PORT_{number}=0\n" for number in (1, 2, 3))
    (folder / ".env").write_text(
        f"MONGOOSEIM_IMAGE={member_image}\nPOSTGRES_IMAGE={postgresql_image}\n{ports}"
    )
    made = Compose(command, folder, f"{PREFIX}{uuid.uuid4().hex[:8]}")
    try:
        yield made
    finally:
        made("down", "--volumes", "--timeout=5")


def sql(database: Container, statement: str) -> str:
    """Return what a statement gives, asked for with the password by TCP."""
    asked = database.exec(
        *("psql", "--host=127.0.0.1", "--username=mongooseim", "--dbname=mongooseim"),
        *("--tuples-only", "--no-align", f"--command={statement}"),
        env={"PGPASSWORD": PASSWORD},
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.strip()


def test_all_is_healthy_and_comes_back_after_down_and_up(compose: Compose) -> None:
    """Up, down, up: the same cluster with the same data, in the members and in the database."""
    compose.up()
    first, _, third = (compose.container(service) for service in MEMBERS)
    third.wait_for_cluster(MEMBERS)
    first.ctl("sample", "write", "key", "kept")
    sql(compose.container("postgresql"), "INSERT INTO last VALUES ('alice', 7)")
    rendered = tomllib.loads(first.exec("cat", "/member/mongooseim.toml").stdout)
    assert rendered["outgoing_pools"]["rdbms"]["default"]["connection"]["password"] == PASSWORD
    published = docker("port", first.name, "5222/tcp").splitlines()[0].rpartition(":")[2]
    with socket.create_connection(("127.0.0.1", int(published)), timeout=10):
        pass

    compose("down")
    compose.up()

    third = compose.container(MEMBERS[2])
    third.wait_for_cluster(MEMBERS)
    assert "already clustered" in third.logs()
    assert "kept" in third.ctl("sample", "read", "key")
    assert sql(compose.container("postgresql"), "SELECT seconds FROM last") == "7"


def test_a_release_without_tables_is_said(compose: Compose) -> None:
    """Nothing starts on a database that would stay empty."""
    (compose.folder / "override.yaml").write_text(override(tables=False))
    with pytest.raises(AssertionError):
        compose("up", "--detach")
    prepare = compose.container("prepare")
    assert prepare.wait_exit() == 1
    assert "has no lib/mongooseim-*/priv/pg.sql" in prepare.logs()
    assert (
        docker("ps", "--quiet", f"--filter=label=com.docker.compose.project={compose.project}")
        == ""
    )


@pytest.mark.parametrize("compose", ["1.29"], indirect=True)
def test_the_compose_before_reads_the_same_file(compose: Compose) -> None:
    """docker-compose 1.29 brings all up healthy, too."""
    compose.up()
    compose.container(MEMBERS[0]).wait_for_cluster(MEMBERS)


def test_the_commands_of_the_document(compose: Compose, tmp_path: Path) -> None:
    """Copied from docs/compose.md into a terminal in the folder of the repository."""
    shutil.rmtree(compose.folder / "compose" / "secrets")
    environment = {
        **os.environ,
        "COMPOSE_PROJECT_NAME": compose.project,
        "COMPOSE_FILE": "compose.yaml:override.yaml",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }
    if len(compose.command) == 1:
        plugins = tmp_path / "docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(compose.command[0])
    reader = Reader(tmp_path, environment)
    for command in commands("compose.md", "test_the_commands_of_the_document"):
        assert reader.does(command), command
        if command.startswith("docker compose up"):
            compose.see_healthy(*MEMBERS)
            first = compose.container(MEMBERS[0])
            first.wait_for_cluster(MEMBERS)
        if command.endswith("leave"):
            first.wait_for_cluster(MEMBERS[:2])
    assert (
        docker("ps", "--quiet", f"--filter=label=com.docker.compose.project={compose.project}")
        == ""
    )
