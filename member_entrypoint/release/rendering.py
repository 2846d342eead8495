"""What will the server read? The run-time `etc`, rendered anew at each start.

Sources are the release's pristine files and those in `/member`, which win; neither is changed.
Node name, cookie, Mnesia folder and log folder are always the container's.
"""

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from typing import NamedTuple

from member_entrypoint import terms
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.files import users
from member_entrypoint.release.active import Places, Release
from member_entrypoint.settings import Settings, is_cookie

TAKEN_FROM_MEMBER = (
    "mongooseim.toml",
    "mongooseim.cfg",
    "app.config",
    "vm.args",
    "vm.dist.args",
)
DEFAULT_COOKIE = "mongooseim"
_UNFINISHED = ".unfinished"
_VALUE = r"""((?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+)"""
_COOKIE = re.compile(rf"(?<!\S)-setcookie[ \t]+{_VALUE}")
_OURS = re.compile(
    rf"(?<!\S)(?:-s?name|-setcookie|-mnesia[ \t]+dir)(?!\S)(?:[ \t]+(?![-+]){_VALUE})?"
)
_COMMENT = re.compile(r"""^((?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^#'"\\])*)(#.*)$""")


def render(release: Release, places: Places, settings: Settings, node: str) -> dict[str, bytes]:
    """Return all configuration files of `release` for `node`, by name; nothing is written.

    The same input gives the same files, however often. Raises `ConfigurationError` naming file and
    reason where one cannot be read.
    """
    files = {}
    for name in _names(release.pristine, places.member):
        source = _source(release, places, name)
        if name == "vm.args":
            text = vm_args(_text(source), settings.node_type, node, settings.cluster_cookie)
            content = text.encode()
        elif name == "app.config":
            content = app_config(_text(source), places.mnesia(node), places.log_now).encode()
        else:
            content = _read(source)
        files[name] = content
    return files


def write(release: Release, places: Places, files: Mapping[str, bytes]) -> None:
    """Write `files` into the run-time `etc`, and make the folders that the server needs.

    Nothing is left of an earlier life. Raises `ConfigurationError`.
    """
    for folder in (places.data, os.path.join(places.run, "var/lock/ctl"), release.etc):
        _make_folder(os.path.realpath(folder))
    _choose_log_folder(places)
    for stale in (release.status_file, release.pid_file):
        _remove(stale)
    for name, content in files.items():
        _write(os.path.join(release.etc, name), content)
    for name in set(os.listdir(release.etc)).difference(files):
        _remove(os.path.join(release.etc, name))


def _choose_log_folder(places: Places) -> None:
    """Have the server log where operators look; where that cannot be written, beside `etc`."""
    with contextlib.suppress(OSError):
        os.makedirs(places.log, exist_ok=True)
    usable = users.can_write(places.log)
    if os.path.islink(places.log_now) and not usable:
        _remove(places.log_now)
    if not os.path.lexists(places.log_now):
        try:
            if usable:
                os.symlink(places.log, places.log_now)
            else:
                os.mkdir(places.log_now)
        except OSError as error:
            raise unusable(places.log_now, "made", error) from None


def vm_args(text: str, node_type: str, node: str, cookie: str | None) -> str:
    """Return vm.args for `node`: one name line and one cookie line, all else as it was.

    The two lines have the one form that the release's scripts find with grep, and cut at the
    first blank. Without `cookie`, it is the last one in `text`, else `DEFAULT_COOKIE`. Raises
    `ConfigurationError` for a cookie in `text` that the scripts cannot use. Source of the syntax:
    the manual of erl, flag `-args_file`; of two cookies OTP takes neither, hence the one line.
    """
    lines, cookies = [], [DEFAULT_COOKIE]
    for line in re.split(r"\r\n|\r|\n", text.rstrip("\r\n")):
        commented = _COMMENT.match(line)
        flags, comment = commented.groups() if commented else (line, "")
        cookies += [value.strip("\"'") for value in _COOKIE.findall(flags)]
        kept = _OURS.sub("", flags)
        if kept == flags or kept.strip() or comment:
            lines.append(line if kept == flags else kept.strip() + comment)
    if cookie is None and not is_cookie(cookies[-1]):
        raise ConfigurationError(
            "the cookie in vm.args has characters that the release's scripts cannot use "
            "(blanks, quotes, *, ? and such); change it there, or set CLUSTER_COOKIE"
        )
    lines += [f"-{node_type} {node}", f"-setcookie {cookie or cookies[-1]}"]
    return "\n".join(lines) + "\n"


def app_config(text: str, mnesia_dir: str, log_dir: str) -> str:
    """Return app.config with these folders for Mnesia and for lager's `log_root`.

    A `{mnesia, [...]}` of the user keeps all but its `dir`; where there is none, one is added.
    Raises `ConfigurationError` if `text` does not begin as a list, the form that Erlang reads.
    """
    stream = list(terms.tokens(text))
    if not stream or stream[0].text != "[":
        raise ConfigurationError("app.config should be an Erlang list, [...], but is not")
    edits: list[tuple[int, int, str]] = []
    options = None
    for at in range(len(stream) - 3):
        first, name, comma, value = stream[at : at + 4]
        if first.text != "{" or comma.text != ",":
            continue
        if name.text == "log_root" and value.kind == "string":
            edits.append((value.start, value.end, terms.string(log_dir)))
        if name.text == "mnesia" and first.depth == 1 and value.text == "[":
            options = at + 3
    directory = terms.string(mnesia_dir)
    if options is None:
        empty = stream[1].text == "]"
        place = stream[0].end
        edits.append((place, place, f"\n {{mnesia, [{{dir, {directory}}}]}}{'' if empty else ','}"))
    else:
        edits.append(_mnesia_dir(stream, options, directory))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _mnesia_dir(stream: list[terms.Token], options: int, directory: str) -> tuple[int, int, str]:
    """Return the edit that sets `dir` in the option list that begins at `stream[options]`."""
    depth = stream[options].depth
    for at in range(options + 1, len(stream)):
        token = stream[at]
        if token.depth == depth:
            break
        if token.text == "{" and token.depth == depth + 1 and stream[at + 1].text == "dir":
            last = next(t for t in stream[at + 1 :] if t.text == "}" and t.depth == token.depth)
            return stream[at + 3].start, last.start, directory
    empty = stream[options + 1].text == "]"
    place = stream[options].end
    return place, place, f"{{dir, {directory}}}{'' if empty else ', '}"


