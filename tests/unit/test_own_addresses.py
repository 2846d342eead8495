"""Whether this machine has lost an address that its hosts file names."""

from pathlib import Path

import pytest

from member_entrypoint.network.own_addresses import OwnAddresses

HOST = "m-1"
OURS, OTHER_OF_OURS = "127.0.0.1", "127.0.0.2"
FOREIGN = "192.0.2.1"
"""Nobody has it: RFC 5737."""


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """Return a hosts file that gives this machine an address that it has."""
    file = tmp_path / "hosts"
    file.write_text(f"{OURS} {HOST}\n{FOREIGN} m-2\n")
    return file


def test_a_machine_that_has_its_address_has_lost_none(hosts: Path) -> None:
    """The addresses of other names do not count."""
    assert not OwnAddresses(HOST, str(hosts)).lost()


def test_an_address_of_ipv6_may_be_ours_as_well(hosts: Path) -> None:
    """The loopback has one."""
    hosts.write_text(f"::1 {HOST}\n")
    assert not OwnAddresses(HOST, str(hosts)).lost()


@pytest.mark.parametrize("gone", [FOREIGN, "2001:db8::1"])
def test_an_address_that_no_interface_has_is_lost(hosts: Path, gone: str) -> None:
    """Of several, one is enough."""
    hosts.write_text(f"{OURS} {HOST}\n{gone} {HOST}\n")
    assert OwnAddresses(HOST, str(hosts)).lost()


def test_a_machine_with_a_new_address_has_lost_none(hosts: Path) -> None:
    """A container that is connected to its network again may get another address."""
    hosts.write_text(f"{FOREIGN} {HOST}\n")
    addresses = OwnAddresses(HOST, str(hosts))
    assert addresses.lost()
    hosts.write_text(f"{OTHER_OF_OURS} {HOST}\n")
    assert not addresses.lost()


def test_an_address_that_left_the_hosts_file_is_still_watched(hosts: Path) -> None:
    """Docker removes the line of a network together with its interface."""
    hosts.write_text(f"{FOREIGN} {HOST}\n")
    addresses = OwnAddresses(HOST, str(hosts))
    hosts.write_text("")
    assert addresses.lost()


def test_an_address_that_no_interface_has_yet_does_not_count(hosts: Path) -> None:
    """The hosts file may be ahead of the interface."""
    addresses = OwnAddresses(HOST, str(hosts))
    hosts.write_text(f"{FOREIGN} {HOST}\n")
    assert not addresses.lost()


def test_a_machine_without_addresses_has_lost_none(hosts: Path) -> None:
    """Its name may be in DNS only."""
    assert not OwnAddresses("m-3", str(hosts)).lost()
