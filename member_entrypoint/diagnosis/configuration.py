"""The server's configuration as a start would render it, which happens in memory here."""

import os

from member_entrypoint.diagnosis import backends, listeners, toml
from member_entrypoint.diagnosis.findings import Findings
from member_entrypoint.diagnosis.release import Given
from member_entrypoint.diagnosis.toml import Toml
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places
from member_entrypoint.release import cets, rendering, sources
from member_entrypoint.release.cets import Cets
from member_entrypoint.release.vm_args import check_environment
from member_entrypoint.settings import Settings

NEEDED = ("vm.args", "app.config")
FLAGS = {"vm.args", "vm.dist.args"}


class Configuration(NamedTuple):
    """What the server would read: contents by name, and what mongooseim.toml says.

    `whole`: each file could be rendered.
    """

    contents: dict[str, bytes]
    toml: Toml | None
    cets: Cets | None
    whole: bool


def look(
    found: Findings, given: Given, places: Places, settings: Settings, node: str
) -> Configuration:
    """Return what the server would read, with a finding for each file that it could not."""
    release, etc = given
    with found.refusals("flags"):
        check_environment(settings.vm_flags)
    refused: list[ConfigurationError] = []
    try:
        paths = sources.find(release, places, refused).files
    except ConfigurationError as error:
        refused.append(error)
        paths = {}
    contents: dict[str, bytes] = dict.fromkeys(FLAGS, b"")
    for name, path in sorted(paths.items()):
        try:
            in_tarball = etc is not None and os.path.dirname(path) == release.pristine
            content = etc[name] if etc and in_tarball else sources.read(path, places)
            contents[name] = rendering.render_one(
                name, path, content, places=places, settings=settings, node=node
            )
        except ConfigurationError as error:
            # Some of these name the kind of file only.
            known = str(error).startswith("/")
            refused.append(
                error if known else ConfigurationError(f"{sources.shown(path)}: {error}")
            )
    for each in refused:
        found.refused("files", each)
    for name in NEEDED:
        if name not in paths and not refused:
            text = f"there is no {name}, neither in {places.member} nor in the release"
            found.error("files", text, "build the release anew")
    if paths and not refused:
        taken = [sources.shown(path) for path in paths.values() if path.startswith(places.member)]
        found.ok("files", f"from {places.member}: {_names(taken)}; all else from the release")
    path, content = _server_configuration(found, places, settings, paths, contents)
    tables = _toml(found, path, content) if path else None
    if tables is not None:
        _judge(found, tables, settings)
    of_cets = cets.configured(content, release) if tables is not None else None
    return Configuration(contents, tables, of_cets, whole=bool(paths) and not refused)


def _names(paths: list[str]) -> str:
    return ", ".join(map(os.path.basename, sorted(paths))) or "nothing"


def _server_configuration(
    found: Findings,
    places: Places,
    settings: Settings,
    paths: dict[str, str],
    contents: dict[str, bytes],
) -> tuple[str, bytes]:
    """Return path and content of the TOML file that the server reads; empty if it is no such."""
    name = "mongooseim.toml"
    if (settings.mongooseim_config_format or "toml") != "toml":
        return "", b""
    own = settings.ejabberd_config_path
    if own is None:
        return (sources.shown(paths[name]), contents[name]) if name in contents else ("", b"")
    try:
        return own, sources.read(own, places)
    except ConfigurationError:
        text = f"EJABBERD_CONFIG_PATH is {own!r}, which cannot be read"
        found.error("files", text, "name a file that the member's user can read, or unset it")
        return "", b""


def _toml(found: Findings, path: str, content: bytes) -> Toml | None:
    try:
        tables = toml.parse(content)
    except toml.WrongTomlError as error:
        found.error("toml", f"{path}, {error}", "correct it there")
        return None
    return Toml(tables, path)


def _judge(found: Findings, tables: Toml, settings: Settings) -> None:
    """See whether a server with this configuration could start, and be ready."""
    wrong = [*listeners.wrong_in_toml(tables), *filter(None, [backends.in_words(tables)])]
    for text in wrong:
        found.error("toml", text)
    ports = sorted({port for each in listeners.of_toml(tables) for port in each.ports})
    if not wrong:
        listens = f"listens on {', '.join(map(str, ports))}" if ports else "has no listener"
        found.ok("toml", f"{tables.path} is TOML, and {listens}")
    if settings.health_port not in ports:
        found.warning(
            "toml",
            f"no listener of {tables.path} has the port {settings.health_port} (HEALTH_PORT), so "
            "this member would never be ready",
            f"set HEALTH_PORT to one of {ports}"
            if ports
            else "add a [[listen.c2s]] with that port",
        )
