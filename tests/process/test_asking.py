"""All members are asked at the same time, with one deadline, and without a VM."""

from typing import Any

import peers_of_a_member as asked
import pytest
from loopback import new_address
from peers_of_a_member import OTHER, PEER_ADDRESS, Mnesia, in_a_cluster, peer
from releases import NODE, PRIMARY, FakeRelease

from member_entrypoint.cluster.knowledge import NOBODY, Nodes, State
from member_entrypoint.cluster.member import Member
from member_entrypoint.status import asking
from member_entrypoint.terms import Atom

GENEROUS = 20.0


@pytest.fixture
def member(release: FakeRelease, monkeypatch: pytest.MonkeyPatch) -> Member:
    """Provide a member whose own node does not run, and whose VMs answer with nonsense."""
    monkeypatch.setenv("FAKE_ERL", "[booted]")
    return asked.make_member(release)


def nobody() -> Nodes:
    """Return what an empty disk knows."""
    return NOBODY


def test_each_says_its_own_and_whom_the_disk_knows_is_asked(
    release: FakeRelease, member: Member
) -> None:
    """One that runs, one that does not, and this one, which does not, either."""
    hosts = release.root / "etc/hosts"
    hosts.write_text(f"{hosts.read_text()}{new_address()} chat-3\n")
    with peer(answer=in_a_cluster()):
        found = asking.ask(member, [PRIMARY], lambda: frozenset({NODE, OTHER}), GENEROUS)
    states = {node: one.state for node, one in found.peers.items()}
    assert states == {PRIMARY: State.UP, NODE: State.BUSY, OTHER: State.STOPPED}
    assert found.peers[PRIMARY].members == {PRIMARY, OTHER}
    assert "no epmd on" in found.peers[OTHER].why
    assert "is down: no epmd on" in found.peers[NODE].why
    assert found.connected == NOBODY


@pytest.mark.parametrize(
    "manners",
    [
        {"answer": in_a_cluster(), "drips": 0.5},
        {"answer": in_a_cluster(), "waits": 60.0},
        {"epmd_drips": 60.0},
    ],
    ids=["drips", "waits", "epmd"],
)
def test_who_is_late_is_left_behind(member: Member, manners: dict[str, Any]) -> None:
    """It costs the others nothing, and is said to be silent."""
    with peer(**manners):
        found = asking.ask(member, [PRIMARY], nobody, 0.3)
    late = found.peers[PRIMARY]
    assert late.state in {State.SILENT, State.BUSY}
    assert "no answer" in late.why


@pytest.mark.parametrize(
    "manners",
    [
        {"begins_with": b"HTTP/1.1 400 Bad Request", "closes_after": 24},
        {"floods_with": b"\0\0\0\1x", "answer": in_a_cluster()},
    ],
    ids=["no node", "nonsense"],
)
def test_no_vm_is_booted_for_what_is_not_understood(
    member: Member, manners: dict[str, Any]
) -> None:
    """Where a VM would be asked otherwise."""
    with peer(**manners):
        found = asking.ask(member, [PRIMARY], nobody, GENEROUS)
    assert found.peers[PRIMARY].state is State.BUSY
    # What the VM of this release says would be too little.
    assert "gave" not in found.peers[PRIMARY].why


def test_those_whom_this_node_lists_are_asked(
    release: FakeRelease, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though neither the disk nor the settings name them; where they are it says itself."""
    monkeypatch.setattr(asking, "FIRST_WAIT", GENEROUS)
    (release.root / "etc/hosts").write_text(f"{PEER_ADDRESS} chat-2\n{new_address()} chat-3\n")
    mnesia = Mnesia([NODE, OTHER], [NODE], removes=(Atom("ok"), []))
    with peer(answer=mnesia, name=NODE):
        member.erlang.reach = member.erlang.reach._replace(interface=PEER_ADDRESS)
        found = asking.ask(member, [], nobody, GENEROUS)
    assert found.peers[NODE].state is State.UP
    assert found.peers[OTHER].state is State.STOPPED
    assert ("net_kernel", "nodes_info") in [call[:2] for call in mnesia.asked]
