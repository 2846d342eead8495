"""IP addresses as text, and connections to them.

The module in C below `socket` does: importing that takes 2 ms, and PID 1 needs neither but for long
node names.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def connected(address: str, port: int, timeout: float | None) -> "socket.socket":
    """Return a connection to `port` of an IP address, made within `timeout` seconds.

    It can do what a `socket.socket` can, but be a context manager. `socket.create_connection` looks
    for names, and imports for them what takes 5 ms. Raises OSError.
    """
    import _socket

    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    connection: socket.socket = _socket.socket(family, _socket.SOCK_STREAM)  # type: ignore[assignment]
    try:
        connection.settimeout(timeout)
        connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def notice_when_dead(connection: "socket.socket") -> None:
    """Have a connection end within half a minute after the other side's address has gone away."""
    import _socket

    for level, option, value in (
        (_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1),
        (_socket.IPPROTO_TCP, _socket.TCP_KEEPIDLE, 20),  # seconds
        (_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, 5),  # seconds
        (_socket.IPPROTO_TCP, _socket.TCP_USER_TIMEOUT, 30_000),  # milliseconds
    ):
        connection.setsockopt(level, option, value)


def is_address(name: str) -> bool:
    """Tell whether `name` is an IPv4 or IPv6 address."""
    import _socket

    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, name)
        except (OSError, ValueError):  # a zero byte is a ValueError
            continue
        return True
    return False
