"""The file in which Kubernetes looks why a container ended: `kubectl describe pod` shows it.

The kubelet mounts it as a regular file that everybody may write, and reads the last 4 KiB of it.
Where no such file is mounted, nothing is written.
"""

import contextlib
import os
import stat

from member_entrypoint.files import folders

PATH = "dev/termination-log"
LONGEST = 4096  # bytes that the kubelet reads
WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def note(root: str, text: str) -> None:
    """Have Kubernetes show `text`, instead of what was noted before; never raises."""
    path = os.path.join(root, PATH)
    with contextlib.suppress(OSError):
        descriptor = os.open(path, WRITE)
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            if is_file and folders.is_mounted(path, os.path.dirname(path)):
                os.ftruncate(descriptor, 0)
                data = text.encode(errors="backslashreplace")[:LONGEST]
                # Half a character at the end would not be UTF-8, which all is in Kubernetes' API.
                os.write(descriptor, data.decode(errors="ignore").encode())
        finally:
            os.close(descriptor)
