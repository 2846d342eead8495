"""Members for tests: made from an environment, with all their files in a folder."""

from pathlib import Path

from member_entrypoint import settings
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.node import role_of
from member_entrypoint.log import Log
from member_entrypoint.places import Places
from member_entrypoint.release.active import Release


def make_member(root: Path, host: str, **environment: str) -> Member:
    """Return the member that a machine named `host` would be; `root` gets an empty volume."""
    read = settings.read({"ENTRYPOINT_ROOT": str(root), **environment})
    places = Places(read.root)
    Path(places.data).mkdir(parents=True)
    node = f"{read.node_name}@{host}"
    return Member(
        settings=read,
        places=places,
        release=Release(places.release, "1", "1"),
        node=node,
        role=role_of(read, host, node),
        log=Log(),
        cets=None,
    )
