"""What `member-entrypoint check` finds: one mistake each, and nothing is changed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from epmd_server import answering, epmd_that_knows
from loopback import free_port, new_address
from processes import DEADLINE, MEMBER, Machine, Mode, Program, tool
from snapshots import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from releases import FakeRelease

PLAIN = Program(MEMBER, Mode.SUBREAPER)
PORT, OTHER_PORT = free_port(), free_port()
C2S = f"[[listen.c2s]]\n  port = {PORT}\n"
IN_A_CLUSTER = {"JOIN_CLUSTER": "true", "CLUSTER_WITH": "mongooseim@chat-2"}
"""As the primary."""


@dataclass(frozen=True)
class Mistake:
    """A mistake: how it is made, and what `check` says of it."""

    name: str
    about: str
    said: str
    status: int = 78
    """That with which `check` ends: 0 for a warning."""
    variables: dict[str, str] = field(default_factory=dict)
    make: Callable[[Path], Any] = lambda _root: None
    """What is done below the root folder; what it returns is held while `check` runs."""
    before: Callable[[Path], list[str]] = lambda _root: []
    """Words before the command."""


def member(name: str, content: str | bytes) -> Callable[[Path], None]:
    """Return what puts a file into /member."""

    def make(root: Path) -> None:
        (root / "member").mkdir(exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        (root / "member" / name).write_bytes(data)

    return make


def folder(root: Path) -> None:
    """Make what Docker makes for a source that does not exist."""
    (root / "member/mongooseim.toml").mkdir(parents=True)


def dangling(root: Path) -> None:
    """Make a link that leads nowhere."""
    (root / "member").mkdir()
    (root / "member/vm.args").symlink_to("..data/vm.args")


def schema_of_another(root: Path) -> None:
    """Put the data of another node on the volume."""
    other = root / "var/lib/mongooseim/Mnesia.mongooseim@chat-9"
    other.mkdir()
    (other / "schema.DAT").write_bytes(b"")


def no_release(root: Path) -> None:
    """Take the image's release away."""
    shutil.rmtree(root / "usr/lib/mongooseim-image")
    (root / "usr/lib/mongooseim").unlink()


def tarball(**without: bytes | None) -> Callable[[Path], None]:
    """Return what puts a release into /member, some files of it changed or left out."""
    machine = {b"x86_64": 62, b"aarch64": 183}.get(os.uname().machine.encode(), 0)

    def make(root: Path) -> None:
        no_release(root)
        files: dict[str, bytes | None] = {
            "bin/mongooseim": b"#!/bin/sh\n",
            "bin/mongooseimctl": b"#!/bin/sh\n",
            "erts-1/bin/erl": b"#!/bin/sh\n",
            "erts-1/bin/beam.smp": elf(machine),
            "releases/start_erl.data": b"1 1\n",
            "etc/vm.args": b"-setcookie sample\n",
            "etc/app.config": b"[].\n",
            "etc/mongooseim.toml": C2S.encode(),
            **without,
        }
        source = root / "source/mongooseim"
        for name, content in files.items():
            if content is not None:
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_bytes(content)
                (source / name).chmod(0o755)
        (root / "member").mkdir(exist_ok=True)
        with tarfile.open(root / "member/mongooseim.tar.gz", "w:gz") as archive:
            archive.add(source, "mongooseim")

    return make


def elf(machine: int) -> bytes:
    """Return the header of a program without a loader."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\2\0" + machine.to_bytes(2, "little") + bytes(64)


def cut(root: Path) -> None:
    """Put half of a release into /member."""
    tarball()(root)
    path = root / "member/mongooseim.tar.gz"
    path.write_bytes(path.read_bytes()[:-300])


def taken(_root: Path) -> socket.socket:
    """Listen on the server's port."""
    return socket.create_server(("", PORT))


def registered(_root: Path) -> contextlib.AbstractContextManager[int]:
    """Be an epmd that knows the node."""
    return answering(epmd_that_knows(1))


