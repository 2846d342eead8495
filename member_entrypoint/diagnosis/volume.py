"""The volume and the other folders: whose data they have, who may write there, how much room."""

import os

from member_entrypoint.cluster import words
from member_entrypoint.cluster.inference import has_data
from member_entrypoint.cluster.knowledge import Known, Marker
from member_entrypoint.diagnosis.findings import Findings
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import folders, users
from member_entrypoint.files.users import User
from member_entrypoint.places import Places
from member_entrypoint.release import sources

TOO_LITTLE, LITTLE = 16 << 20, 256 << 20  # bytes that are free
FEW_FILES = 100


def whose_server(found: Findings, places: Places) -> User | None:
    """Say as which user the server would run; return whom root would become, if it may."""
    user = users.member_user(places)
    if runs := _other_user(places):
        found.about_node["user"] = users.whoami()
        text = f"the member of this container runs as uid {runs.uid}, and this is {users.whoami()}"
        advice = f"ask as that user, who can say about the volume: docker exec --user {runs.uid}"
        found.warning("user", text, advice)
        return None
    if user and users.may_switch_to(user):
        name = users.NAME if user == users.image_user(places) else "the user of this member"
        text = f"root becomes {name} (uid {user.uid}, gid {user.gid}), who runs the server"
        found.ok("user", text)
        found.about_node["user"] = f"uid {user.uid}, gid {user.gid}"
        return user
    found.about_node["user"] = users.whoami()
    if os.geteuid() == 0 and user:
        found.warning("user", users.RUNS_AS_ROOT)
    else:
        found.ok("user", f"the server would run as this user ({users.whoami()})")
    return None


def _other_user(places: Places) -> User | None:
    """Return whom the member here runs as, if this is neither that user nor root."""
    runs = users.running_user(places)
    return runs if runs and os.geteuid() not in {0, runs.uid} else None


def look(found: Findings, places: Places, node: str, becomes: User | None) -> None:
    """Look at the folders; `becomes` is the user that root gives them to.

    Not as another user than that of a member that runs: to give its volume away would end it.
    """
    if _other_user(places):
        return
    with found.refusals("volume"):
        _writable(places, node, becomes)
        found.ok("volume", _in_words(places, becomes))
    with found.refusals("folders"):
        _run_folder(places, becomes)
    if becomes is None and not users.can_write(existing(places.log)):
        text = f"{places.log} cannot be written ({users.whoami()}), so the server would log in "
        found.warning("folders", text + places.log_now, f"give {places.log} a volume or a tmpfs")
    _room(found, places.data)
    if os.path.isdir(places.data) and not folders.is_mounted(places.data, places.root):
        text = f"no volume is mounted on {places.data}: the data go with this container"
        found.warning("volume", text, f"mount one: docker run -v NAME:{places.data}")


def whose_data(found: Findings, known: Known) -> None:
    """Say what is on the volume for this node."""
    if not known.has_schema:
        others = "" if known.record.marker is Marker.NONE else _marker_in_words(known)
        found.ok("data", f"none of {known.node}{others}")
        return
    which = words.cluster(known.identity, known.members or frozenset())
    used = "" if has_data(known) else ", which nobody has used"
    found.ok("data", f"those of {known.node}, of a cluster{used}: {which}{_marker_in_words(known)}")


def _marker_in_words(known: Known) -> str:
    record = known.record
    if record.marker is Marker.NONE:
        return ""
    return f"; its marker says: {record.marker.value} {record.other}".rstrip()


def _writable(places: Places, node: str, becomes: User | None) -> None:
    if becomes is None:
        users.check_data_writable(places, node)
    elif os.path.exists(places.data) and os.statvfs(places.data).f_flag & os.ST_RDONLY:
        raise ConfigurationError(users.not_writable(places.data))


def _in_words(places: Places, becomes: User | None) -> str:
    if not os.path.exists(places.data):
        return f"{places.data} is not there, and would be made"
    owner = os.stat(places.data).st_uid
    if becomes is None or owner == becomes.uid:
        return f"{places.data} belongs to uid {owner}, and can be written"
    return f"{places.data} belongs to uid {owner}; a start gives it to uid {becomes.uid}"


def _run_folder(places: Places, becomes: User | None) -> None:
    """See that a start can write what lives as long as the container."""
    folder = existing(places.run)
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    if read_only or (becomes is None and not users.can_write(folder)):
        error = (
            OSError(30, "Read-only file system") if read_only else OSError(13, "Permission denied")
        )
        raise sources.unusable_error(places.run, "written", error)


def existing(path: str) -> str:
    """Return the folder itself, or the nearest above it that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _room(found: Findings, folder: str) -> None:
    room = os.statvfs(existing(folder))
    free = room.f_bavail * room.f_frsize
    text = f"{free >> 20} MiB are free in {folder}"
    if free < TOO_LITTLE or (room.f_files and room.f_favail < 1):
        found.error("space", f"{text}, so Mnesia could not write", "make room on the volume")
    elif free < LITTLE or (room.f_files and room.f_favail < FEW_FILES):
        found.warning("space", text, "make room: Mnesia ends the server when the volume is full")
    else:
        found.ok("space", text)
