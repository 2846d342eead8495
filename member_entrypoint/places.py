"""Where is everything? Folders and files of the member image, as paths; the disk is not read."""

import os

from member_entrypoint.lean_typing import NamedTuple


class Places(NamedTuple):
    """The folders of the member image; `root` is `/` but in tests."""

    root: str

    @property
    def release(self) -> str:
        """Where the release is that counts: a link to the image's, or to the operator's."""
        return os.path.join(self.root, "usr/lib/mongooseim")

    @property
    def release_name(self) -> str:
        """The folder that the link `release` leads to; empty if it is no link."""
        try:
            return os.readlink(self.release)
        except OSError:
            return ""

    @property
    def tarball(self) -> str:
        """The release that an operator wants to run instead of the image's."""
        return os.path.join(self.member, "mongooseim.tar.gz")

    @property
    def member(self) -> str:
        """Where operators put their configuration."""
        return os.path.join(self.root, "member")

    @property
    def data(self) -> str:
        """The volume that holds the Mnesia folders."""
        return os.path.join(self.root, "var/lib/mongooseim")

    @property
    def log(self) -> str:
        """Where the server logs."""
        return os.path.join(self.root, "var/log/mongooseim")

    @property
    def log_now(self) -> str:
        """Where the server logs in this run of the container: a link to `log`, or a folder."""
        return os.path.join(self.run, "log")

    @property
    def run(self) -> str:
        """What lives as long as one run of the container: rendered files, status, locks."""
        return os.path.join(self.root, "run/mongooseim")

    @property
    def hosts(self) -> str:
        """The hosts file."""
        return os.path.join(self.root, "etc/hosts")

    @property
    def hosts_files(self) -> tuple[str, ...]:
        """The files in which the addresses of names are looked for."""
        return (self.hosts,)

    @property
    def passwd(self) -> str:
        """The users that the image knows."""
        return os.path.join(self.root, "etc/passwd")

    @property
    def resolv_conf(self) -> str:
        """The configuration of the DNS resolver."""
        return os.path.join(self.root, "etc/resolv.conf")

    def mnesia(self, node: str) -> str:
        """Return the Mnesia folder of `node`."""
        return os.path.join(self.data, f"Mnesia.{node}")
