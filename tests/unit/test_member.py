"""What a member reads, when, and what PID 1 has to import for it."""

import subprocess
import sys
from pathlib import Path

import pytest
from members import make_member

from member_entrypoint.life import tried_in_vain

HEAVY = {"socket", "dns", "dataclasses", "structlog", "member_entrypoint.erlang.rpc"}


def test_the_flags_of_the_vm_are_read_once(tmp_path: Path) -> None:
    """Many questions to nodes cost one look at the configuration, at the first of them."""
    member = make_member(tmp_path, "m-2")
    vm_args = Path(member.release.etc, "vm.args")
    vm_args.parent.mkdir(parents=True)
    vm_args.write_text("-proto_dist inet_tls\n")
    assert member.erlang.reach.tls
    vm_args.write_text("-proto_dist inet_tcp\n")
    assert member.erlang.reach.tls


@pytest.mark.parametrize(
    "module",
    [
        "member_entrypoint.cluster.decision",
        "member_entrypoint.cluster.facts",
        "member_entrypoint.cluster.member",
        "member_entrypoint.network.hosts_file",
    ],
)
def test_what_pid_1_needs_of_a_member_is_lean(module: str) -> None:
    """The VM's start does not wait for sockets, DNS or the Erlang distribution."""
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert HEAVY & set(done.stdout.split()) == set()


@pytest.mark.parametrize(
    ("host", "other"), [("m-2", "mongooseim@m-1"), ("m-1", "its cluster")], ids=["other", "primary"]
)
def test_a_member_that_was_started_in_vain_says_with_whom(
    tmp_path: Path, host: str, other: str
) -> None:
    """Also a primary with data, which joins no node."""
    error = tried_in_vain(make_member(tmp_path, host))
    begin = f"Failed clustering mongooseim@{host} with {other}: tried for JOIN_TIMEOUT (300 s); "
    assert str(error).startswith(begin)
