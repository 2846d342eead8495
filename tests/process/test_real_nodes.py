"""Real nodes of Erlang/OTP and our hidden node: the handshake, calls, events, over each carrier.

The node is that of the machine's Erlang. OTP_ROOT names the root folder of a system with another
one, as `mmdebstrap` makes it, run by chroot: so each OTP that can be had is tested by one table.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from certificates import Authority
from loopback import free_port
from processes import eventually, tool

from member_entrypoint.erlang import epmd, mnesia
from member_entrypoint.erlang.distribution import (
    Connection,
    DistributionError,
    NoAnswerError,
    OtherNodeError,
    RefusedError,
)
from member_entrypoint.erlang.messages import DOWN
from member_entrypoint.erlang.reach import Reach, reach
from member_entrypoint.erlang.way import Way
from member_entrypoint.release.flags import Flags, flags, words
from member_entrypoint.settings import read
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST, COOKIE = "localhost", "sample"
NODE = f"mongooseim@{HOST}"
LONG = 60.0
OTP_ROOT = os.environ.get("OTP_ROOT", "")
TLS = "-ssl_dist_optfile OPTFILE"
CARRIERS = {
    "plain": "",
    "no epmd": "-erl_epmd_port FIXED",
    "no epmd, OTP 27.2": "-kernel erl_epmd_node_listen_port FIXED",
    "TLS": f"-proto_dist inet_tls {TLS}",
    "TLS 1.3": f"-proto_dist inet_tls {TLS}",
    "TLS, no epmd": f"-proto_dist inet_tls {TLS} -erl_epmd_port FIXED",
    "IPv6": "-proto_dist inet6_tcp",
    "IPv6, TLS": f"-proto_dist inet6_tls {TLS}",
}


class RealNode(NamedTuple):
    """A node that runs: how it is reached, and the way to it."""

    reach: Reach
    way: Way
    folder: str
    """A folder for it, as the node sees it."""

    def connect(self, node: str = NODE, cookie: str | None = COOKIE) -> Connection:
        """Connect to it."""
        return self.way.open(self.reach.own[0], node, cookie, LONG)


def version() -> int:
    """Return which OTP this is."""
    expression = "io:put_chars(erlang:system_info(otp_release)), halt()."
    done = subprocess.run(
        [*_erl(), "-noinput", "-boot", "start_clean", "-eval", expression],
        check=True,
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    return int(done.stdout)


def _erl() -> list[str]:
    return ["chroot", OTP_ROOT, "erl"] if OTP_ROOT else [tool("erl")]


@pytest.fixture(params=CARRIERS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealNode]:
    """Provide a node for each carrier, with an epmd of its own."""
    if request.param == "no epmd, OTP 27.2" and version() < 27:
        pytest.skip("erl_epmd_node_listen_port is one of OTP 27.2 and newer")
    folder = tmp_path
    if OTP_ROOT:
        folder = Path(OTP_ROOT, "var", f"{tmp_path.name}-{os.getpid()}")
        folder.mkdir()
    inside = str(folder).removeprefix(OTP_ROOT)
    authority = Authority(folder, "ours")
    authority.issue("node", f"DNS:{HOST}")
    versions = ", {versions, ['tlsv1.3']}" if request.param == "TLS 1.3" else ""
    for name, where in (("inside", inside), ("outside", str(folder))):
        both = (
            f'{{certfile, "{where}/node.pem"}}, {{cacertfile, "{where}/ours.pem"}}, '
            f"{{verify, verify_peer}}{versions}"
        )
        (folder / f"{name}.conf").write_text(
            f"[{{server, [{both}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{both}]}}]."
        )
    epmd_port, fixed = free_port(), free_port()
    given = CARRIERS[request.param].replace("FIXED", str(fixed))
    ours = Flags(flags(words(given.replace("OPTFILE", f"{folder}/outside.conf"))))
    how = reach(ours, read({"ERL_EPMD_PORT": str(epmd_port)}))
    command = [
        *(*_erl(), "-noinput", "-start_epmd", "false", "-setcookie", COOKIE),
        *("-sname", NODE, *given.replace("OPTFILE", f"{inside}/inside.conf").split()),
    ]
    environment = {**os.environ, "ERL_EPMD_PORT": str(epmd_port), "HOME": inside}
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(subprocess.Popen([tool("epmd"), "-port", str(epmd_port)]))
        stack.callback(daemon.kill)
        eventually(lambda: epmd.names(how.own_epmd, port=epmd_port).names is not None, "epmd runs")
        made = stack.enter_context(subprocess.Popen(command, env=environment))
        stack.callback(made.kill)
        way = Way(how, ours, str(folder), HOST)
        eventually(lambda: way.find(how.own[0], NODE, LONG).there, "the node is there")
        yield RealNode(how, way, inside)
    if OTP_ROOT:
        shutil.rmtree(folder)


def test_a_real_node_is_spoken_with(node: RealNode) -> None:
    """Calls, large answers, a monitor, messages; then all that can be refused."""
    with node.connect() as connection:
        assert connection.call("erlang", "node", [], LONG) == NODE
        assert connection.call("lists", "seq", [1, 100_000], LONG) == list(range(1, 100_001))
        connection.monitor("no_such_process")
        assert connection.receive(LONG) == (DOWN, Atom("noproc"))
        connection.call("erlang", "send", [connection.pid, (Atom("event"), b"x" * 100_000)], LONG)
        assert connection.receive(LONG) == ("event", b"x" * 100_000)
        hidden = connection.call("erlang", "nodes", [Atom("hidden")], LONG)
        assert hidden == [connection.pid.node]
        with pytest.raises(NoAnswerError):
            connection.receive(0.1)
    with pytest.raises(RefusedError, match="cookie"):
        node.connect(cookie="other")
    with pytest.raises(OtherNodeError, match=f"not mongooseim@LOCALHOST but {NODE}"):
        node.connect("mongooseim@LOCALHOST")
    if node.reach.tls:
        with pytest.raises(DistributionError, match=r"speaks TLS|closed|reset|no answer"):
            node.way.open(node.reach.own[0], NODE, COOKIE, 10.0, plain=True)


@pytest.mark.parametrize("node", ["plain"], indirect=True)
def test_a_mnesia_that_is_stopped_is_not_read_from_the_disk(node: RealNode) -> None:
    """Who reads its schema there puts an empty one in the place of one that is just deleted."""
    questions = (mnesia.MEMBERS, mnesia.RUNNING, mnesia.IDENTITY)
    with node.connect() as connection:

        def call(module: str, function: str, *arguments: object) -> object:
            return connection.call(module, function, list(arguments), LONG)

        call("application", "load", Atom("mnesia"))
        call("application", "set_env", Atom("mnesia"), Atom("dir"), f"{node.folder}/mnesia")
        assert call("mnesia", "create_schema", [Atom(NODE)]) == "ok"
        assert call("mnesia", "start") == "ok"
        members, running, identity = (call(*each[:2], *each[2]) for each in questions)
        assert (members, running) == ([NODE], [NODE])
        assert identity == call("mnesia", "table_info", Atom("schema"), Atom("cookie"))
        assert call("mnesia", "stop") == "stopped"
        assert call("mnesia", "system_info", Atom("db_nodes")) == [NODE]  # from the disk
        for each in questions:
            answer = call(*each[:2], *each[2])
            assert isinstance(answer, tuple)
            assert answer[0] == "badrpc"
