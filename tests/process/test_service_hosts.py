"""The hosts behind the name of a service, and the file of nodes that is kept true to it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from dns import rcode, reversename
from dns_server import name_servers
from processes import Machine, Program, eventually
from releases import FakeRelease

from member_entrypoint.network import names
from member_entrypoint.places import Places

SERVICE = "mim.ns.svc.cluster.local"
NXDOMAIN = int(rcode.NXDOMAIN)
CETS = '[internal_databases.cets]\n  backend = "file"\n  node_list_file = "{}"\n'
INTERVAL = "1"


class Dns:
    """A zone that a test changes while it is served: names with their records, or a failure."""

    def __init__(self) -> None:
        """Begin without any name."""
        self.records: dict[str, list[str]] = {}
        self.failure: int | None = None
        self.asked = 0

    def __call__(self, name: str, kind: str) -> list[str] | int | None:
        """Answer as a name server does."""
        self.asked += 1
        if self.failure is not None:
            return self.failure
        if name not in self.records:
            return NXDOMAIN
        return [f"{name} {kind} {value}" for kind_, value in self._of(name) if kind_ == kind]

    def _of(self, name: str) -> Iterator[tuple[str, str]]:
        for record in self.records[name]:
            kind, _, value = record.partition(" ")
            yield kind, value

    def pods(self, *ordinals: int) -> None:
        """Have the headless service stand for these pods, as Kubernetes writes it."""
        self.records[f"{SERVICE}."] = [f"SRV 0 33 5222 m-{n}.{SERVICE}." for n in ordinals]


@pytest.fixture
def zone() -> Dns:
    """Return a zone to fill."""
    return Dns()


def behind(places: Places, name: str = SERVICE, *, by_address: bool = False) -> names.Hosts:
    """Return the hosts behind a name, given a generous time."""
    return names.hosts_behind(name, places, 20.0, by_address=by_address)


def test_the_srv_records_of_a_headless_service_name_its_pods(places: Places, zone: Dns) -> None:
    """Each once, however many ports the service has."""
    zone.pods(1, 0, 1)
    with name_servers(Path(places.root), zone):
        expected = names.Hosts((f"m-0.{SERVICE}", f"m-1.{SERVICE}"), "")
        assert names.hosts_behind(SERVICE, places, 20.0) == expected


def test_without_srv_records_the_names_of_the_addresses_count(places: Places, zone: Dns) -> None:
    """As with Docker's network aliases."""
    zone.records = {
        "mim.": ["A 10.0.0.2", "A 10.0.0.1", "AAAA fd00::3"],
        str(reversename.from_address("10.0.0.1")): ["PTR m-1.net."],
        str(reversename.from_address("10.0.0.2")): ["PTR m-2.net."],
        str(reversename.from_address("fd00::3")): ["PTR m-3.net."],
    }
    with name_servers(Path(places.root), zone):
        assert behind(places, "mim") == (("m-1.net", "m-2.net", "m-3.net"), "", False)
        addresses = behind(places, "mim", by_address=True)
        assert addresses == (("10.0.0.1", "10.0.0.2", "fd00::3"), "", False)
        del zone.records[str(reversename.from_address("10.0.0.2"))]
        reason = "no name for its address 10.0.0.2: the name does not exist in DNS"
        assert behind(places, "mim") == ((), reason, False)


def test_a_service_that_does_not_exist_is_told_from_one_that_cannot_be_asked_for(
    places: Places, zone: Dns
) -> None:
    """Absent is known only where a name server said so."""
    with name_servers(Path(places.root), zone):
        assert behind(places) == ((), "the name does not exist in DNS", True)
        assert behind(places, by_address=True) == ((), "the name does not exist in DNS", True)
        zone.failure = int(rcode.SERVFAIL)
        failed = behind(places)
        assert not failed.absent
        assert failed.names == ()
        assert failed.reason


def test_nodes_that_are_named_by_addresses_are_found_by_addresses(
    places: Places, zone: Dns
) -> None:
    """Also where the service has SRV records."""
    zone.pods(0)
    zone.records[f"{SERVICE}."].append("A 10.0.0.1")
    with name_servers(Path(places.root), zone):
        assert behind(places, by_address=True) == (("10.0.0.1",), "", False)


