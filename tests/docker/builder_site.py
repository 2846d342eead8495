"""Builders of the image beside a git server, and a repository to build from."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

import base_images
import pytest
from console import one_at_a_time, run
from containers import Cluster, Container
from docker_cli import docker_result
from sources import BRANCH, ENVIRONMENT, make_repository

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROMPT = 5
"""What `docker stop` may take on a busy machine (seconds); a container that idles takes 0.3."""
BUILD = 60
"""What a build may take on a busy machine (seconds); that of the sample server takes 4."""
HOST = "git-server"
ADDRESSES = {
    "file": "file:///source",
    "http": f"http://{HOST}/git/source",
    "ssh": f"ssh://root@{HOST}/repositories/source",
}
SSH = "ssh -F none -i /ssh/key -o BatchMode=yes -o UserKnownHostsFile=/ssh/known_hosts"
GIT_SERVER = """\
FROM {base}
RUN apt-get update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
        git lighttpd openssh-server \\
    && rm -rf /var/lib/apt/lists/* \\
    && mkdir -p /run/sshd \\
    && git config --system --add safe.directory '*'
"""
LIGHTTPD = """\
server.modules = ("mod_alias", "mod_setenv", "mod_cgi")
server.document-root = "/var/empty"
server.port = 80
alias.url = ("/git" => "/usr/lib/git-core/git-http-backend")
cgi.assign = ("" => "")
setenv.set-environment = (
    "GIT_PROJECT_ROOT" => "/repositories",
    "GIT_HTTP_EXPORT_ALL" => "",
)
"""
SSHD = """\
HostKey /ssh/host
AuthorizedKeysFile /ssh/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""
SERVE = "lighttpd -f /ssh/lighttpd.conf && exec /usr/sbin/sshd -D -e -f /ssh/sshd_config"

RELEASE = "_build/prod/rel/mongooseim"
COPY = f"mkdir -p {RELEASE}/bin && cp -r src rel/etc {RELEASE}/ && cp rel/bin/* {RELEASE}/bin/"
FETCH = (
    f"curl --silent --fail --output $$REBAR_CACHE_DIR/package {ADDRESSES['http']}/HEAD"
    " && echo package: fetched"
)
# What `make rel` does in the commits beside the sample server's.
RECIPES = {
    "feature/x": [COPY],
    "broken": [COPY, "@echo the compiler is not happy; exit 3"],
    "packages": [
        COPY,
        f"@test -s $$REBAR_CACHE_DIR/package || {FETCH}",
        f"cp $$REBAR_CACHE_DIR/package {RELEASE}/",
    ],
    "noise": [COPY, f"head --bytes=4M /dev/urandom > {RELEASE}/noise"],
    "endless": [COPY, "@echo compiling without end; sleep 600 & wait"],
    "huge": [COPY, f"truncate --size=64G {RELEASE}/zeros"],
    "undeterministic": [COPY, f"erlc +debug_info -o {RELEASE}/bin src/mongooseim_toml.erl"],
}


class Repository(NamedTuple):
    """The sample server's repository, with more branches."""

    folder: Path
    commits: Mapping[str, str]
    """The full hash of each branch's last commit."""

    def git(self, *arguments: str) -> str:
        """Run git in it; return what it prints."""
        command = ["git", "-C", str(self.folder), *arguments]
        return run(command, what=f"git {arguments[0]}", timeout=60, env=ENVIRONMENT).strip()


class Site(Cluster):
    """A network with a git server in it, and builders."""

    def __init__(self, image: str, repository: Repository, ssh: Path) -> None:
        """Take the builder image, and the folder with the keys and configurations."""
        super().__init__(image)
        self.repository = repository
        self.ssh = ssh
        self._numbers = itertools.count(1)

    def builder(
        self,
        *,
        builds: str | None = None,
        env: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> Container:
        """Start a builder that idles.

        `builds` is a --volume value for /builds; without one, nobody else sees the folder.
        """
        volumes = [f"{self.repository.folder}:/source:ro", f"{self.ssh}:/ssh:ro"]
        if builds is not None:
            volumes.append(builds)
        return self.run("mongooseim-builder", env=env, volumes=volumes, options=options)

    def volume(self) -> str:
        """Make an empty volume."""
        return self.make_volume(f"builds-{next(self._numbers)}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Make the repository."""
    commits: dict[str, str] = {}
    made = Repository(tmp_path_factory.mktemp("repositories") / "source", commits)
    commits[BRANCH] = make_repository(made.folder)
    for branch, recipe in RECIPES.items():
        made.git("checkout", "--quiet", "-b", branch, BRANCH)
        (made.folder / "Makefile").write_text(
            ".PHONY: rel\nrel:\n" + "".join(f"\t{line}\n" for line in recipe)
        )
        made.git("commit", "--quiet", "--all", f"--message={branch}")
        commits[branch] = made.git("rev-parse", "HEAD")
    made.git("checkout", "--quiet", BRANCH)
    made.git("tag", "--annotate", "--message=Version 1", "v1", "feature/x")
    return made


@pytest.fixture(scope="module")
def git_server_image(docker_engine: None) -> str:  # noqa: ARG001 - for its effect
    """Build an image with servers for git over http and ssh; return its name."""
    name = "mimtest-git-server"
    with one_at_a_time():
        dockerfile = GIT_SERVER.format(base=base_images.ensure(base_images.MEMBER))
        done = docker_result("build", f"--tag={name}", "-", stdin=dockerfile, timeout=900)
    assert done.returncode == 0, done
    return name


@pytest.fixture(scope="module")
def site(
    builder_image: str,
    git_server_image: str,
    repository: Repository,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Serve the repository in a network; all is removed at the end."""
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        run(command, what="ssh-keygen", timeout=30)
    (folder / "known_hosts").write_text(f"{HOST} {(folder / 'host.pub').read_text()}")
    (folder / "lighttpd.conf").write_text(LIGHTTPD)
    (folder / "sshd_config").write_text(SSHD)
    made = Site(builder_image, repository, folder)
    try:
        server = made.run(
            HOST,
            *("sh", "-c", SERVE),
            image=git_server_image,
            volumes=[f"{folder}:/ssh:ro", f"{repository.folder.parent}:/repositories:ro"],
        )
        server.wait_for_log("Server listening on 0.0.0.0 port 22")
        yield made
    finally:
        made.remove()


@pytest.fixture
def builder(site: Site) -> Iterator[Container]:
    """Start a builder that idles, as the README does."""
    made = site.builder(builds=f"{site.volume()}:/builds", env={"GIT_SSH_COMMAND": SSH})
    try:
        yield made
    finally:
        made.remove()


def build(builder: Container, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Build as the README does: `docker exec -i NAME /build.sh ...`."""
    return builder.exec("/build.sh", *arguments, env=env, stdin="", timeout=BUILD)


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the builder itself said, without the times."""
    return re.findall(r"^\[[-0-9]{10} [:0-9]{8}\] (.*)$", done.stdout, re.MULTILINE)


def ready(done: subprocess.CompletedProcess[str]) -> str:
    """Return the name of the tarball of a build that must have succeeded."""
    assert done.returncode == 0, done
    found = re.fullmatch(r"/builds/(\S+\.tar\.gz) is ready", lines(done)[-1])
    assert found, done
    return found[1]


def listing(builder: Container) -> set[str]:
    """Return the names of all that lies in a builder's /builds."""
    done = builder.exec("ls", "--almost-all", "/builds")
    assert done.returncode == 0, done
    return set(done.stdout.split())


def fetched(builder: Container, name: str, folder: Path) -> Path:
    """Copy a file out of a builder's /builds, running or not; return where it is."""
    target = folder / f"{builder.name}-{name}"
    done = docker_result("cp", f"{builder.name}:/builds/{name}", str(target))
    assert done.returncode == 0, done
    return target


def has_processes(container: Container, count: int) -> bool:
    """Tell whether so many processes, zombies included, are in a container."""
    return len(docker_result("top", container.name).stdout.splitlines()) == 1 + count


def runs(container: Container, command: str) -> bool:
    """Tell whether a command runs in a container."""
    return command in docker_result("top", container.name, "-o", "pid,args").stdout
