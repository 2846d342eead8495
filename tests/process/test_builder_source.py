"""Where sources come from: http, ssh and credentials."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builder_tools import GitServer, Repository, Workshop, serving
from loopback import free_port
from processes import eventually, tool
from tarballs import content

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "s3cret/pw"  # noqa: S105 - of a server on loopback
IN_URL = "s3cret%2Fpw"


@pytest.fixture
def private(repository: Repository) -> Iterator[GitServer]:
    """Serve the repository over http, to whoever has the password."""
    with serving(GitServer(repository.folder.parent, f"me:{PASSWORD}")) as made:
        yield made


def assert_nowhere(workshop: Workshop, *secrets: str) -> None:
    """See that no file that a build left holds a secret."""
    for folder in (workshop.builds, workshop.temporary):
        for path in folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert not any(secret.encode() in data for secret in secrets), path


def test_builds_over_http(workshop: Workshop, server: GitServer) -> None:
    """A repository on a web server is built."""
    result = workshop.build("p", f"http://{server.address}/sample", "v1")
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"hello\n"


def test_credentials_in_the_address_are_nowhere(
    workshop: Workshop, repository: Repository, private: GitServer
) -> None:
    """Not in the output, the log, the description, the version file or the cache."""
    repository.make("@echo secret is $(SECRET)", "@grep me: .git/config || echo nobody there")
    address = f"http://me:{IN_URL}@{private.address}/sample"
    result = workshop.build("p", address, "master", SECRET=PASSWORD)
    masked = f"http://***@{private.address}/sample"
    assert result.said[0] == f"do_build: p master {masked}"
    version = content(result.tarball)["mongooseim/version"].decode()
    assert version.startswith(f"p-master-{masked}\n")
    assert "secret is ***" in result.lines
    assert "nobody there" in result.lines
    assert not any(secret in result.output for secret in (PASSWORD, IN_URL))
    assert_nowhere(workshop, PASSWORD, IN_URL)


def test_credentials_are_masked_when_a_build_fails(workshop: Workshop, private: GitServer) -> None:
    """Wrong credentials end with 1 at once, without a question, and are not shown."""
    address = f"http://me:wr0ngpw@{private.address}/sample"
    result = workshop.build("p", address, "master")
    assert result.status == 1
    assert "Authentication failed" in result.said[-2]
    assert "wr0ngpw" not in result.output
    assert_nowhere(workshop, "wr0ngpw")


def test_credentials_that_arrive_in_pieces_are_masked(
    workshop: Workshop, repository: Repository
) -> None:
    """A pause in the middle of a password does not show half of it."""
    repository.make("@printf 'see https://x:hunt'; sleep 0.8; printf 'er22@host/y now'; sleep 0.8")
    result = workshop.build("p", repository.url, "master")
    assert "see https://***@host/y now" in result.lines
    assert "hunt" not in result.output.replace("printf", "")


def test_credential_helper_is_asked(workshop: Workshop, private: GitServer) -> None:
    """Git's own ways to credentials work, because its configuration is the user's."""
    (workshop.home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    credentials = f"http://me:{IN_URL}@{private.address}\n"
    (workshop.home / ".git-credentials").write_text(credentials)
    assert workshop.build("p", f"http://{private.address}/sample", "master").status == 0


def test_without_credentials_nobody_is_asked(workshop: Workshop, private: GitServer) -> None:
    """Without a terminal a private repository is an error, not a question for ever."""
    result = workshop.build("p", f"http://{private.address}/sample", "master")
    assert result.status == 1
    assert "clone failed" in result.said[-2]
    assert "could not read Username" in result.said[-2]
    assert "terminal prompts disabled" in result.said[-2]


def test_builds_over_ssh_with_a_key(workshop: Workshop, repository: Repository) -> None:
    """A repository on an ssh server is built with the key that GIT_SSH_COMMAND names."""
    folder = workshop.folder
    for name in ("host", "key"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True, timeout=30)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nPermitRootLogin yes\n"
    )
    command = f"ssh -i {folder}/key -F none -o StrictHostKeyChecking=no -o BatchMode=yes"
    command += f" -o UserKnownHostsFile={folder}/known"
    address = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{repository.folder}"
    with running_sshd(folder / "sshd_config", port):
        result = workshop.build("p", address, "master", GIT_SSH_COMMAND=command)
    assert content(result.tarball)["mongooseim/bin/mongooseim"] == b"hello\n"
    assert f"do_build: p master {address}" in result.said


@contextlib.contextmanager
def running_sshd(configuration: Path, port: int) -> Iterator[None]:
    """Run sshd until the end of the block."""
    if os.getuid() == 0:
        # Where root's sshd locks itself in before the login; Debian makes it when it boots.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = [tool("sshd"), "-D", "-e", "-f", str(configuration)]
    with subprocess.Popen(command) as server:
        try:
            eventually(lambda: answers(port) or server.poll() is not None, "sshd listens")
            assert server.poll() is None, "sshd ended: its own words are above"
            yield
        finally:
            server.terminate()


def answers(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_repository_of_the_environment_is_not_meant(
    workshop: Workshop, repository: Repository
) -> None:
    """GIT_DIR, as a git hook sets it, leads no git of ours astray."""
    result = workshop.build("p", repository.url, "master", GIT_DIR="/nowhere", GIT_WORK_TREE="/")
    assert result.status == 0, result.output
