"""What is said at the start of a node that is not as it should be: once, and what to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from loopback import free_port
from processes import MEMBER, Machine, Mode, Program, eventually

from member_entrypoint import state

if TYPE_CHECKING:
    from releases import FakeRelease

PLAIN = Program(MEMBER, Mode.SUBREAPER)
WARNING = "the Erlang cookie is the default one, 'mongooseim'"


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({}, False),
        ({"CLUSTER_COOKIE": "mongooseim"}, True),
        ({"CLUSTER_COOKIE": "mongooseim", "JOIN_CLUSTER": "false"}, False),
    ],
    ids=["own cookie", "default cookie", "alone"],
)
def test_the_default_cookie_is_warned_of_at_each_start(
    machine: Machine,
    release: FakeRelease,
    variables: dict[str, str],
    warned: bool,  # noqa: FBT001
) -> None:
    """In a cluster; a node that runs alone is not told."""
    clustered = {"JOIN_CLUSTER": "true", "CLUSTER_WITH": "mongooseim@chat-2", **variables}
    release.lay_down_schema()
    running = machine.start(PLAIN, environment=release.environment(**clustered))
    alone = clustered["JOIN_CLUSTER"] == "false"
    said = running.wait_for_output("runs alone" if alone else "MongooseIM cluster primary node")
    assert (WARNING in said) == warned
    assert ("openssl rand -hex 32" in said) == warned


@pytest.mark.parametrize("bad", [True, False])
def test_lines_of_resolv_conf_that_cannot_be_used_are_said_once(
    machine: Machine,
    release: FakeRelease,
    bad: bool,  # noqa: FBT001
) -> None:
    """All in one warning, also of a node that runs alone."""
    lines = b"nameserver localhost\noptions \xe9\n" if bad else b"# \xe9\n"
    (release.root / "etc/resolv.conf").write_bytes(lines + b"nameserver 127.0.0.1\n")
    running = machine.start(PLAIN, environment=release.environment())
    said = running.wait_for_output("runs alone")
    assert said.count("lines that no resolver can use") == bad
    assert ("nameserver 'localhost' (no IP address); options" in said) == bad


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        ("-epmd_module my_epmd", "-epmd_module my_epmd: only this module knows where nodes are"),
        ("-proto_dist inet_quic", "-proto_dist inet_quic is not known here"),
        ("-proto_dist inet_tls -ssl_dist_optfile /no", "-ssl_dist_optfile /no cannot be read: No"),
        ("-proto_dist inet_tls -ssl_dist_opt client_depth 1", "for TLS, depth cannot be heeded"),
        ("-proto_dist inet6_tls", ""),
    ],
)
def test_what_cannot_be_heeded_is_said_once_with_the_flags_name(
    machine: Machine, release: FakeRelease, flags: str, warned: str
) -> None:
    """At the start; the node serves."""
    etc = release.root / "usr/lib/mongooseim-image/etc/vm.dist.args"
    etc.write_text(f"{flags}\n")
    release.lay_down_schema()
    clustered = {"JOIN_CLUSTER": "true", "CLUSTER_WITH": "mongooseim@chat-2"}
    running = machine.start(PLAIN, environment=release.environment(**clustered))
    said = running.wait_for_output("MongooseIM cluster primary node")
    assert said.count("is not known here") + said.count("heeded") + said.count("cannot be read") + (
        said.count("only this module")
    ) == bool(warned)
    assert warned in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("-dist_listen false", "-dist_listen false: no node could connect to mongooseim@chat-2"),
        ("-kernel inet_dist_use_interface {127,0,0,1}", "inet_dist_use_interface is 127.0.0.1"),
    ],
)
def test_what_nobody_could_join_ends_with_78(
    machine: Machine, release: FakeRelease, flags: str, said: str
) -> None:
    """Unless it is to run alone."""
    etc = release.root / "usr/lib/mongooseim-image/etc/vm.dist.args"
    etc.write_text(f"{flags}\n")
    clustered = {"JOIN_CLUSTER": "true", "CLUSTER_WITH": "mongooseim@chat-2"}
    status, output = machine.run(PLAIN, [], environment=release.environment(**clustered))
    assert (status, said in output) == (78, True)
    machine.start(PLAIN, environment=release.environment()).wait_for_output("runs alone")


def test_a_watcher_that_fails_again_and_again_says_so_once(
    machine: Machine, release: FakeRelease
) -> None:
    """As with a node that nobody can ask; it is in the metrics, too."""
    release.lay_down_schema()
    clustered = {"JOIN_CLUSTER": "true", "CLUSTER_WITH": "mongooseim@chat-2"}
    port = free_port()
    environment = release.environment(**clustered, ERL_EPMD_PORT=str(port))
    running = machine.start(PLAIN, environment=environment)
    said = running.wait_for_output("partitions are not watched: this node cannot be asked")
    assert "is down: no epmd on" in said
    note = release.root / f"{state.FAILING_FILE}watch"
    first = eventually(lambda: note.exists() and note.read_text(), "it is noted")
    assert state.is_failing(str(release.root), "watch", time.monotonic())
    eventually(lambda: note.read_text() != first, "it is noted again")
    assert running.output().count("partitions are not watched") == 1
