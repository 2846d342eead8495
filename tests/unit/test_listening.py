"""Waiting for what WAIT_FOR names: a database that listens, or a reason why none does."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from pathlib import Path

import pytest

from member_entrypoint import state
from member_entrypoint.errors import StartError
from member_entrypoint.log import Log
from member_entrypoint.network import listening
from member_entrypoint.network.listening import wait_for_addresses, why_not_listening
from member_entrypoint.pauses import Pauses
from member_entrypoint.places import Places
from member_entrypoint.values import Address

DB = Address("db", 5432)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return places whose hosts file has a database of either family, and nobody's address."""
    found = Places(str(tmp_path))
    Path(found.hosts).parent.mkdir()
    Path(found.hosts).write_text("::1 db\n127.0.0.1 db\n")
    Path(found.run).mkdir(parents=True)
    return found


def test_one_address_that_listens_is_enough(places: Places) -> None:
    """The first one of this name has no listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert why_not_listening("db", port, places) == ""
    assert why_not_listening("db", port, places) == "127.0.0.1: Connection refused"


def test_a_name_that_is_nowhere_says_so(places: Places) -> None:
    """The reason is that of the look-up; here there is no resolv.conf."""
    assert why_not_listening("nowhere", 1, places) == "No such file or directory"


def test_a_machine_that_does_not_answer_is_not_waited_for_long(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a host behind a firewall; here a listener whose queue is full."""
    monkeypatch.setattr(listening, "CONNECT_TIMEOUT", 0.1)
    Path(places.hosts).write_text("127.0.0.1 db\n")
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 - it has no name
            client.connect_ex(server.getsockname())
        assert why_not_listening("db", server.getsockname()[1], places) == "127.0.0.1: timed out"


def test_the_log_says_what_is_waited_for_and_why_when_that_changes(
    places: Places, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And who asks for the state of the member is told the same."""
    reasons = iter(["no such name", "no such name", "refused", ""])
    asked = []

    def why(host: str, port: int, where: Places) -> str:
        asked.append((host, port, where))
        return next(reasons)

    monkeypatch.setattr(listening, "why_not_listening", why)
    monkeypatch.setattr(Pauses, "pause", lambda _pauses: None)
    wait_for_addresses([DB], places, 100.0, Log("json"))
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["event"], line["reason"]) for line in said] == [
        ("waiting for db:5432", "no such name"),
        ("waiting for db:5432", "refused"),
    ]
    assert all(95 < line["seconds_left"] <= 100 for line in said)
    text, reason, _ = state.wait(places.root)
    assert (text, reason) == ("waiting for db:5432", "refused")
    assert asked == [("db", 5432, places)] * 4


def test_all_addresses_share_one_time_and_then_the_start_fails(places: Places) -> None:
    """With the address, the variable, the reason and the time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = (
            "nothing listens on db:1, which WAIT_FOR names (127.0.0.1: Connection refused); "
            "waited for START_TIMEOUT (0.5 s)"
        )
        with pytest.raises(StartError, match=re.escape(said)):
            wait_for_addresses([Address("db", port), Address("db", 1)], places, 0.5, Log())
