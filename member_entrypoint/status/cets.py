"""The nodes for CETS: what its file lists, and what DNS says."""

from member_entrypoint.cluster import discovery
from member_entrypoint.cluster.member import Member
from member_entrypoint.release.cets import Cets
from member_entrypoint.status.survey import CetsNodes


def look(member: Member, found: Cets, timeout: float) -> CetsNodes:
    """Return the nodes for CETS, DNS asked for at most `timeout` seconds."""
    listed = discovery.read_nodes(found.node_list) if found.node_list else None
    name = member.settings.discovery_name or ""
    told = CetsNodes(found.only, found.node_list, listed, name)
    if not name:
        return told
    hosts = discovery.hosts_in_dns(member, timeout)
    if not hosts.names:
        return told._replace(why=hosts.reason or "the name has no hosts")
    return told._replace(in_dns=tuple(sorted(discovery.nodes_of(member, hosts.names))))
