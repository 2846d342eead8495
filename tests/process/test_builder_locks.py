"""Locks on files that another build removes, or that cannot be opened."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from builder_tools import DEADLINE, ROOT, Repository, Workshop

if TYPE_CHECKING:
    from pathlib import Path

# Locks a file that its previous owner removes after it was opened and before it is locked.
REMOVED_BETWEEN = """
import os, pathlib, sys
path = pathlib.Path(sys.argv[1])
removals = iter([path])
def before(event, arguments):
    if event == "fcntl.flock":
        for removed in removals:
            removed.unlink()
sys.addaudithook(before)
from builder_entrypoint.locks import try_lock
descriptor = try_lock(path)
print(next(removals, "removed"), os.path.samestat(os.fstat(descriptor), os.stat(path)))
"""


def test_lock_is_on_the_file_that_has_the_name(tmp_path: Path) -> None:
    """A file removed before it is locked is of no use: the next build would lock another one."""
    printed = subprocess.run(
        [sys.executable, "-c", REMOVED_BETWEEN, str(tmp_path / "lock")],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (printed.stdout, printed.stderr) == ("removed True\n", "")


def test_lock_that_cannot_be_opened_is_named(workshop: Workshop, repository: Repository) -> None:
    """The error names the file and the reason; it does not blame the work folder."""
    assert workshop.build("p", repository.url, "master").status == 0
    lock = next((workshop.builds / ".cache" / "git").glob("*.lock"))
    lock.unlink()
    lock.symlink_to(workshop.folder / "elsewhere")
    result = workshop.build("p", repository.url, "master")
    assert result.status == 1
    assert result.said[-2] == (
        f"reading or writing a file failed: [Errno 40] Too many levels of symbolic links: '{lock}'"
    )
