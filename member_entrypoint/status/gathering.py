"""Gathers what `status` tells: from the notes of PID 1, from the disk, and from all members."""

import os
import time
from collections.abc import Callable, Mapping

from member_entrypoint import settings, state
from member_entrypoint.cluster import facts
from member_entrypoint.cluster import member as members
from member_entrypoint.cluster.knowledge import Marker, Nodes
from member_entrypoint.cluster.member import Member
from member_entrypoint.files import users
from member_entrypoint.health import probe
from member_entrypoint.places import Places
from member_entrypoint.release import flags
from member_entrypoint.status.survey import CetsNodes, Disk, Notes, Survey, Wait

TIMEOUT = 1.0
"""Seconds for all questions together; a cluster that is well needs some hundredths of them."""


def take(
    environment: Mapping[str, str],
    timeout: float = TIMEOUT,
    meanwhile: Callable[[], object] = lambda: None,
) -> Survey:
    """Return what is known, after `timeout` seconds at most; `environment` is the container's.

    `meanwhile` is called while members answer. Raises `ConfigurationError` where the settings are
    wrong.
    """
    began = time.monotonic()
    survey = _take(environment, timeout, meanwhile)
    return survey._replace(at=time.time(), took=time.monotonic() - began)


def _take(
    environment: Mapping[str, str], timeout: float, meanwhile: Callable[[], object]
) -> Survey:
    chosen = settings.read(environment)
    places = Places(chosen.root)
    notes = read_notes(places.root)
    noted = state.processes(places.root).get("node", [])
    survey = Survey(node=noted[0] if noted else "", notes=notes)
    if notes.why_not_live == probe.NO_SERVER:
        return survey
    if missing := _unreadable(places):
        return survey._replace(cannot_ask=missing)
    member = members.describe(environment, _full_name, rendered=True)
    survey = survey._replace(
        node=member.node,
        target=member.role.target,
        alone=member.is_alone,
        joins=chosen.join_cluster,
        release=member.release.version,
        erts=member.release.erts,
        disk=read_disk(places, member.node),
    )
    if not member.erlang.reach.direct:
        how = member.erlang.way.unheeded()
        return survey._replace(cannot_ask=f"the members are not asked: {how}")
    return _asked(member, survey, timeout, meanwhile)


def _asked(
    member: Member, survey: Survey, timeout: float, meanwhile: Callable[[], object]
) -> Survey:
    """Ask this node, its members, and whom it joins or waits for."""
    from member_entrypoint.status import asking  # only where there is somebody to ask

    began = time.monotonic()
    listing = _cets(member, timeout / 2)
    nodes = {member.role.target or member.node}
    if listing:
        nodes |= {*(listing.listed or ()), *(listing.in_dns or ())}
    disk = survey.disk

    def on_disk() -> Nodes:
        nonlocal disk
        identity, listed = facts.read_schema(member.places, member.node)
        disk = disk._replace(identity=identity, members=listed)
        return listed or disk.record.members

    # What DNS has taken, which is half of the time and more on a busy machine, costs no answers.
    left = round(max(timeout / 2, timeout - (time.monotonic() - began)), 1)
    found = asking.ask(member, nodes, on_disk, left, meanwhile)
    return survey._replace(disk=disk, peers=found.peers, connected=found.connected, cets=listing)


def _cets(member: Member, timeout: float) -> CetsNodes | None:
    if member.cets is None:
        return None
    from member_entrypoint.status import cets  # it imports what asks DNS

    return cets.look(member, member.cets, timeout)


def _unreadable(places: Places) -> str:
    """Return why this user cannot ask the members; empty if it can."""
    path = os.path.join(places.run, "etc", "vm.args")
    if not os.path.lexists(path) or os.access(path, os.R_OK):
        return ""
    owner = os.lstat(path).st_uid
    return (
        f"the members cannot be asked as {users.whoami()}, which may not read {path}; use "
        f"docker exec --user {owner}"
    )


def _full_name(_host: str, places: Places) -> str | None:
    """Return the host of this node as its rendered VM flags have it, without DNS."""
    given = flags.read(os.path.join(places.run, "etc"), ("vm.args",), {}, current=places.run)
    return given.get("name").partition("@")[2] or None


def read_notes(root: str) -> Notes:
    """Return what PID 1 and its helpers have noted."""
    now, not_live, not_ready = probe.examine(root, lambda *_: "")
    text, reason, until = state.wait(root)
    instant = time.monotonic()
    left = max(0.0, until - instant)
    return Notes(
        state=now,
        since=_changed(os.path.join(root, state.STATE_FILE)),
        why_not_live=not_live,
        why_not_ready=not_ready,
        partition=state.reason(root, state.PARTITION_FILE),
        left=state.reason(root, state.LEFT_FILE),
        second=state.reason(root, state.YIELD_FILE),
        other_cluster=state.reason(root, state.OTHER_CLUSTER_FILE),
        wait=Wait(text, reason, left) if now in {state.WAITING, state.STARTING} else Wait(),
        failing=tuple(each for each in state.HELPERS if state.is_failing(root, each, instant)),
    )


def read_disk(places: Places, node: str) -> Disk:
    """Return what is on the volume of `node`, but for its schema: reading that takes long."""
    folder = places.mnesia(node)
    record = facts.read_marker(places, node)
    noted = _changed(facts.marker_file(places, node)) if record.marker is not Marker.NONE else None
    return Disk(folder=folder, size=_size(folder), record=record, noted=noted)


def _changed(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _size(folder: str) -> int | None:
    """Return the bytes that the files of a folder, and of those in it, have; None if unknown."""
    total, left = 0, [folder]
    try:
        while left:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        total += _size_of(entry)
    except OSError:
        return None
    return total


def _size_of(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0  # Mnesia has renamed it meanwhile
