"""The user that the member runs as: root does its part, then switches to the image's user.

A container that starts as another user keeps that user, and needs no root.
"""

import errno
import functools
import os
import stat
from collections.abc import Iterable, Iterator, MutableMapping

from member_entrypoint import environment as variables
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import folders
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places

NAME = "mongooseim"
# CAP_CHOWN, CAP_SETGID, CAP_SETUID: capabilities(7).
NEEDED = 1 << 0 | 1 << 6 | 1 << 7
RUNS_AS_ROOT = (
    f"running as root: to become {NAME} takes the capabilities CHOWN, SETGID and SETUID, "
    "and that user in the container's user namespace; or start it with --user"
)
READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class User(NamedTuple):
    """A user to run as."""

    uid: int
    gid: int


def image_user(places: Places) -> User | None:
    """Return the user of the image, as its passwd has it; None if it has none."""
    try:
        with open(places.passwd, encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.split(":")
                if fields[0] == NAME:
                    return User(int(fields[2]), int(fields[3]))
    except (OSError, ValueError, IndexError):
        return None
    return None


def member_user(places: Places) -> User | None:
    """Return the user that the member runs as, for what root asks by `docker exec`; None if none.

    That is the one of PID 1, or the one that passwd has; the member can change neither. Who has the
    rendered configuration is a hint, and tells only which of the two it is: as in `as-member.sh`.
    """
    return running_user(places) or image_user(places)


def running_user(places: Places) -> User | None:
    """Return the user of the member that runs as PID 1; None for root, and if none is known to."""
    try:
        hint, first = os.stat(os.path.join(places.run, "etc")).st_uid, os.stat("/proc/1")
    except OSError:
        return None
    return User(first.st_uid, first.st_gid) if hint and hint == first.st_uid else None


def may_switch_to(user: User) -> bool:
    """Tell whether this process is root, and may give away its files and become `user`."""
    return _may_switch_to(user, os.geteuid())


@functools.cache
def _may_switch_to(user: User, euid: int) -> bool:
    """Tell the same of a process that has the effective uid `euid`; looked up once."""
    return (
        euid == 0 != user.uid
        and _has_capabilities()
        and _is_mapped(user.uid, "uid_map")
        and _is_mapped(user.gid, "gid_map")
    )


def _has_capabilities() -> bool:
    with open("/proc/self/status", "rb") as file:
        words = next(line.split() for line in file if line.startswith(b"CapEff:"))
    return int(words[1], 16) & NEEDED == NEEDED


def _is_mapped(number: int, table: str) -> bool:
    """Tell whether the user namespace has a user or group of this number: user_namespaces(7)."""
    with open(f"/proc/self/{table}", "rb") as file:
        ranges = [[int(word) for word in line.split()] for line in file]
    return any(first <= number < first + count for first, _, count in ranges)


def change_owner(paths: Iterable[str], user: User, places: Places) -> Iterator[None]:
    """Make `user` the owner of the folders `paths` and of all below; create the missing ones.

    Yields after each folder, so that the caller can stop. A folder that cannot be changed is
    skipped: a later write reports it. Raises `ConfigurationError` where something else stands in
    the place of a folder.
    """
    for path in paths:
        # Everybody may make folders in /run: there, the owner tells who has.
        owners = {0, user.uid} if path == places.run else None
        try:
            folder = folders.open_made(places.root, path, owners)
        except OSError:
            yield
            continue
        try:
            folders.change_owner(folder, user.uid, user.gid)
        except OSError:
            pass
        finally:
            os.close(folder)
        yield


def _kept(groups: list[int]) -> list[int]:
    """Return the groups that stay with who was root: those of `--group-add`."""
    return [group for group in groups if group != 0]


def open_to_read(path: str, places: Places) -> int:
    """Return a descriptor to read the operator's file `path`; raises OSError.

    Root opens it as the member's user. What only root may read, root opens unless the member's user
    can have put it there: a link to /etc/shadow would show that to the member otherwise. In a
    folder of the image that is the member's, a file that is no link counts: `docker cp`, COPY.
    """
    try:
        return open_as_member(path, places)
    except PermissionError:
        user = _user_to_act_as(places)
        if user is None:
            raise
    if folders.can_be_replaced_by(user.uid, user.gid, path):
        folder = os.path.dirname(path)
        if not (
            folders.is_mounted(folder, places.root)
            or folders.can_be_replaced_by(user.uid, user.gid, folder)
        ):
            try:
                return folders.open_alone(path)
            except OSError:
                pass
        reason = f"only root may read it, and {NAME} (uid {user.uid}) can have put it there"
        raise PermissionError(errno.EACCES, reason, path)
    return os.open(path, READ)


def open_as_member(path: str, places: Places) -> int:
    """Return a descriptor to read what the member's user may read; raises OSError.

    Root acts as that user meanwhile: in one thread only.
    """
    user = _user_to_act_as(places)
    if user is None:
        return os.open(path, READ)
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups(_kept(groups))
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        return os.open(path, READ)
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _user_to_act_as(places: Places) -> User | None:
    """Return the member's user if this process is a root that may become it."""
    if os.geteuid() != 0:
        return None
    user = image_user(places)
    return user if user and may_switch_to(user) else None


def drop_root(user: User, environment: MutableMapping[str, str], places: Places) -> None:
    """Switch from root to `user` for good; `environment` becomes that of `user`."""
    for descriptor in (0, 1, 2):
        try:
            if os.isatty(descriptor) or stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                # Else `user` cannot open /dev/stdout. Docker does the same for a user it is given.
                os.fchown(descriptor, user.uid, -1)
        except OSError:
            pass
    become(user)
    variables.switch_user(environment, NAME, places.run)


def become(user: User) -> None:
    """Switch from root to `user` for good, and change nothing else."""
    os.setgroups(_kept(os.getgroups()))
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def check_data_writable(places: Places, node: str) -> None:
    """See that this user can write the volume and, if they are there, the data of `node`.

    Raises `ConfigurationError` that says who cannot write what, and what to do.
    """
    mnesia = places.mnesia(node)
    paths = [places.data]
    if os.path.isdir(mnesia):
        paths.append(mnesia)
        try:
            paths += [os.path.join(mnesia, name) for name in os.listdir(mnesia)]
        except OSError:
            pass
    for path in paths:
        if os.path.exists(path) and not can_write(path):
            raise ConfigurationError(not_writable(path))


def can_write(path: str) -> bool:
    """Tell whether this user can write the file, or make files in the folder, at `path`."""
    return os.access(path, os.W_OK | os.X_OK if os.path.isdir(path) else os.W_OK)


def warnings(places: Places) -> list[str]:
    """Return what is not as it should be with this user, though the member runs."""
    found = []
    if os.geteuid() == 0 and image_user(places):
        found.append(RUNS_AS_ROOT)
    if not os.path.islink(places.log_now):
        found.append(
            f"{places.log} cannot be written ({whoami()}), so the server logs in {places.log_now}; "
            f"give {places.log} a volume or a tmpfs"
        )
    return found


def whoami() -> str:
    """Return the numbers of the user and of all groups of this process, in words."""
    groups = sorted({os.getegid(), *os.getgroups()})
    return f"uid {os.geteuid()}, gid {' '.join(map(str, groups))}"


def not_writable(path: str) -> str:
    """Return why this user cannot write there, in words, and what to do."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path} is mounted read-only; the member's data need a volume that can be written"
    found = os.stat(path)
    uid = os.geteuid()
    ways = ["securityContext.fsGroup in Kubernetes"]
    ways += ["let the container have the capabilities CHOWN, SETGID and SETUID"] if uid == 0 else []
    ways += ["start the container as root, which gives it to the member"] if uid else []
    return (
        f"{path} cannot be written by this container's user ({whoami()}): it belongs to uid "
        f"{found.st_uid}, gid {found.st_gid}, with mode {stat.S_IMODE(found.st_mode):04o}; give it "
        f"to that user (chown -R {uid} on the volume), or {', or '.join(ways)}"
    )
