"""Waits until the services that this node needs, such as its database, listen."""

import socket
import time
from collections.abc import Iterable

from member_entrypoint import state
from member_entrypoint.errors import StartError
from member_entrypoint.log import Log
from member_entrypoint.network import names
from member_entrypoint.pauses import Pauses
from member_entrypoint.places import Places
from member_entrypoint.values import Address

# In seconds, for each try.
DNS_TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0


def wait_for_addresses(
    addresses: Iterable[Address], places: Places, timeout: float, log: Log
) -> None:
    """Wait until something listens on each of `addresses`, at most `timeout` seconds in all.

    `addresses` are those of WAIT_FOR, `timeout` is START_TIMEOUT. Raises `StartError` when the time
    is over.
    """
    pauses = Pauses(time.monotonic() + timeout)
    for host, port in addresses:
        while missing := why_not_listening(host, port, places):
            if pauses.over():
                raise StartError(
                    f"nothing listens on {host}:{port}, which WAIT_FOR names ({missing}); "
                    f"waited for START_TIMEOUT ({timeout:g} s)"
                )
            if pauses.time_to_speak(missing):
                left = pauses.left()
                text = f"waiting for {host}:{port}"
                log.info(text, reason=missing, seconds_left=left)
                state.note_wait(places.root, text, missing, pauses.deadline)
            pauses.pause()


def why_not_listening(host: str, port: int, places: Places) -> str:
    """Return why no connection to `port` of `host` can be made, in words; empty if one can."""
    answer = names.look_up(host, places, DNS_TIMEOUT)
    missing = answer.reason
    for address in answer.addresses:
        try:
            socket.create_connection((address, port), CONNECT_TIMEOUT).close()
        except OSError as error:
            missing = f"{address}: {error.strerror or error}"
        else:
            return ""
    return missing
