"""Finds out whom the Mnesia of this node waits for, and connects it to those that run."""

from member_entrypoint.cluster import peers
from member_entrypoint.cluster.inference import to_connect
from member_entrypoint.cluster.knowledge import Known, State
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import SCAN_TIMEOUT
from member_entrypoint.erlang import rpc
from member_entrypoint.terms import Atom, show

EXTRA_NODES_TIMEOUT = 3.0  # seconds
BUSY_PATIENCE = 10.0  # seconds
ENDED = frozenset({State.ABSENT, State.STOPPED, State.SILENT})


def connect(member: Member, waited: float) -> tuple[str, bool]:
    """Connect this starting node to those that it waits for and that run; return why it waits.

    `waited` is for how many seconds it has waited.

    Mnesia looks for the others once, when it starts; if the network or DNS is not ready then, it
    waits for ever. Those of another cluster are left alone, and all while some run apart. The
    reason is empty where nothing is known to be waited for; with it comes whether one of them
    refuses our cookie. Source: `mnesia:change_config/2`, `extra_db_nodes`.
    """
    own = peers.ask_node(member, member.node, SCAN_TIMEOUT)
    if own.state is not State.UP or not own.awaits:
        return "", False
    found = peers.look_at(member, own.members - {member.node})
    known = Known(
        member.node,
        None,
        identity=own.identity,
        members=own.members,
        peers=found,
        patience_over=waited > BUSY_PATIENCE,
    )
    for node in to_connect(known, own.awaits):
        _connect(member, node)
    awaited = {node: peer for node, peer in found.items() if node in own.awaits}
    gone = [node for node, peer in awaited.items() if peer.state in ENDED]
    whys = [peer.why for node, peer in awaited.items() if node not in gone and peer.why]
    refused = any(peer.state is State.REFUSES for peer in awaited.values())
    return (
        "Mnesia loads its tables from the node that went down last, which may be "
        f"{' or '.join(sorted(own.awaits))}{': start it' if gone else ''}"
        f"{' (' if whys else ''}{'; '.join(whys)}{')' if whys else ''}"
    ), refused


def _connect(member: Member, node: str) -> None:
    member.log.info(f"connecting {member.node} to {node}, which it did not reach when it started")
    arguments = [Atom("extra_db_nodes"), [Atom(node)]]
    try:
        answer = member.erlang.rpc(
            member.node, "mnesia", "change_config", arguments, EXTRA_NODES_TIMEOUT
        )
        reason = "" if answer[:1] == (Atom("ok"),) else show(answer)[:300]
    except (rpc.RpcError, TypeError) as error:
        reason = str(error)
    if reason:
        member.log.warning(f"{member.node} cannot be connected to {node}", reason=reason)
