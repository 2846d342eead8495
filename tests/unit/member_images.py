"""A member image on this disk, without its programs."""

from __future__ import annotations

from pathlib import Path

from tarball_tools import special, tarball

from member_entrypoint import settings
from member_entrypoint.places import Places
from member_entrypoint.release import given_etc, rendering, server_root, sources
from member_entrypoint.release.active import OF_THE_IMAGE, Release
from member_entrypoint.release.tarball import install

NODE = "mongooseim@m-1"


class Image:
    """A member image with a small release."""

    def __init__(self, root: Path) -> None:
        """Install the release below `root`."""
        self.places = Places(str(root))
        path = tarball(root.parent / f"{root.name}.tar.gz", special("mongooseim/etc/app.config"))
        self.release = install(path, OF_THE_IMAGE, self.places, self.places)
        self.etc = Path(self.release.given_etc)
        (self.etc / "app.config").write_text("[].\n")
        Path(self.release.pristine, "app.config").write_text("[].\n")
        Path(self.places.member).mkdir()

    def start(self, release: Release | None = None, **environment: str) -> list[str]:
        """Write the configuration as each start does; return the warnings."""
        release = release or self.release
        warnings = server_root.bring_up_to_date(release.root, self.places)
        warnings += given_etc.unseen(release, self.places)
        warnings += given_etc.changes(release, self.places)
        rendered = rendering.render(release, self.places, settings.read(environment), NODE)
        given_etc.show(release, self.places, rendered.files)
        return warnings + rendering.write(release, self.places, rendered)

    def read(self, name: str) -> str:
        """Return a file that the server reads."""
        return Path(self.release.etc, name).read_text()

    def operators(self) -> list[str]:
        """Return the names of what counts as the operator's."""
        return [name for _, name in given_etc.found(self.release, self.places)]

    def unread(self) -> list[str]:
        """Return the warnings of what nobody reads."""
        return sources.unread(self.release, self.places, None)