class Cets(NamedTuple):
    """What mongooseim.toml says of CETS, the way to cluster without Mnesia.

    `only` says that Mnesia is not used beside it, so that there is nothing to join; `node_list` is
    the file that names the nodes, empty where CETS finds them otherwise.
    """

    only: bool
    node_list: str


def cets(
    release: Release, places: Places, settings: Settings, *, rendered: bool = False
) -> Cets | None:
    """Return what the server's configuration says of CETS, None where it does not use it.

    That is the file `rendered` into its run-time `etc`, or the one that will be. A file that is no
    TOML is left to the server, which says what is wrong. Source: MongooseIM's
    documentation, "Internal Databases".
    """
    name = "mongooseim.toml"
    ours = os.path.join(release.etc, name) if rendered else _source(release, places, name)
    path = settings.ejabberd_config_path or ours
    if (settings.mongooseim_config_format or "toml") != "toml" or not os.path.isfile(path):
        return None
    content = _read(path)
    if b"cets" not in content:
        return None
    import tomllib  # no other configuration needs it

    try:
        databases = tomllib.loads(content.decode()).get("internal_databases")
    except ValueError:
        return None
    if not isinstance(databases, dict) or not isinstance(databases.get("cets"), dict):
        return None
    options = databases["cets"]
    listed = options.get("node_list_file", "") if options.get("backend") == "file" else ""
    return Cets("mnesia" not in databases, os.path.join(release.root, listed) if listed else "")


def _names(pristine: str, member: str) -> list[str]:
    """Return the names of all configuration files, of the release's and of the operator's."""
    try:
        names = {entry.name for entry in os.scandir(pristine) if entry.is_file()}
    except OSError as error:
        raise ConfigurationError(
            f"the release's configuration at {pristine} cannot be read ({error.strerror}); "
            "the image was not built by our Dockerfile.member, build it anew"
        ) from None
    return sorted(names.union(name for name in TAKEN_FROM_MEMBER if _exists(member, name)))


def _exists(folder: str, name: str) -> bool:
    """Tell whether there is such a file; that this user may not know is an error."""
    path = os.path.join(folder, name)
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unusable(path, "read", error) from None


def _source(release: Release, places: Places, name: str) -> str:
    """Return the path of the file that counts: the operator's before the release's."""
    if name in TAKEN_FROM_MEMBER and _exists(places.member, name):
        return os.path.join(places.member, name)
    return os.path.join(release.pristine, name)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise unusable(path, "read", error) from None


def _text(path: str) -> str:
    try:
        return _read(path).decode()
    except ValueError:
        raise ConfigurationError(f"{path} is not UTF-8 text; save it as UTF-8") from None


def _write(path: str, content: bytes) -> None:
    """Write a file whole or not at all; it may hold secrets, so only the owner can read it."""
    temporary = f"{path}{_UNFINISHED}"
    try:
        _remove(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise unusable(path, "written", error) from None


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise unusable(path, "removed", error) from None


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise unusable(path, "made", error) from None


def add_hosts(places: Places) -> None:
    """Add the operator's lines to the hosts file, those that say what it does not say yet.

    Raises `ConfigurationError`; who may not write there can have the same said by Docker.
    """
    source, target = os.path.join(places.member, "hosts"), places.hosts
    if not _exists(places.member, "hosts"):
        return
    have = _text(target) if os.path.exists(target) else ""
    lines = have.splitlines()
    known = {entry for line in lines for entry in _hosts_entries(line)}
    new = [line for line in _text(source).splitlines() if line.strip() and line not in lines]
    new = [line for line in new if not (_hosts_entries(line) and _hosts_entries(line) <= known)]
    if not any(map(_hosts_entries, new)):
        return
    text = ("" if have.endswith("\n") or not have else "\n") + "\n".join(new) + "\n"
    try:
        # In place, since Docker and Kubernetes mount the hosts file and nothing can replace it;
        # one write in append mode, so that it is there whole or not at all.
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be written ({error.strerror}; {users.whoami()}), and {source} has "
            "lines for it; give them by docker run --add-host, extra_hosts in Compose, or "
            "hostAliases in Kubernetes"
        ) from None


def _hosts_entries(line: str) -> set[tuple[str, str]]:
    """Return what a line of a hosts file says: pairs of address and name."""
    address, *names = line.partition("#")[0].split() or [""]
    return {(address, name) for name in names}


def unusable(path: str, what: str, error: Exception) -> ConfigurationError:
    """Return the error that says that a file cannot be `what` (read, written), and what to do."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigurationError(
        f"{path} cannot be {what} ({reason}; {users.whoami()}); the member needs /run and "
        "/var/lib/mongooseim writable, and its configuration readable"
    )
