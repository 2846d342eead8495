"""What is installed, where, and how is it called? A MongooseIM release on the disk.

The release is as it came, with what operators put into it; the server runs from the folder
`.server` in it, which is ours: `server_root`.
"""

import os
import re
from collections.abc import Mapping

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.lean_typing import NamedTuple

SERVER = ".server"
PRISTINE = "etc.pristine"
PROGRAMS = ("bin/mongooseim", "bin/mongooseimctl")
OF_THE_IMAGE = "mongooseim-image"
FIRST_IN_STEP, OTP_IS_AHEAD_BY = 11, 12
_VERSION = re.compile(r"[\w.+~-]+")


class Release(NamedTuple):
    """A release: its root folder, and the versions that its `start_erl.data` names.

    For who asks what a start would do: `unwritten` are contents of `etc` by name, which count
    instead of what is on the disk; `names` are those of the release's own files in it, if it is not
    on the disk itself.
    """

    root: str
    erts: str
    version: str
    unwritten: Mapping[str, bytes] = {}
    names: frozenset[str] = frozenset()

    @property
    def server(self) -> str:
        """The folder that the server runs from."""
        return os.path.join(self.root, SERVER)

    @property
    def start_script(self) -> str:
        """`bin/mongooseim`, which becomes the VM."""
        return os.path.join(self.server, "bin/mongooseim")

    @property
    def control_script(self) -> str:
        """`bin/mongooseimctl`, which boots a VM of its own for each call."""
        return os.path.join(self.server, "bin/mongooseimctl")

    @property
    def erl(self) -> str:
        """The release's own `erl`."""
        return os.path.join(self.server, f"erts-{self.erts}", "bin/erl")

    @property
    def etc(self) -> str:
        """The configuration that the server reads, rendered at each start."""
        return os.path.join(self.server, "etc")

    @property
    def given_etc(self) -> str:
        """The configuration as operators see it: the release's, and what they put there."""
        return os.path.join(self.root, "etc")

    @property
    def pristine(self) -> str:
        """The configuration as the release came with it."""
        return os.path.join(self.server, PRISTINE)

    @property
    def status_file(self) -> str:
        """`starting`, `started` or `stopped`, written by the server."""
        return os.path.join(self.server, "var/status")

    @property
    def pid_file(self) -> str:
        """The VM's pid, written by the server."""
        return os.path.join(self.server, "var/pid")

    def status(self) -> str:
        """Return what the status file says; empty if there is none."""
        try:
            with open(self.status_file, encoding="utf-8", errors="replace") as file:
                return file.read(100).strip()
        except OSError:
            return ""


def otp_of(erts: str) -> str:
    """Return the Erlang/OTP of a version of the VM: 27 has erts 15; empty where that is not known.

    Source: OTP's versions table; so it is from OTP 23 (erts 11) on.
    """
    major = erts.partition(".")[0]
    if not major.isdecimal() or int(major) < FIRST_IN_STEP:
        return ""
    return str(int(major) + OTP_IS_AHEAD_BY)


def find(root: str) -> Release:
    """Return the release in the folder `root`.

    Raises `ConfigurationError` where there is none, or one without the parts that we call.
    """
    data = os.path.join(root, "releases/start_erl.data")
    try:
        with open(data, "rb") as file:
            release = described(root, data, file.read(1000))
    except OSError as error:
        raise ConfigurationError(
            f"no MongooseIM release at {root}: {data} cannot be read ({error.strerror}); "
            "build the image from a release tarball (member/mongooseim.tar.gz), or mount one as "
            "/member/mongooseim.tar.gz"
        ) from None
    for program in programs(release):
        path = os.path.join(root, program)
        if not os.access(path, os.X_OK):
            raise ConfigurationError(
                f"the release at {root} has no program {path}; "
                "the release is damaged, build the image anew"
            )
    return release


def described(root: str, data: str, content: bytes) -> Release:
    """Return the release in `root` that the `content` of its start_erl.data describes.

    `data` is the path of that file. Raises `ConfigurationError` for a content that makes no sense.
    """
    words = content.decode(errors="replace").split()
    if len(words) != 2 or not all(map(_VERSION.fullmatch, words)):  # noqa: PLR2004
        raise ConfigurationError(
            f"{data} should say ERTS_VERSION RELEASE_VERSION, but says {' '.join(words)!r}; "
            "the release is damaged, build the image anew"
        )
    erts, version = words
    return Release(root, erts, version)


def programs(release: Release) -> tuple[str, ...]:
    """Return the paths, in the release, of the programs that we call."""
    return (*PROGRAMS, f"erts-{release.erts}/bin/erl")
