"""Runs `mongooseimctl`, the release's own control script."""

import os
import signal
import subprocess
from collections.abc import Sequence

from member_entrypoint.release.active import Release

LONGEST_WORDS = 400  # characters of its output that are shown


def run_mongooseimctl(
    release: Release, arguments: Sequence[str], timeout: float
) -> tuple[int, str]:
    """Run `mongooseimctl`; return its status and words. Raises TimeoutError, having ended it."""
    process = subprocess.Popen(
        [release.control_script, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise TimeoutError from None
    return process.returncode, " ".join(said.split())[:LONGEST_WORDS]
