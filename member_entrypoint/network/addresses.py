"""IP addresses as text.

socket is imported only when a text is checked: PID 1 needs it for long node names only.
"""


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
