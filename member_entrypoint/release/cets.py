"""What the server's configuration says about CETS, the way to cluster without Mnesia."""

import os

from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.places import Places
from member_entrypoint.release import sources
from member_entrypoint.release.active import Release
from member_entrypoint.settings import Settings


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
    if rendered:
        ours = os.path.join(release.etc, name)
    else:
        ours = sources.find(release, places).files.get(name, "")
    path = settings.ejabberd_config_path or ours
    if (settings.mongooseim_config_format or "toml") != "toml" or not os.path.isfile(path):
        return None
    return configured(sources.read(path, places), release)


def configured(content: bytes, release: Release) -> Cets | None:
    """Return what a mongooseim.toml with this content says of CETS."""
    if b"cets" not in content:
        return None
    import tomllib  # no other configuration needs it

    try:
        databases = tomllib.loads(content.decode("utf-8-sig")).get("internal_databases")
    except ValueError:
        return None
    if not isinstance(databases, dict) or not isinstance(databases.get("cets"), dict):
        return None
    options = databases["cets"]
    listed = options.get("node_list_file", "") if options.get("backend") == "file" else ""
    return Cets("mnesia" not in databases, os.path.join(release.server, listed) if listed else "")
