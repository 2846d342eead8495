"""What the operator has given: variables, names, files in /member and elsewhere."""

import difflib
import os
from collections.abc import Mapping

from member_entrypoint import environment, settings
from member_entrypoint.cluster import facts
from member_entrypoint.cluster.member import Member, full_name
from member_entrypoint.cluster.node import Role, own_node, role_of
from member_entrypoint.diagnosis import configuration, release
from member_entrypoint.diagnosis.findings import Findings
from member_entrypoint.diagnosis.toml import Toml
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.network import hosts_file
from member_entrypoint.pid1 import limits
from member_entrypoint.places import Places
from member_entrypoint.release import given_etc, sources
from member_entrypoint.settings import VARIABLES, Settings, log_as

LIKE = 0.88  # of two names, from which on the one is taken for a slip of the other
IN_MEMBER = (*sources.TAKEN_FROM_MEMBER, sources.OLD_CONFIGURATION, "hosts", "mongooseim.tar.gz")


class PlacesAsGiven(Places):
    """The places as they will be: the operator's hosts count, though they are not added."""

    @property
    def hosts_files(self) -> tuple[str, ...]:
        """The hosts file, and what would be added to it."""
        return self.hosts, os.path.join(self.member, "hosts")


class Given(NamedTuple):
    """What a start would begin with; `member` is None where even that is not known.

    `node` is empty where it cannot be known. `whole`: all configuration files could be read.
    `placed`: it is known whom the node joins.
    """

    settings: Settings
    places: Places
    node: str
    member: Member | None = None
    toml: Toml | None = None
    whole: bool = False
    placed: bool = True


def look(found: Findings, variables: Mapping[str, str]) -> Given:
    """Look at all that was given, as the user who may read it."""
    chosen = _settings(found, variables)
    places = PlacesAsGiven(chosen.root)
    with found.refusals("limits"):
        limits.check()
    _names_in_member(found, places)
    node = ""
    with found.refusals("name"):
        node = own_node(chosen, os.uname().nodename, lambda host: full_name(host, places))
    which = release.look(found, places)
    if not node:
        return Given(chosen, places, node)
    found.about_node["node"] = node
    with found.refusals("volume"):
        facts.refuse_data_of_another_node(places, node, chosen.node_renamed)
    if which is None:
        found.ok("files", "not looked into: which of them count depends on the release")
        return Given(chosen, places, node)
    _hosts(found, places)
    files = configuration.look(found, which, places, chosen, node)
    joins = not (files.cets and files.cets.only)
    role, placed = Role(None, primary=False), not joins
    with found.refusals("name"):
        if joins:
            role = role_of(chosen, os.uname().nodename, node)
            placed = True
        found.ok("name", _role_in_words(node, role))
    member = Member(
        settings=chosen,
        places=places,
        release=which.release._replace(unwritten=files.contents),
        node=node,
        role=role,
        log=log_as(chosen),
        cets=files.cets,
    )
    return Given(chosen, places, node, member, files.toml, files.whole, placed)


def _settings(found: Findings, variables: Mapping[str, str]) -> Settings:
    chosen, errors = settings.read_with_errors(variables)
    for line in errors:
        hint = ""
        if "'tcp://" in line:
            hint = "Kubernetes sets it for a Service of that name: enableServiceLinks: false"
        found.error("settings", line, hint, ConfigurationError.status)
    known = {variable.name for variable in VARIABLES}
    if not errors:
        given = sorted(known & variables.keys() - {environment.ROOT})
        text = f"{', '.join(given)}: all can be used" if given else "none is set"
        found.ok("settings", text)
    for name in sorted(variables.keys() - known):
        like = difflib.get_close_matches(name, known, 1, LIKE)
        if like and like[0] not in variables:
            found.warning("settings", f"nobody reads the variable {name}", f"is it {like[0]}?")
    return chosen


def _names_in_member(found: Findings, places: Places) -> None:
    """Look for names in /member that are slips of those that count."""
    try:
        names = sorted(os.listdir(places.member))
    except FileNotFoundError:
        return
    except OSError as error:
        found.refused("files", sources.unusable_error(places.member, "read", error))
        return
    for name in names:
        like = difflib.get_close_matches(name, IN_MEMBER, 1, LIKE)
        if like and like[0] not in names and name not in IN_MEMBER:
            path = os.path.join(places.member, name)
            found.warning("files", f"nobody reads {path}", f"is it {like[0]}?")


def _hosts(found: Findings, places: Places) -> None:
    with found.refusals("files"):
        lines = hosts_file.lines_to_add(places)
        if lines and not os.access(places.hosts, os.W_OK):
            error = PermissionError(13, "Permission denied")
            raise hosts_file.not_writable_error(places, error)
        if lines:
            found.ok("files", f"{places.member}/hosts would be added to {places.hosts}")


def _role_in_words(node: str, role: Role) -> str:
    if role.target is not None:
        return f"{node} joins {role.target}"
    return f"{node} is the primary: others join it" if role.primary else f"{node} runs alone"


def warnings(found: Findings, member: Member) -> None:
    """Note what a start would warn of about files in the release's own `etc`."""
    if not member.release.names:
        for text in (
            *given_etc.unseen(member.release, member.places),
            *given_etc.changes(member.release, member.places),
        ):
            found.warning("files", text)
