"""What it means that DNS does not know a name, or does not answer: seen from where this runs."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dns import rcode
from dns_server import serving
from loopback import new_address

from member_entrypoint.cluster.knowledge import Silence
from member_entrypoint.cluster.looking import silence_of
from member_entrypoint.network import surroundings
from member_entrypoint.network.surroundings import DOCKERS_SERVER, Surroundings, see, wildcard
from member_entrypoint.places import Places

if TYPE_CHECKING:
    from dns_server import Zone

SERVER = new_address()
HOST = "chat-2"
TIMEOUT = 2.0
PODS_HOSTS = "# Kubernetes-managed hosts file.\n127.0.0.1 localhost\n"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return places whose resolv.conf names the server of this test."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "hosts").write_text(f"127.0.0.1 {HOST}\n")
    (etc / "resolv.conf").write_text(f"nameserver {SERVER}\n")
    return Places(str(tmp_path))


def knows(*names: str) -> Zone:
    """Return a zone that has an address for these names, and knows of no other one."""

    def answer(name: str, kind: str) -> list[str] | int:
        known = name.removesuffix(".") in names
        return ([f"{name} A 192.0.2.7"] if kind == "A" else []) if known else int(rcode.NXDOMAIN)

    return answer


def silent(_name: str, _kind: str) -> None:
    """Answer nothing."""


@pytest.mark.parametrize(("zone", "own"), [(knows(HOST), True), (knows(), False), (silent, None)])
def test_our_own_name_comes_back_or_not(places: Places, zone: Zone, own: bool | None) -> None:  # noqa: FBT001
    """Of DNS, whatever the hosts file has."""
    with serving(SERVER, zone):
        assert see(HOST, places, TIMEOUT).own_name is own


@pytest.mark.parametrize(
    ("hosts", "servers", "kubernetes", "knows_all"),
    [
        ("", (), False, False),
        ("", (DOCKERS_SERVER,), False, True),
        ("# caf\udce9\n", (DOCKERS_SERVER,), False, True),
        (PODS_HOSTS, (), True, True),
        (PODS_HOSTS.replace(" file.", " file (host network)."), (), True, True),
    ],
    ids=[
        "neither",
        "Docker",
        "Docker with a byte that is no text",
        "Kubernetes",
        "Kubernetes with the host's network",
    ],
)
def test_docker_and_kubernetes_are_known_by_their_files(
    places: Places, hosts: str, servers: tuple[str, ...], *, kubernetes: bool, knows_all: bool
) -> None:
    """There DNS knows each container, so one that it does not know is not there, or hidden."""
    Path(places.hosts).write_text(hosts, errors="surrogateescape")
    lines = [f"nameserver {server}\n" for server in (SERVER, *servers)]
    Path(places.resolv_conf).write_text("".join(lines))
    with serving(SERVER, knows()):
        seen = see(HOST, places, TIMEOUT)
    assert (seen.kubernetes, seen.knows_all, seen.hidden) == (kubernetes, knows_all, knows_all)


def test_a_machine_without_a_network_is_alone(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the loopback interface, and no other."""
    for interfaces, alone in (([(1, "lo")], True), ([(1, "lo"), (2, "eth0")], False)):
        monkeypatch.setattr(socket, "if_nameindex", lambda found=interfaces: found)
        with serving(SERVER, knows()):
            assert see(HOST, places, TIMEOUT).alone is alone
    assert surroundings.LOOPBACK == "lo"


@pytest.mark.parametrize(
    ("seen", "silence"),
    [
        (Surroundings(True, knows_all=True, kubernetes=True, alone=False), Silence.NOBODY),  # noqa: FBT003
        (Surroundings(None, knows_all=True, kubernetes=True, alone=False), Silence.OUTAGE),
        (Surroundings(None, knows_all=True, kubernetes=False, alone=False), Silence.DOUBT),
        (Surroundings(None, knows_all=False, kubernetes=False, alone=True), Silence.NOBODY),
        (Surroundings(False, knows_all=False, kubernetes=False, alone=False), Silence.DOUBT),  # noqa: FBT003
    ],
)
def test_what_silence_means(seen: Surroundings, silence: Silence) -> None:
    """Nobody, an outage, or a doubt."""
    assert silence_of(seen) is silence


def test_a_wildcard_is_found_by_a_name_that_nobody_has(places: Places) -> None:
    """Beside our own, and another one each time."""
    asked = []

    def everything(name: str, kind: str) -> list[str]:
        asked.append(name)
        return [f"{name} A 192.0.2.9"] if kind == "A" else []

    with serving(SERVER, everything):
        for _ in range(2):
            assert wildcard(HOST, places, TIMEOUT) == {"192.0.2.9"}
    assert len(set(asked)) == 2
    assert all(name.startswith("chat-") for name in asked)
    with serving(SERVER, knows(HOST)):
        assert wildcard(HOST, places, TIMEOUT) == frozenset()


@pytest.mark.parametrize(
    ("host", "begin", "end"),
    [
        ("my-chat-1.mim.example", "my-chat-", ".mim.example."),
        ("chat.example", "chat-", ".example."),
    ],
)
def test_the_name_that_nobody_has_is_one_of_our_domain(
    places: Places, host: str, begin: str, end: str
) -> None:
    """Beside the names of the members, in which a wildcard would be."""
    asked = []

    def nobody(name: str, _kind: str) -> int:
        asked.append(name)
        return int(rcode.NXDOMAIN)

    with serving(SERVER, nobody):
        wildcard(host, places, TIMEOUT)
    for name in asked:
        assert name.startswith(begin)
        assert name.endswith(end)
        assert len(name) == len(begin) + 8 + len(end)
