"""Where each configuration file comes from: the operator's in `/member`, else the release's own."""

import os
import stat

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.places import Places
from member_entrypoint.release.active import Release

TAKEN_FROM_MEMBER = (
    "mongooseim.toml",
    "mongooseim.cfg",
    "app.config",
    "vm.args",
    "vm.dist.args",
)


def names(pristine: str, member: str) -> list[str]:
    """Return the names of all configuration files, of the release's and of the operator's."""
    try:
        names = {entry.name for entry in os.scandir(pristine) if entry.is_file()}
    except OSError as error:
        raise ConfigurationError(
            f"the release's configuration at {pristine} cannot be read ({error.strerror}); "
            "the image was not built by our Dockerfile.member, build it anew"
        ) from None
    return sorted(names.union(name for name in TAKEN_FROM_MEMBER if exists(member, name)))


def exists(folder: str, name: str) -> bool:
    """Tell whether there is such a file; raises `ConfigurationError` if this user may not know."""
    path = os.path.join(folder, name)
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unusable(path, "read", error) from None


def source(release: Release, places: Places, name: str) -> str:
    """Return the path of the file to use: the operator's before the release's."""
    if name in TAKEN_FROM_MEMBER and exists(places.member, name):
        return os.path.join(places.member, name)
    return os.path.join(release.pristine, name)


def read(path: str) -> bytes:
    """Return the content of a file; raises `ConfigurationError`."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise unusable(path, "read", error) from None


def read_text(path: str) -> str:
    """Return a file as text, without a byte order mark; raises `ConfigurationError`."""
    try:
        return read(path).decode("utf-8-sig")
    except ValueError:
        raise ConfigurationError(f"{path} is not UTF-8 text; save it as UTF-8") from None


def unusable(path: str, what: str, error: Exception) -> ConfigurationError:
    """Return the error that says that a file cannot be `what` (read, written), and what to do."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigurationError(
        f"{path} cannot be {what} ({reason}; {users.whoami()}); the member needs /run and "
        "/var/lib/mongooseim writable, and its configuration readable"
    )
