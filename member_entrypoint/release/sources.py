"""Where each configuration file comes from: the operator's in `/member`, else the release's own."""

import os
import stat

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.places import Places
from member_entrypoint.release.active import Release
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


def names(pristine: str, member: str) -> list[str]:
    """Return the names of all configuration files, of the release's and of the operator's.

    Raises `ConfigurationError`, also for a thing in `member` that has such a name and is no file.
    """
    found = _names_of_release(pristine)
    return sorted(found | {name for name in _taken(found) if exists(member, name)})


def _names_of_release(pristine: str) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(pristine) if entry.is_file()}
    except OSError as error:
        raise ConfigurationError(
            f"the release's configuration at {pristine} cannot be read ({error.strerror}); "
            "the image was not built by our Dockerfile.member, build it anew"
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


def source(release: Release, places: Places, name: str) -> str:
    """Return the path of the file to use: the operator's before the release's."""
    taken = name in TAKEN_FROM_MEMBER or name == OLD_CONFIGURATION
    if taken and exists(places.member, name):
        return os.path.join(places.member, name)
    return os.path.join(release.pristine, name)


def unread(release: Release, places: Places, config_format: str | None) -> list[str]:
    """Return a warning for each configuration of the server in `/member` that it will not read.

    `config_format` is what MONGOOSEIM_CONFIG_FORMAT says, if anything.
    """
    of_release = _names_of_release(release.pristine)
    read = {f"mongooseim.{config_format}"} if config_format else of_release
    reads = sorted(read & {*SERVER_CONFIGURATIONS})
    return [
        f"nobody reads {os.path.join(places.member, name)}: this release reads "
        f"{' or '.join(reads) or 'another file'}"
        for name in SERVER_CONFIGURATIONS
        if name not in read and os.path.exists(os.path.join(places.member, name))
    ]


def read(path: str, places: Places) -> bytes:
    """Return the content of a file of the operator's or the release's.

    Raises `ConfigurationError`.
    """
    try:
        with open(users.open_to_read(path, places), "rb") as file:
            return file.read()
    except OSError as error:
        raise unusable_error(path, "read", error) from None


def read_text(path: str, places: Places) -> str:
    """Return a file as text, without a byte order mark; raises `ConfigurationError`."""
    try:
        return read(path, places).decode().removeprefix(BYTE_ORDER_MARK)
    except ValueError:
        raise ConfigurationError(f"{path} is not UTF-8 text; save it as UTF-8") from None


def unusable_error(path: str, what: str, error: Exception) -> ConfigurationError:
    """Return the error that says that a file cannot be `what` (read, written), and what to do."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigurationError(
        f"{path} cannot be {what} ({reason}; {users.whoami()}); the member needs /run and "
        "/var/lib/mongooseim writable, and its configuration readable"
    )
