"""Loopback addresses and ports for servers whose port or address cannot be left to the kernel.

The processes of a parallel run (`--numprocesses`) have different ones: each derives them from its
pid, and runs its tests one after the other.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST_PORT = 10_000
PORTS = 20_000
"""Together below those that Linux gives to clients by itself, which begin at 32768."""
_numbers = itertools.count()


def new_address() -> str:
    """Return an IPv4 address for servers with fixed ports, such as DNS or epmd."""
    pid, number = os.getpid(), next(_numbers)
    return f"127.{64 + pid // 256 % 128}.{pid % 256}.{1 + number % 250}"


def free_port() -> int:
    """Return a TCP port that nobody listens on, on any address."""
    while True:
        port = FIRST_PORT + (os.getpid() * 100 + next(_numbers)) % PORTS
        try:
            socket.create_server(("", port)).close()
        except OSError:
            continue
        return port
