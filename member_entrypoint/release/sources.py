"""Where each configuration file comes from: `/member`, the operator's part of `etc`, the release.

The first of these that has a file counts. None of them is ever changed.
"""

import os
import stat

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places
from member_entrypoint.release.active import PRISTINE, SERVER, Release
from member_entrypoint.release.flags import BYTE_ORDER_MARK

TAKEN_FROM_MEMBER = (
    "mongooseim.toml",
    "mongooseim.cfg",
    "app.config",
    "vm.args",
    "vm.dist.args",
)
OLD_CONFIGURATION = "ejabberd.cfg"  # the server's configuration before MongooseIM 3.2
SERVER_CONFIGURATIONS = ("mongooseim.toml", "mongooseim.cfg", OLD_CONFIGURATION)
CONFIGURATIONS = {*TAKEN_FROM_MEMBER, OLD_CONFIGURATION}
LARGEST_CONFIGURATION = 16 << 20  # bytes; the largest that is known has 1 MB
LARGEST_COPIED = 1 << 20  # bytes of a file of the operator's that is no configuration


class Sources(NamedTuple):
    """What the server's `etc` is made from, by name.

    `files` are paths of files that are rendered or copied, `links` are paths that the server sees
    as they are: folders, and files that are too large or not for us to read.
    """

    files: dict[str, str]
    links: dict[str, str]


def find(
    release: Release, places: Places, refused: list[ConfigurationError] | None = None
) -> Sources:
    """Return where each file of the server's configuration comes from.

    Raises `ConfigurationError`, also for a thing that has the name of a configuration file and is
    none. With a list `refused` such errors are added to that instead, and these files left out.
    """
    from member_entrypoint.release import given_etc  # most who read a file look for none

    of_release = _names_of_release(release)
    files = {name: os.path.join(release.pristine, name) for name in of_release}
    links: dict[str, str] = {}
    for where, name in given_etc.found(release, places):
        path = os.path.join(where.given_etc, name)
        is_file = name in of_release or name in CONFIGURATIONS
        if is_file and not _exists(where.given_etc, name, refused):
            continue
        here, there = (files, links) if is_file or _can_be_copied(path, places) else (links, files)
        here[name] = path
        there.pop(name, None)
    for name in _taken(of_release):
        if _exists(places.member, name, refused):
            files[name] = os.path.join(places.member, name)
    return Sources(files, links)


def shown(path: str) -> str:
    """Return the path of a source as operators know it."""
    return path.replace(f"/{SERVER}/{PRISTINE}/", "/etc/")


def _exists(folder: str, name: str, refused: list[ConfigurationError] | None) -> bool:
    try:
        return exists(folder, name)
    except ConfigurationError as error:
        if refused is None:
            raise
        refused.append(error)
        return False


def _can_be_copied(path: str, places: Places) -> bool:
    try:
        descriptor = users.open_to_read(path, places)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_COPIED
    finally:
        os.close(descriptor)


def _names_of_release(release: Release) -> set[str]:
    if release.names:
        return set(release.names)
    try:
        return {entry.name for entry in os.scandir(release.pristine) if entry.is_file()}
    except OSError as error:
        raise ConfigurationError(
            f"the release's configuration at {release.pristine} cannot be read "
            f"({error.strerror}); the image was not built by our Dockerfile.member, or something "
            f"else is mounted on {release.root}: build it anew, or give a release as "
            "/member/mongooseim.tar.gz"
        ) from None


def _taken(of_release: set[str]) -> set[str]:
    """Return the names of files that are taken from `/member`, beside these of the release."""
    return {*TAKEN_FROM_MEMBER} | (of_release & {OLD_CONFIGURATION})


def exists(folder: str, name: str) -> bool:
    """Tell whether there is such a file.

    Raises `ConfigurationError` for a thing of that name that is no file, and if this user may not
    know.
    """
    path = os.path.join(folder, name)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            raise ConfigurationError(
                f"{path} is a link to {os.readlink(path)!r}, where there is nothing; mount what it "
                "leads to, too, or the file itself"
            ) from None
        return False
    except OSError as error:
        raise unusable_error(path, "read", error) from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no file"
        raise ConfigurationError(
            f"{path} is {what}, and should be a file; Docker makes a folder where the source of a "
            "mount does not exist"
        )
    return True


def unread(release: Release, places: Places, config_format: str | None) -> list[str]:
    """Return a warning for each file of the operator's that the server will not read, and why.

    `config_format` is what MONGOOSEIM_CONFIG_FORMAT says, if anything.
    """
    from member_entrypoint.release import given_etc

    of_release = _names_of_release(release)
    read = {f"mongooseim.{config_format}"} if config_format else of_release
    reads = " or ".join(sorted(read & {*SERVER_CONFIGURATIONS})) or "another file"
    given = [(where.given_etc, name) for where, name in given_etc.found(release, places)]
    operators = [(places.member, name) for name in SERVER_CONFIGURATIONS]
    found = [
        f"nobody reads {os.path.join(folder, name)}: this release reads {reads}"
        for folder, name in operators + given
        if name in SERVER_CONFIGURATIONS
        and name not in read
        and os.path.exists(os.path.join(folder, name))
    ]
    found += [
        f"nobody reads {os.path.join(folder, name)}: {os.path.join(places.member, name)} counts"
        for folder, name in given
        if name in _taken(of_release) and os.path.exists(os.path.join(places.member, name))
    ]
    return found + [
        f"{os.path.join(folder, name)} cannot be read by the server ({users.whoami()})"
        for folder, name in given
        if not os.access(os.path.join(folder, name), os.R_OK)
        and name not in release.unwritten
        and not os.path.isfile(os.path.join(release.etc, name))
    ]


def read(path: str, places: Places) -> bytes:
    """Return the content of a file of the operator's or the release's.

    Raises `ConfigurationError`.
    """
    try:
        with open(users.open_to_read(path, places), "rb") as file:
            content = file.read(LARGEST_CONFIGURATION + 1)
    except OSError as error:
        raise unusable_error(path, "read", error) from None
    if len(content) > LARGEST_CONFIGURATION:
        raise ConfigurationError(
            f"{path} has more than {LARGEST_CONFIGURATION >> 20} MiB, which no configuration has"
        )
    return content


def read_text(path: str, places: Places) -> str:
    """Return a file as text, without a byte order mark; raises `ConfigurationError`."""
    return decode(read(path, places), path)


def decode(content: bytes, path: str) -> str:
    """Return the same for a file with this content."""
    try:
        return content.decode().removeprefix(BYTE_ORDER_MARK)
    except ValueError:
        raise ConfigurationError(f"{path} is not UTF-8 text; save it as UTF-8") from None


def unusable_error(path: str, what: str, error: Exception) -> ConfigurationError:
    """Return the error that says that a file cannot be `what` (read, written), and what to do."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigurationError(
        f"{path} cannot be {what} ({reason}; {users.whoami()}); the member needs /run and "
        "/var/lib/mongooseim writable, and its configuration readable"
    )
