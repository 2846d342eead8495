"""IP addresses as text.

socket is imported only when an address is looked at: PID 1 needs it for long node names alone.
"""


def is_address(name: str) -> bool:
    """Tell whether `name` is an IPv4 or IPv6 address."""
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, name)
        except OSError:
            continue
        return True
    return False
