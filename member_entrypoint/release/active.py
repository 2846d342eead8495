"""What is installed, where, and how is it called? A MongooseIM release on the disk."""

import os
import re
from typing import NamedTuple

from member_entrypoint import state
from member_entrypoint.errors import ConfigurationError

PRISTINE = "etc.pristine"
OF_THE_IMAGE = "mongooseim-image"
PLAIN_TCP = frozenset({"inet_tcp", "inet6_tcp"})


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
    def state_file(self) -> str:
        """Where the member is in its life, in one word of `state.STATES`; PID 1 writes it."""
        return os.path.join(self.root, state.STATE_FILE)

    @property
    def partition_file(self) -> str:
        """There while this node is on the losing side of a partition; its text says why."""
        return os.path.join(self.root, state.PARTITION_FILE)

    @property
    def left_file(self) -> str:
        """There when this node has left its cluster in this life; its text says so."""
        return os.path.join(self.root, state.LEFT_FILE)

    @property
    def hosts(self) -> str:
        """The hosts file."""
        return os.path.join(self.root, "etc/hosts")

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


class Release(NamedTuple):
    """A release: its root folder, and the versions that its `start_erl.data` names."""

    root: str
    erts: str
    version: str

    @property
    def start_script(self) -> str:
        """`bin/mongooseim`, which becomes the VM."""
        return os.path.join(self.root, "bin/mongooseim")

    @property
    def control_script(self) -> str:
        """`bin/mongooseimctl`, which boots a VM of its own for each call."""
        return os.path.join(self.root, "bin/mongooseimctl")

    @property
    def erl(self) -> str:
        """The release's own `erl`."""
        return os.path.join(self.root, f"erts-{self.erts}", "bin/erl")

    @property
    def etc(self) -> str:
        """The configuration that the server reads, rendered at each start."""
        return os.path.join(self.root, "etc")

    @property
    def pristine(self) -> str:
        """The configuration as the release came with it."""
        return os.path.join(self.root, PRISTINE)

    @property
    def status_file(self) -> str:
        """`starting`, `started` or `stopped`, written by the server."""
        return os.path.join(self.root, "var/status")

    @property
    def pid_file(self) -> str:
        """The VM's pid, written by the server."""
        return os.path.join(self.root, "var/pid")

    def flags(self) -> dict[str, str]:
        """Return the VM's flags that begin a line of vm.args or vm.dist.args, with their values."""
        texts = (_read(os.path.join(self.etc, name)) for name in ("vm.args", "vm.dist.args"))
        found = (re.findall(r"^[ \t]*-(\w+)[ \t]+(\S+)", text, re.MULTILINE) for text in texts)
        return {name: value for pairs in found for name, value in pairs}

    def carrier(self) -> str:
        """Return how the node is reached: `tcp`, `other` (such as TLS), `none` without epmd."""
        flags = self.flags()
        if "epmd_module" in flags or "false" in {flags.get("start_epmd"), flags.get("dist_listen")}:
            return "none"
        return "tcp" if flags.get("proto_dist", "inet_tcp") in PLAIN_TCP else "other"

    def status(self) -> str:
        """Return what the status file says; empty if there is none."""
        try:
            with open(self.status_file, encoding="utf-8", errors="replace") as file:
                return file.read(100).strip()
        except OSError:
            return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def find(root: str) -> Release:
    """Return the release in the folder `root`.

    Raises `ConfigurationError` where there is none, or one without the parts that we call.
    """
    data = os.path.join(root, "releases/start_erl.data")
    try:
        with open(data, encoding="utf-8", errors="replace") as file:
            words = file.read(1000).split()
    except OSError as error:
        raise ConfigurationError(
            f"no MongooseIM release at {root}: {data} cannot be read ({error.strerror}); "
            "build the image from a release tarball (member/mongooseim.tar.gz), or mount one as "
            "/member/mongooseim.tar.gz"
        ) from None
    if len(words) != 2:  # noqa: PLR2004
        raise ConfigurationError(
            f"{data} should say ERTS_VERSION RELEASE_VERSION, but says {' '.join(words)!r}; "
            "the release is damaged, build the image anew"
        )
    release = Release(root, *words)
    for program in (release.start_script, release.control_script, release.erl):
        if not os.access(program, os.X_OK):
            raise ConfigurationError(
                f"the release at {root} has no program {program}; "
                "the release is damaged, build the image anew"
            )
    return release