def small_volume(root: Path) -> list[str]:
    """Return words that mount a volume with little room."""
    script = f'mount -t tmpfs -o size=1m none {root}/var/lib/mongooseim && exec "$@"'
    return [tool("unshare"), "--mount", "sh", "-c", script, "sh"]


def read_only_volume(root: Path) -> list[str]:
    """Return words that mount the volume read-only."""
    volume = f"{root}/var/lib/mongooseim"
    script = f'mount --bind {volume} {volume} && mount -o remount,bind,ro {volume} && exec "$@"'
    return [tool("unshare"), "--mount", "sh", "-c", script, "sh"]


MISTAKES = (
    Mistake(
        "a variable with a wrong value",
        "settings",
        "JOIN_CLUSTER is 'maybe'; allowed: true, false, 1 or 0",
        variables={"JOIN_CLUSTER": "maybe"},
    ),
    Mistake(
        "a port of Kubernetes",
        "settings",
        "enableServiceLinks: false",
        variables={"HEALTH_PORT": "tcp://10.0.0.7:80"},
    ),
    Mistake(
        "a slip in a variable's name",
        "settings",
        "nobody reads the variable CLUSTER_COOKIEFILE",
        0,
        {"CLUSTER_COOKIEFILE": "/run/secrets/cookie"},
    ),
    Mistake(
        "no file with the cookie",
        "settings",
        "CLUSTER_COOKIE_FILE is '/no', which cannot be read",
        variables={"CLUSTER_COOKIE_FILE": "/no"},
    ),
    Mistake(
        "a cookie that no script can use",
        "settings",
        "CLUSTER_COOKIE is a value not shown here",
        variables={"CLUSTER_COOKIE": "two words"},
    ),
    Mistake(
        "a long name for short ones",
        "settings",
        "CLUSTER_WITH is 'mongooseim@chat-1.example.com', a long name",
        variables={"CLUSTER_WITH": "mongooseim@chat-1.example.com"},
    ),
    Mistake(
        "no ordinal",
        "name",
        "the host name 'chat' does not end in -N",
        variables={"HOSTNAME": "chat", "JOIN_CLUSTER": "true"},
    ),
    Mistake(
        "no domain for long names",
        "name",
        "NODE_TYPE is 'name', which needs a fully qualified host name",
        variables={"NODE_TYPE": "name"},
    ),
    Mistake("a folder for a file", "files", "member/mongooseim.toml is a folder", make=folder),
    Mistake("a dangling link", "files", "vm.args is a link to '..data/vm.args'", make=dangling),
    Mistake(
        "a slip in a file's name",
        "files",
        "is it mongooseim.toml?",
        0,
        make=member("mongosim.toml", ""),
    ),
    Mistake(
        "a file that the release does not read",
        "files",
        "mongooseim.cfg: this release reads mongooseim.toml",
        0,
        make=member("mongooseim.cfg", ""),
    ),
    Mistake(
        "no file at EJABBERD_CONFIG_PATH",
        "files",
        "EJABBERD_CONFIG_PATH is '/no.toml', which cannot be read",
        1,
        {"EJABBERD_CONFIG_PATH": "/no.toml"},
    ),
    Mistake(
        "app.config is no list",
        "files",
        "app.config should be an Erlang list",
        make=member("app.config", "{kernel, []}.\n"),
    ),
    Mistake(
        "an open bracket in app.config",
        "files",
        "a bracket or a quote that is not closed",
        make=member("app.config", "[{kernel, [].\n"),
    ),
    Mistake(
        "an open quote in vm.args",
        "files",
        "vm.args has a quote or a backslash that hides",
        make=member("vm.args", "-setcookie x\n-env A 'b\n"),
    ),
    Mistake(
        "a cookie with a star in vm.args",
        "files",
        "the cookie in vm.args has characters that the release's scripts cannot use",
        make=member("vm.args", "-setcookie a*b\n"),
    ),
    Mistake(
        "a second cookie",
        "flags",
        "ERL_FLAGS has the flag -setcookie",
        variables={"ERL_FLAGS": "-setcookie x"},
    ),
    Mistake(
        "no distribution",
        "flags",
        "-dist_listen false: no node could connect",
        variables=IN_A_CLUSTER,
        make=member("vm.dist.args", "-dist_listen false\n"),
    ),
    Mistake(
        "a flag twice",
        "flags",
        "-proto_dist is given 2 times",
        variables=IN_A_CLUSTER,
        make=member("vm.dist.args", "-proto_dist inet_tcp\n-proto_dist inet_tcp\n"),
    ),
    Mistake(
        "the default cookie",
        "cookie",
        "openssl rand -hex 32",
        0,
        {"CLUSTER_COOKIE": "mongooseim", **IN_A_CLUSTER},
    ),
    Mistake(
        "TOML without a value",
        "toml",
        "member/mongooseim.toml, line 3, column 11: Invalid value",
        1,
        make=member("mongooseim.toml", "[general]\n  # é\n  hosts = \n"),
    ),
    Mistake(
        "TOML that ends too early",
        "toml",
        "line 2, column 7: Unclosed array",
        1,
        make=member("mongooseim.toml", "[a]\nb = [1"),
    ),
    Mistake(
        "TOML that is no UTF-8",
        "toml",
        "line 2, column 6: this is not UTF-8 text",
        1,
        make=member("mongooseim.toml", b"[a]\nb = '\xe9'\n"),
    ),
    Mistake(
        "no port",
        "toml",
        "[[listen.c2s]] of",
        1,
        make=member("mongooseim.toml", "[[listen.c2s]]\n  port = 99999\n"),
    ),
    Mistake(
        "a port twice",
        "toml",
        f"has port {PORT}, as [[listen.c2s]] has; change one",
        1,
        make=member("mongooseim.toml", f"{C2S}[[listen.http]]\n  port = {PORT}\n"),
    ),
    Mistake(
        "one table for all listeners",
        "toml",
        "write [[listen.c2s]]",
        1,
        make=member("mongooseim.toml", f"[listen.c2s]\n  port = {PORT}\n"),
    ),
    Mistake(
        "a HEALTH_PORT that nobody listens on",
        "toml",
        "would never be ready",
        0,
        {"HEALTH_PORT": "5269"},
        make=member("mongooseim.toml", C2S),
    ),
    Mistake(
        "Mnesia where there is only CETS",
        "toml",
        "for auth.anonymous.backend, general.component_backend, general.s2s_backend, general.sm_",
        1,
        make=member("mongooseim.toml", f"{C2S}[internal_databases.cets]\n[auth.anonymous]\n"),
    ),
    Mistake("a port that is taken", "ports", f"port {PORT} ([[listen.c2s]]", 1, make=taken),
    Mistake(
        "an address of another machine",
        "ports",
        "192.0.2.7 is no address of this machine",
        1,
        make=member("mongooseim.toml", f'{C2S}  ip_address = "192.0.2.7"\n'),
    ),
    Mistake(
        "an address that is no text for C",
        "ports",
        "is no IP address; configure one",
        1,
        make=member("mongooseim.toml", f'{C2S}  ip_address = "a\\u0000b"\n'),
    ),
    Mistake(
        "a name for an address",
        "ports",
        "'localhost' is no IP address; configure one",
        1,
        make=member("mongooseim.toml", f'{C2S}  ip_address = "localhost"\n'),
    ),
    Mistake(
        "a port of another for HEALTH_HTTP_PORT",
        "ports",
        "nobody answers probes over HTTP",
        0,
        {"HEALTH_HTTP_PORT": str(OTHER_PORT)},
        make=lambda _root: socket.create_server(("", OTHER_PORT)),
    ),
    Mistake(
        "the data of another node",
        "volume",
        "has the data of mongooseim@chat-9",
        make=schema_of_another,
    ),
    Mistake("a read-only volume", "volume", "is mounted read-only", before=read_only_volume),
    Mistake("a full volume", "space", "so Mnesia could not write", 1, before=small_volume),
    Mistake(
        "a service that is not there",
        "wait-for",
        "nothing listens on 127.0.0.1:9",
        0,
        {"WAIT_FOR": "127.0.0.1:9"},
    ),
    Mistake(
        "a DISCOVERY_FILE where nobody may write",
        "discovery",
        "DISCOVERY_FILE is '/dev/null/nodes', which cannot be written",
        variables={"DISCOVERY_FILE": "/dev/null/nodes", "DISCOVERY_NAME": "127.0.0.1"},
    ),
    Mistake(
        "a primary that is not in DNS",
        "dns",
        "no address for chat-1, the host of the node to join",
        0,
        {"JOIN_CLUSTER": "true"},
    ),
    Mistake(
        "a name server that is none",
        "dns",
        "lines that no resolver can use",
        0,
        make=lambda root: (root / "etc/resolv.conf").write_text("nameserver localhost\n"),
    ),
    Mistake("no release", "release", "no MongooseIM release at", make=no_release),
    Mistake("half of a tarball", "release", "cannot be unpacked as a release", make=cut),
    Mistake(
        "a tarball of something else",
        "release",
        "is no MongooseIM release",
        make=tarball(**{"releases/start_erl.data": None}),
    ),
    Mistake(
        "a tarball without a program",
        "release",
        "it has no program mongooseim/bin/mongooseimctl",
        make=tarball(**{"bin/mongooseimctl": None}),
    ),
    Mistake(
        "a tarball for another machine",
        "release",
        "it was compiled for s390x",
        126,
        make=tarball(**{"erts-1/bin/beam.smp": elf(22)}),
    ),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_check_finds_a_mistake_and_changes_nothing(
    machine: Machine, release: FakeRelease, mistake: Mistake
) -> None:
    """Each is one finding, with what to do; errors give the status that a start would have."""
    pristine = release.root / "usr/lib/mongooseim-image/.server/etc.pristine/mongooseim.toml"
    pristine.write_text(C2S)
    (release.root / "usr/lib/mongooseim-image/etc/mongooseim.toml").write_text(C2S)
    held = mistake.make(release.root)
    variables = {"HEALTH_PORT": str(PORT), **mistake.variables}
    before = mistake.before(release.root)
    was = snapshot(release.root)
    status, output = machine.run(
        PLAIN, ["check", "--json"], environment=release.environment(**variables), before=before
    )
    assert snapshot(release.root) == was
    if isinstance(held, socket.socket):
        held.close()
    shown = json.loads(output)
    found = [each for each in shown["findings"] if each["level"] != "ok"]
    said = [f"{each['text']}; {each.get('what_to_do', '')}" for each in found]
    matching = [text for text in said if mistake.said in text]
    assert len(matching) == 1, said
    [one] = [each for each, text in zip(found, said, strict=True) if text == matching[0]]
    assert one["about"] == mistake.about
    assert (one["level"], one.get("status", 0)) == (
        "error" if mistake.status else "warning",
        mistake.status,
    )
    assert status == shown["status"] == mistake.status
    assert len([each for each in found if each["level"] == "error"]) == bool(mistake.status)


def test_the_operators_hosts_count_and_are_not_added(
    machine: Machine, release: FakeRelease
) -> None:
    """As they will, when a start has added them."""
    member("hosts", "127.0.0.9 chat-1\n")(release.root)
    hosts = (release.root / "etc/hosts").read_text()
    environment = release.environment(JOIN_CLUSTER="true")
    _, output = machine.run(PLAIN, ["check"], environment=environment)
    assert "chat-1 is 127.0.0.9 (the hosts file)" in output
    assert f"{release.root}/member/hosts would be added to {release.root}/etc/hosts" in output
    assert (release.root / "etc/hosts").read_text() == hosts


@pytest.mark.parametrize("arguments", [["check", "--yaml"], ["check", "--json", "x"]])
def test_wrong_arguments_of_check_are_told(machine: Machine, arguments: list[str]) -> None:
    """They are no command to run."""
    status, output = machine.run(PLAIN, arguments)
    assert status == 78
    assert "allowed: check, check --json" in output


@pytest.mark.parametrize("words", [["check"], ["check", "--json"]], ids=" ".join)
def test_who_reads_no_more_of_check_gets_its_status(
    machine: Machine, release: FakeRelease, words: list[str]
) -> None:
    """As with `| head -1`: without a word, and not with the status 120 of the interpreter."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = release.environment(HEALTH_PORT="x")
    running = machine.start(PLAIN, words, environment=environment, stdout=writer)
    os.close(writer)
    assert running.wait() == 78


def test_what_was_found_is_said_though_check_fails(python: Path, release: FakeRelease) -> None:
    """As one JSON object; the traceback is beside it, and no word that a start would fail."""
    script = (
        "from member_entrypoint.diagnosis import check, network; "
        "network.services = lambda *given, **named: 1 / 0; "
        "raise SystemExit(check.main(['--json']))"
    )
    done = subprocess.run(
        [python, "-I", "-c", script], env=release.environment(), capture_output=True, check=False
    )
    assert done.returncode == 70
    assert b"ZeroDivisionError" in done.stderr
    shown = json.loads(done.stdout)
    assert shown["status"] == 70
    assert shown["verdict"].endswith(
        "check itself failed, so it is not known whether a start would"
    )
    assert {"settings", "release", "name", "check"} <= {one["about"] for one in shown["findings"]}


@contextlib.contextmanager
def silent_name_server(release: FakeRelease) -> Iterator[socket.socket]:
    """Have the only name server answer nothing."""
    address = new_address()
    (release.root / "etc/resolv.conf").write_text(f"nameserver {address}\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((address, 53))
        silent.settimeout(DEADLINE)
        yield silent


SILENT = {"JOIN_CLUSTER": "true", "CLUSTER_WITH": "mongooseim@chat-9", "WAIT_FOR": "db:5432"}


def test_a_silent_name_server_leaves_nothing_out(machine: Machine, release: FakeRelease) -> None:
    """All parts are asked at the same time, and each has its finding before the time is over."""
    with silent_name_server(release):
        environment = release.environment(**SILENT)
        status, output = machine.run(PLAIN, ["check", "--json"], environment=environment)
    shown = json.loads(output)
    assert status == 0
    assert "would wait for mongooseim@chat-9" in shown["plan"]
    texts = [each["text"] for each in shown["findings"] if each["level"] == "warning"]
    for said in ("nothing listens on db:5432 (no DNS answer", "no address for chat-9, the host of"):
        assert any(said in text for text in texts), texts
    assert not any("is not known of it" in text for text in texts)


def test_what_was_not_answered_in_time_is_said(python: Path, release: FakeRelease) -> None:
    """And all else that was found; who is late is not waited for when it ends, either."""
    script = (
        "from member_entrypoint.diagnosis import check; check.TIMEOUT = 0.5; check.run(['--json'])"
    )
    with silent_name_server(release):
        done = subprocess.run(
            [python, "-I", "-c", script],
            env=release.environment(**SILENT),
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = json.loads(done.stdout)
    late = [one["about"] for one in shown["findings"] if "within 0.5 s about" in one["text"]]
    assert late == ["wait-for", "dns", "plan"]
    assert "plan" not in shown
    assert {"release", "name"} <= {one["about"] for one in shown["findings"]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_check_ends_by_a_signal_as_pid_1(
    machine: Machine, release: FakeRelease, number: signal.Signals
) -> None:
    """Also while it waits for a name server; the kernel ignores signals that PID 1 ignores."""
    with silent_name_server(release) as silent:
        environment = release.environment(NODE_TYPE="name")
        running = machine.start(Program(MEMBER, Mode.PID_1), ["check"], environment=environment)
        silent.recvfrom(1)
        running.send(number)
        assert running.wait() == 128 + number