def cets(release: FakeRelease, nodes: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a member that clusters through CETS, and finds nodes in a file."""
    member = release.root / "member"
    member.mkdir()
    (member / "mongooseim.toml").write_text(CETS.format(nodes))
    return release.environment(
        JOIN_CLUSTER="true",
        HOSTNAME="no-ordinal",
        DISCOVERY_NAME=SERVICE,
        DISCOVERY_FILE=str(nodes),
        DISCOVERY_INTERVAL=INTERVAL,
        NODE_TYPE="name",
        NODE_HOST=f"m-0.{SERVICE}",
        **variables,
    )


def lines(*ordinals: int) -> str:
    """Return what the file holds when it lists these pods."""
    return "".join(f"mongooseim@m-{ordinal}.{SERVICE}\n" for ordinal in ordinals)


def test_the_file_of_nodes_is_kept_true_to_dns(
    machine: Machine, member: Program, release: FakeRelease, zone: Dns, tmp_path: Path
) -> None:
    """There before the VM is; changed as DNS changes; as it was while DNS says nothing."""
    nodes = tmp_path / "lists" / "nodes"
    zone.pods(0, 1)
    with name_servers(release.root, zone):
        running = machine.start(member, environment=cets(release, nodes))
        output = running.wait_for_output("vm is up")
        assert f"{nodes} lists 2 nodes of {SERVICE}" in output
        assert nodes.read_text() == lines(0, 1)
        running.wait_for_output("needs no join")
        zone.pods(0, 1, 2)
        eventually(lambda: nodes.read_text() == lines(0, 1, 2), "the new node is listed")
        zone.pods(0, 2)
        eventually(lambda: nodes.read_text() == lines(0, 2), "the lost node is listed no more")
        zone.failure = int(rcode.SERVFAIL)
        running.wait_for_output(f"{SERVICE} names no nodes, {nodes} stays as it is")
        assert nodes.read_text() == lines(0, 2)
        zone.failure = None
        zone.pods(0)
        eventually(lambda: nodes.read_text() == lines(0), "it is true to DNS again")
        running.send(signal.SIGTERM)
        assert running.wait() == 0


def test_a_node_that_dns_misses_once_stays_listed(
    machine: Machine, release: FakeRelease, zone: Dns, tmp_path: Path, member: Program
) -> None:
    """It is back at the next look, or gone for good at that after."""
    nodes = tmp_path / "nodes"
    zone.pods(0, 1)
    with name_servers(release.root, zone):
        running = machine.start(member, environment=cets(release, nodes))
        running.wait_for_output("MongooseIM started")
        discover = running.helper("discover")
        eventually(lambda: looks(zone), "it looks")
        zone.pods(0)
        eventually(lambda: looks(zone), "it looks, and misses one")
        zone.pods(0, 1)
        eventually(lambda: looks(zone), "it looks, and finds it again")
        assert nodes.read_text() == lines(0, 1)
        assert "gone=mongooseim" not in running.output()
        assert running.helper("discover") == discover


def looks(zone: Dns) -> bool:
    """Wait for one more question; always true."""
    before = zone.asked
    eventually(lambda: zone.asked > before, "DNS is asked")
    return True


def test_a_file_of_nodes_that_cannot_be_written_is_wrong_configuration(
    machine: Machine, member: Program, release: FakeRelease, zone: Dns, tmp_path: Path
) -> None:
    """Said before the VM starts, with the variable and the reason."""
    (tmp_path / "file").write_text("")
    zone.pods(0)
    with name_servers(release.root, zone):
        environment = cets(release, tmp_path / "file" / "nodes")
        running = machine.start(member, environment=environment)
        assert running.wait() == 78
    assert "DISCOVERY_FILE is " in running.output()
    assert "vm is up" not in running.output()


def test_a_file_that_the_server_does_not_read_is_pointed_out(
    machine: Machine, member: Program, release: FakeRelease, zone: Dns, tmp_path: Path
) -> None:
    """DISCOVERY_FILE and node_list_file name different files."""
    zone.pods(0)
    environment = cets(release, tmp_path / "read")
    environment["DISCOVERY_FILE"] = str(tmp_path / "written")
    with name_servers(release.root, zone):
        running = machine.start(member, environment=environment)
        output = running.wait_for_output("vm is up")
    assert f"nobody reads {tmp_path / 'written'}" in output
    assert str(tmp_path / "read") in output


def test_a_new_primary_looks_for_members_behind_its_headless_service(
    machine: Machine, member: Program, release: FakeRelease, zone: Dns
) -> None:
    """Also those whose ordinals it would not guess: one of them may have the cluster's data."""
    pod = f"m-12.{SERVICE}"
    zone.pods(0, 12)
    zone.records[f"{pod}."] = ["A 127.0.0.99"]
    environment = release.environment(
        JOIN_CLUSTER="true", HOSTNAME=f"m-0.{SERVICE}", NODE_TYPE="name", MASTER_ORDINAL="0"
    )
    with name_servers(release.root, zone):
        running = machine.start(member, environment=environment)
        running.wait_for_output(f"waiting for one of mongooseim@{pod}")
        assert "vm is up" not in running.output()
        del zone.records[f"{pod}."]
        zone.pods(0)
        running.wait_for_output("vm is up")
