"""A member that waits without a VM, and without an epmd: how others find that out."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from certificates import Authority
from loopback import free_port, new_address
from processes import eventually

from member_entrypoint.erlang.distribution import Connection, WaitsEmptyError
from member_entrypoint.erlang.reach import Reach
from member_entrypoint.erlang.waiting import Listener
from member_entrypoint.erlang.way import Found, Way
from member_entrypoint.release.flags import Flags, flags, words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = new_address()
NODE = "mongooseim@chat-1"
LONG = 60.0


@pytest.fixture(params=["inet_tcp", "inet_tls"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Provide the way to a node at its own port, plain and with TLS."""
    text = ""
    if request.param == "inet_tls":
        text = f"-ssl_dist_opt client_cacertfile {Authority(tmp_path, 'ours').ca}"
    how = Reach(request.param, node_port=free_port(), interface=ADDRESS)
    return Way(how, Flags(flags(words(text))), str(tmp_path), "chat-2")


@pytest.fixture
def listener(way: Way) -> Iterator[Listener]:
    """Provide a member that waits there."""
    made = Listener(way.reach, knows=False)
    yield made
    made.close()


@pytest.mark.usefixtures("listener")
def test_who_waits_is_found(way: Way) -> None:
    """Again and again, by many, also beside those who hang up or say nothing."""
    with (
        socket.create_connection((ADDRESS, way.reach.node_port)),
        socket.create_connection((ADDRESS, way.reach.node_port)) as rude,
    ):
        rude.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(5):
            found = way.find(ADDRESS, NODE, LONG)
            assert (found.there, found.waits_empty, found.silent) == (False, True, False)
            assert "waits itself, with an empty disk" in found.why


def test_who_knows_others_says_so(way: Way) -> None:
    """A primary does not take it for nobody's then."""
    listener = Listener(way.reach, knows=True)
    found = way.find(ADDRESS, NODE, LONG)
    listener.close()
    assert (found.there, found.waits_empty, found.knows) == (False, True, True)
    assert found.why.endswith("with an empty disk, for one that may have the data")


def test_who_does_not_wait_any_more_is_not_there(way: Way, listener: Listener) -> None:
    """Its port is free for the VM at once, and nobody is taken for silent."""
    way.find(ADDRESS, NODE, LONG)
    listener.close()
    found = way.find(ADDRESS, NODE, LONG)
    assert found == Found(
        why=f"nothing listens on {ADDRESS} port {way.reach.node_port}, where {NODE} would"
    )
    socket.create_server((ADDRESS, way.reach.node_port)).close()


def test_a_host_that_says_nothing_is_silent(way: Way) -> None:
    """It may be a node that hangs."""
    with socket.create_server((ADDRESS, way.reach.node_port)):
        assert way.find(ADDRESS, NODE, 0.3).silent


@pytest.mark.usefixtures("listener")
def test_whoever_connects_is_told(way: Way) -> None:
    """A connection to ask the node something is none."""
    port = way.reach.node_port
    with pytest.raises(WaitsEmptyError):
        Connection(ADDRESS, NODE, "chat-2", "cookie", LONG, node_port=port)


def test_the_port_may_be_taken(way: Way, listener: Listener) -> None:
    """As by another node on the host: an error, which the caller says."""
    del listener
    with pytest.raises(OSError, match="in use"):
        Listener(way.reach, knows=False)
    assert eventually(lambda: way.find(ADDRESS, NODE, LONG).waits_empty, "the first goes on")
