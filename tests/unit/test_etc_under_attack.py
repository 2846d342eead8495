"""What the member's user can put into the release's own `etc` hurts no start that follows."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from member_entrypoint.files import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 10  # seconds in which a read that does not end is known


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """End a test that waits for ever."""
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("kind", ["fifo", "device", "link", "large", "folder"])
def test_a_record_that_is_no_record_is_none(tmp_path: Path, kind: str) -> None:
    """Root reads it: from a pipe or a device it would read for ever."""
    path = tmp_path / ".shown"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "link":
            (tmp_path / "other").write_text("1 name\0")
            path.symlink_to("other")
        case "large":
            path.touch()
            os.truncate(path, record.LARGEST + 1)
        case _:
            path.mkdir()
    assert record.read(str(path)) is None
