"""IP addresses as text.

socket is imported only when a text is checked: PID 1 needs it for long node names only.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def connected(address: str, port: int, timeout: float | None) -> "socket.socket":
    """Return a connection to `port` of an IP address, made within `timeout` seconds.

    `socket.create_connection` looks for names, and imports for them what takes 5 ms. Raises
    OSError.
    """
    import socket

    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        connection.settimeout(timeout)
        connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def is_address(name: str) -> bool:
    """Tell whether `name` is an IPv4 or IPv6 address."""
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, name)
        except (OSError, ValueError):  # a zero byte is a ValueError
            continue
        return True
    return False
