"""Connections to IP addresses, and which texts are such addresses."""

from __future__ import annotations

import socket

import pytest

from member_entrypoint.network.addresses import connected, is_address, notice_when_dead

TIMEOUT = 20.0


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_connection_is_made_and_keeps_its_time(family: int, address: str) -> None:
    """Of either family; reading from it takes no longer than making it might have."""
    with socket.create_server((address, 0), family=family) as server:
        connection = connected(address, server.getsockname()[1], TIMEOUT)
        try:
            assert connection.gettimeout() == TIMEOUT
            assert connection.getpeername()[:2] == server.getsockname()[:2]
        finally:
            connection.close()


def test_where_nobody_listens_is_no_connection() -> None:
    """The error is that of the system."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connected("127.0.0.1", port, TIMEOUT)


def test_a_dead_peer_is_noticed_within_half_a_minute() -> None:
    """Whether the connection is idle or has sent what nobody confirms."""
    with socket.socket() as connection:
        notice_when_dead(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        interval = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        unconfirmed = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert (idle, interval, unconfirmed) == (20, 5, 30_000)
    assert idle + interval < unconfirmed / 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", True),
        ("::1", True),
        ("::ffff:10.0.0.1", True),
        ("10.0.0", False),
        ("[::1]", False),
        ("localhost", False),
        ("10.0.0.1\0", False),
        ("", False),
    ],
)
def test_addresses_are_told_from_names(text: str, *, expected: bool) -> None:
    """Without asking a name server."""
    assert is_address(text) is expected
