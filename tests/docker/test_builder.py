"""The builder image: the README's ways to a tarball, and what a build that goes wrong leaves."""

from __future__ import annotations

import itertools
import json
import os
import re
import struct
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import base_images
import pytest
from console import one_at_a_time, run
from containers import OWNER_LABEL, Cluster, Container, docker_result
from sources import BRANCH, ENVIRONMENT, make_repository
from tarballs import content

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROMPT = 5
"""What `docker stop` may take on a busy machine (seconds); a container that idles takes 0.3."""
BUILD = 60
"""What a build may take on a busy machine (seconds); that of the sample server takes 4."""
WITHOUT_NAME_SERVER = 15
"""What a build may take that asks no name server (seconds); each question would take 10."""
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


def otp_version(builder: Container) -> str:
    """Return what the Erlang in the image says of itself."""
    question = (
        'Path = [code:root_dir(), "releases", erlang:system_info(otp_release), "OTP_VERSION"],'
        "{ok, Text} = file:read_file(filename:join(Path)), io:put_chars(Text), halt()."
    )
    done = builder.exec("erl", "-noinput", "-eval", question)
    assert done.returncode == 0, done
    return done.stdout.strip()


@pytest.mark.parametrize("transport", ["file", "http", "ssh"])
def test_a_release_is_built_as_the_readme_says(
    builder: Container, repository: Repository, tmp_path: Path, transport: str
) -> None:
    """A container that idles, and `docker exec -i`; then all is in /builds, and fits together."""
    address = ADDRESSES[transport]
    done = build(builder, "sample", address, BRANCH)
    name = ready(done)
    assert re.fullmatch(rf"mongooseim-sample-{BRANCH}-\d{{4}}-\d\d-\d\d_\d{{6}}\.tar\.gz", name)
    assert lines(done)[0] == f"do_build: sample {BRANCH} {address}"
    stem = name.removesuffix(".tar.gz")
    assert listing(builder) == {".cache", "build.log", name, f"{name}.sha256", f"{stem}.json"}
    assert fetched(builder, "build.log", tmp_path).read_text() == done.stdout

    checked = builder.exec("sh", "-c", f"cd /builds && sha256sum --check --strict {name}.sha256")
    assert (checked.returncode, checked.stdout) == (0, f"{name}: OK\n")
    described = json.loads(fetched(builder, f"{stem}.json", tmp_path).read_text())
    commit = repository.commits[BRANCH]
    tarball = fetched(builder, name, tmp_path)
    expected = {
        "repository": address,
        "asked_for": BRANCH,
        "commit": commit,
        "otp_version": otp_version(builder),
        "mongooseim_version": "1.0.0",
        "size": tarball.stat().st_size,
    }
    assert expected.items() <= described.items()

    packed = content(tarball)
    assert "mongooseim/bin/mongooseim" in packed
    version = f"sample-{BRANCH}-{address}\n{commit[:7]}\n"
    assert packed["mongooseim/version"].decode() == version


def test_a_commit_goes_by_many_names(
    builder: Container, repository: Repository, tmp_path: Path
) -> None:
    """Branch with a slash, tag, short and full hash: the same files, and names that are files'."""
    commit = repository.commits["feature/x"]
    names = {
        "feature/x": "feature-x-217d2bf51f",
        "v1": "v1",
        commit[:7]: commit[:7],
        commit: commit,
    }
    contents = []
    for asked, shown in names.items():
        name = ready(build(builder, "p", ADDRESSES["http"], asked))
        assert name.startswith(f"mongooseim-p-{shown}-2")
        packed = content(fetched(builder, name, tmp_path))
        version = f"p-{asked}-{ADDRESSES['http']}\nv1\n"
        assert packed.pop("mongooseim/version").decode() == version
        contents.append(packed)
    assert all(packed == contents[0] for packed in contents)


def test_without_the_key_there_is_no_release_over_ssh(builder: Container) -> None:
    """The server refuses, nobody is asked, and the build says why."""
    done = build(builder, "p", ADDRESSES["ssh"], "v1", GIT_SSH_COMMAND=SSH.replace("/key", "/no"))
    assert done.returncode == 1
    assert "Permission denied (publickey" in done.stdout
    assert listing(builder) == {".cache", "build.log"}


