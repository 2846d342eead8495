"""What the network gives: ports that are free, names that resolve, services that listen."""

import os

from member_entrypoint import state
from member_entrypoint.cluster import cautions, discovery, peers
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.node import split_ordinal
from member_entrypoint.diagnosis import listeners, volume
from member_entrypoint.diagnosis.findings import Findings
from member_entrypoint.diagnosis.listeners import Listener
from member_entrypoint.diagnosis.toml import Toml
from member_entrypoint.erlang import reach
from member_entrypoint.errors import StartError
from member_entrypoint.files import users
from member_entrypoint.network import listening, names
from member_entrypoint.places import Places
from member_entrypoint.release.vm_args import DEFAULT_COOKIE
from member_entrypoint.settings import Settings

DNS_TIMEOUT = 3.0  # seconds


def look(found: Findings, member: Member, toml: Toml | None) -> None:
    """Look at flags, cookie, ports and names of a member."""
    settings = member.settings
    if not member.is_alone:
        with found.refusals("flags"):
            reach.refuse_unreachable(member.release, settings, member.node)
    for caution in cautions.all_of(member):
        values = dict(caution.values)
        what_to_do = values.pop("what_to_do", "")
        text = ": ".join([caution.text, *values.values()])
        found.warning(caution.about, text, what_to_do)
    _cookie(found, member)
    _ports(found, member, toml)
    _dns(found, member)


def services(found: Findings, settings: Settings, places: Places) -> None:
    """Look at what WAIT_FOR and DISCOVERY_NAME name."""
    reasons = peers.ask_all(
        settings.wait_for, lambda address: listening.why_not_listening(*address, places)
    )
    for (host, port), missing in reasons.items():
        if missing:
            found.warning(
                "wait-for",
                f"nothing listens on {host}:{port} ({missing}): a start waits for START_TIMEOUT "
                f"({settings.start_timeout:g} s), and ends with status {StartError.status} then",
                "start that service, or correct WAIT_FOR",
            )
        else:
            found.ok("wait-for", f"{host}:{port} listens")
    if settings.discovery_name and settings.discovery_file:
        hosts = names.hosts_behind(settings.discovery_name, places, DNS_TIMEOUT)
        if hosts.names:
            text = f"{settings.discovery_name} has {', '.join(hosts.names)}"
            found.ok("discovery", text)
        else:
            text = f"DISCOVERY_NAME {settings.discovery_name}: {hosts.reason}"
            found.warning("discovery", text, "see that the service exists, and its spelling")
        _discovery_file(found, settings.discovery_file, places)


def _discovery_file(found: Findings, path: str, places: Places) -> None:
    """See that the file can be written, where a start does not make it so."""
    folder = volume.existing(os.path.dirname(path))
    ours = any(folder.startswith(own) for own in (places.run, places.data, places.log))
    if not ours and not (os.path.isdir(folder) and users.can_write(folder)):
        found.refused("discovery", discovery.unwritable_error(path, users.whoami()))


def _cookie(found: Findings, member: Member) -> None:
    cookie = reach.flags_of(member.release, member.settings).get("setcookie")
    if not cookie or cookie == DEFAULT_COOKIE:
        return
    settings = member.settings
    of_variable = "CLUSTER_COOKIE_FILE" if settings.cluster_cookie_file else "CLUSTER_COOKIE"
    found.ok("cookie", f"that of {of_variable if settings.cluster_cookie else 'vm.args'}")


def _ports(found: Findings, member: Member, toml: Toml | None) -> None:
    vm = state.processes(member.settings.root).get("vm") or ["0", ""]
    if state.started(vm[0]) == vm[1] != "":
        found.ok("ports", "the server of this member runs here already, and has them")
        return
    given = reach.flags_of(member.release, member.settings)
    how = reach.reach(given, member.settings, reach.app_config_of(member.release))
    needed = [*listeners.of_node(how, given), *(listeners.of_toml(toml) if toml else ())]
    wrong = [*filter(None, map(listeners.why_unusable, needed))]
    if taken := listeners.why_name_taken(member.node, how):
        wrong.append(taken)
    for text in wrong:
        found.error("ports", text)
    if needed and not wrong:
        free = [each.port.removeprefix("port ") for each in needed]
        found.ok("ports", f"free: {', '.join(sorted(set(free)))}")
    if port := member.settings.health_http_port:
        ours = Listener(listeners.ANY, (port,), "HEALTH_HTTP_PORT")
        if unusable := listeners.why_unusable(ours):
            found.warning("ports", f"{unusable}; until then nobody answers probes over HTTP")


def _dns(found: Findings, member: Member) -> None:
    """Look up the hosts of this node and of the node to join."""
    if member.is_alone:
        return
    nodes = [member.node] + ([member.role.target] if member.role.target else [])
    hosts = {node: node.partition("@")[2] for node in nodes}
    answers = peers.ask_all(
        nodes, lambda node: names.look_up(hosts[node], member.places, DNS_TIMEOUT)
    )
    for node, answer in answers.items():
        host = hosts[node]
        where = "the hosts file" if answer.from_hosts else "DNS"
        if answer.addresses:
            found.ok("dns", f"{host} is {', '.join(answer.addresses)} ({where})")
            if not member.erlang.reach.usable(answer.addresses):
                text = member.erlang.reach.why_unusable(host)
                found.warning("dns", text, "set -proto_dist for what it has, or give it another")
        elif node != member.node:
            hint = "" if split_ordinal(host.partition(".")[0]) else ", or CLUSTER_WITH"
            found.warning(
                "dns",
                f"no address for {host}, the host of the node to join: {answer.reason}",
                f"start it, in the same network; or correct the host name{hint}",
            )
        else:
            found.warning(
                "dns",
                f"no address for {host}, the host of this node: {answer.reason}",
                "other members could not connect; see that this host name is in DNS once it runs",
            )
