"""A member's volume: an ext4 file system of its own, which can be full, slow, or emptied.

It needs loop devices. It is slow as `fsfreeze` makes it: whoever writes meanwhile waits in the
kernel, as for a disk that does not keep up. (A bandwidth limit of the block layer would leave most
writes alone: they go to the page cache.)
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hosts import Host

SIZE = "28M"
FROZEN, THAWED = 0.4, 0.1
"""Seconds for which a slow volume takes no writes, and then takes them, by turns."""
FREEZER = f"""
import fcntl, os, select, sys
FREEZE, THAW = 0xC0045877, 0xC0045878  # FIFREEZE, FITHAW of linux/fs.h
volume = os.open(sys.argv[1], os.O_RDONLY)
def ended(seconds):
    return bool(select.select([0], [], [], seconds)[0])
while not ended({THAWED}):
    fcntl.ioctl(volume, FREEZE, 0)
    try:
        ended({FROZEN})
    finally:
        fcntl.ioctl(volume, THAW, 0)
"""
"""Freezes a volume by turns until its input ends. It starts no process, which could fail, and leave
a volume frozen: that hangs all who write, even after a kill."""
FILLER = "filler"
END = 30.0
"""Seconds within which a volume is not slow any more: it is thawed at once, if the machine runs."""


class VolumeError(Exception):
    """No such volume can be made on this machine."""


class Volume:
    """The volume of one host, mounted where the host's processes see it."""

    def __init__(self, host: Host, path: Path) -> None:
        """Make it, empty; raises `VolumeError`."""
        self.path = path
        self._host = host
        self._slowed: subprocess.Popen[bytes] | None = None
        image = host.root / "volume.img"
        try:
            host.shell(
                f"truncate -s {SIZE} {image} && mkfs.ext4 -q -F -m 0 {image}"
                f" && mount -t ext4 -o loop {image} {path}"
            )
        except subprocess.CalledProcessError as error:
            why = error.stderr.strip().replace("\n", "; ")
            raise VolumeError(f"the soak needs root, loop devices and ext4: {why}") from error

    def wipe(self) -> None:
        """Empty it."""
        self._host.shell(f"find {self.path} -mindepth 1 -delete")

    def fill(self) -> None:
        """Fill it, so that nothing more can be written there."""
        self._host.shell(f"head -c 1g /dev/zero > {self.path / FILLER} 2>/dev/null || true")

    def slow(self) -> None:
        """Have all writes wait, again and again, until `heal`, or until this process ends."""
        self._slowed = subprocess.Popen(
            [*self._host.inside(), sys.executable, "-I", "-S", "-c", FREEZER, str(self.path)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )

    def heal(self) -> None:
        """Take away what filled it and what made it slow."""
        if self._slowed:
            self._slowed.communicate(timeout=END)
            self._slowed = None
        self._host.shell(f"rm -f {self.path / FILLER}")

    def copy(self, target: Path) -> None:
        """Copy what is there, as far as that is possible."""
        with contextlib.suppress(subprocess.SubprocessError):
            self._host.shell(
                f"rm -rf {target}; cp -a {self.path} {target}; rm -f {target}/{FILLER}"
            )