def test_docker_stop_ends_a_builder_with_a_shell_in_it_at_once(builder: Container) -> None:
    """As `docker exec -it NAME bash` has it: a shell that takes no notice of SIGTERM."""
    command = ["docker", "exec", "-i", builder.name, "bash", "-i"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as shell:
        try:
            builder.wait_for(partial(runs, builder, "bash -i"), what="shell")
            assert builder.stop() < PROMPT
            assert builder.exit_status() == 0
            shell.communicate(timeout=BUILD)
        finally:
            builder.remove()


def test_docker_stop_ends_a_builder_that_idles_at_once(builder: Container) -> None:
    """With status 0; and nothing that `docker exec` left behind stays a zombie until then."""
    assert builder.exec("sh", "-c", "sleep 0.1 & sleep 0.2 &").returncode == 0
    builder.wait_for(partial(has_processes, builder, 1), what="end of what docker exec left")
    assert builder.stop() < PROMPT
    assert builder.exit_status() == 0


def has_processes(container: Container, count: int) -> bool:
    """Tell whether so many processes, zombies included, are in a container."""
    return len(docker_result("top", container.name).stdout.splitlines()) == 1 + count


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("p", ADDRESSES["file"], "v1"), 0, " is ready"),
        (("p", ADDRESSES["file"], "nowhere"), 1, "has no branch, tag or commit nowhere"),
        (("p", "file:///nowhere", "master"), 1, "clone failed: git fetch from file:///nowhere"),
        (("p", ADDRESSES["file"], "broken"), 1, "make rel ended with status 2"),
        (("p", ADDRESSES["file"], "--upload-pack=touch /tmp/p"), 78, "is not allowed"),
        (("p", ADDRESSES["file"], "v1", "more"), 78, "4 arguments are too many"),
    ],
)
def test_docker_run_ends_with_the_builds_status(
    site: Site, arguments: tuple[str, ...], status: int, said: str
) -> None:
    """`docker run --rm ... /build.sh ...`; a build that fails leaves its log and nothing else."""
    volume = site.volume()
    labels = f"--label={OWNER_LABEL}={os.getpid()}"
    mounts = (f"--volume={site.repository.folder}:/source:ro", f"--volume={volume}:/builds")
    once = ("run", "--rm", labels, *mounts, site.image)
    done = docker_result(*once, "/build.sh", *arguments, timeout=BUILD)
    assert done.returncode == status, done
    assert said in done.stdout + done.stderr
    left = docker_result(*once, "ls", "--almost-all", "/builds").stdout.split()
    if status == 0:
        assert len(left) == 5
    else:
        assert set(left) <= {".cache", "build.log"}
        assert lines(done)[-1:] == (["build failed"] if status == 1 else [])


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> set[str]:
    """Return the names of what is not the same in both."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def test_a_release_built_twice_is_the_same_in_every_byte(
    site: Site, sample_tarball: Path, tmp_path: Path
) -> None:
    """At another time, in another container, of another name and time zone, on one core only.

    The sample server is compiled with the option `deterministic`; OTP writes no time into boot
    scripts any more, and the tarball's entries have the time of the commit.
    """
    options = ("--hostname=other", "--cpuset-cpus=0")
    second = site.builder(options=options, env={"TZ": "Pacific/Auckland"})
    name = ready(build(second, "sample", ADDRESSES["file"], BRANCH))
    tarball = fetched(second, name, tmp_path)
    assert differing(content(sample_tarball), content(tarball)) == set()
    assert sample_tarball.read_bytes() == tarball.read_bytes()


def test_what_differs_without_deterministic_is_where_it_was_compiled(
    site: Site, tmp_path: Path
) -> None:
    """The compiler then notes the paths of its sources; those are the same in every container.

    They are others when a second build runs at the same time, or with another TMPDIR.
    """
    tarballs = []
    one, other = site.builder(), site.builder()
    for builder, env in ((one, {}), (other, {}), (other, {"TMPDIR": "/run"})):
        name = ready(build(builder, "p", ADDRESSES["file"], "undeterministic", **env))
        tarballs.append(fetched(builder, name, tmp_path))
    first, second, elsewhere = tarballs
    assert first.read_bytes() == second.read_bytes()
    beam = "mongooseim/bin/mongooseim_toml.beam"
    assert differing(content(first), content(elsewhere)) == {beam}
    here, there = (chunks(content(tarball)[beam]) for tarball in (first, elsewhere))
    assert differing(here, there) == {"CInf", "Dbgi"}  # compile_info, debug_info
    path = b"/mongooseim-builder-0/1/source/src/mongooseim_toml.erl"
    assert b"/tmp" + path in here["CInf"]
    assert b"/run" + path in there["CInf"]


def chunks(beam: bytes) -> dict[str, bytes]:
    """Return the chunks of a BEAM file: FOR1, size, BEAM, then name, size, data, each padded."""
    found = {}
    position = 12
    while position < len(beam):
        name, size = struct.unpack_from(">4sI", beam, position)
        found[name.decode()] = beam[position + 8 : position + 8 + size]
        position += 8 + (size + 3) // 4 * 4
    return found


def test_a_second_build_needs_no_network(site: Site, repository: Repository) -> None:
    """Neither for the sources nor for packages, when the commit is named by its hash."""
    builder = site.builder()
    arguments = ("p", ADDRESSES["http"], repository.commits["packages"])
    first = build(builder, *arguments)
    assert "package: fetched" in first.stdout.splitlines()
    builder.disconnect(site.network)
    assert builder.exec("ls", "/sys/class/net").stdout.split() == ["lo"]
    began = time.monotonic()
    second = build(builder, *arguments)
    assert time.monotonic() - began < WITHOUT_NAME_SERVER
    names = [ready(done).removesuffix(".tar.gz") for done in (first, second)]
    assert names[0] != names[1]
    sums = builder.exec("sh", "-c", "cd /builds && cat *.sha256").stdout.split()
    assert sums[0] == sums[2]


@pytest.mark.parametrize(("branch", "busy_with"), [("endless", "sleep 600"), ("huge", "pigz -n")])
def test_docker_stop_during_a_build_leaves_nothing(
    site: Site, tmp_path: Path, branch: str, busy_with: str
) -> None:
    """Neither while it compiles nor while it packs; the next build finds all in order."""
    volume = f"{site.volume()}:/builds"
    first = site.builder(builds=volume)
    command = ["docker", "exec", "-i", first.name, "/build.sh", "p", ADDRESSES["file"], branch]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as building:
        try:
            first.wait_for(partial(runs, first, busy_with), timeout=BUILD, what=busy_with)
            partial_file = any(name.startswith(".mongooseim-builder-") for name in listing(first))
            assert partial_file == (branch == "huge")
            assert first.stop() < PROMPT
            assert first.exit_status() == 0
            output = building.communicate(timeout=BUILD)[0].decode()
        finally:
            first.remove()
    assert building.returncode == 1
    assert "stopped by SIGTERM" in output
    second = site.builder(builds=volume)
    assert listing(second) == {".cache", "build.log"}
    log = fetched(second, "build.log", tmp_path).read_text()
    assert log == output
    name = ready(build(second, "p", ADDRESSES["file"], "v1"))
    assert listing(second) > {".cache", "build.log", name}


def runs(container: Container, command: str) -> bool:
    """Tell whether a command runs in a container."""
    return command in docker_result("top", container.name, "-o", "pid,args").stdout


@pytest.mark.parametrize(
    ("mode", "options", "why"),
    [
        ("ro", (), "cannot write into /builds: Read-only file system"),
        (
            None,
            ("--tmpfs=/builds:size=2m",),
            "cannot write the tarball into /builds: No space left",
        ),
        ("rw", ("--env=BUILDS=/nowhere",), "there is no folder /nowhere: mount a volume there"),
    ],
)
def test_a_folder_that_takes_no_tarball_is_status_2(
    site: Site, mode: str | None, options: tuple[str, ...], why: str
) -> None:
    """With the reason; and nothing half-written is left."""
    builds = f"{site.volume()}:/builds:{mode}" if mode else None
    builder = site.builder(builds=builds, options=options)
    done = build(builder, "p", ADDRESSES["file"], "noise")
    assert done.returncode == 2, done
    assert lines(done)[0] == f"do_build: p noise {ADDRESSES['file']}"
    assert lines(done)[-2].startswith(f"packing failed: {why}"), done
    assert lines(done)[-1] == "build failed"
    assert listing(builder) <= {".cache", "build.log"}
