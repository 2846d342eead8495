"""Where the kernel tells how many processes it has killed for lack of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder_entrypoint.memory import kills

if TYPE_CHECKING:
    from pathlib import Path

ONE = "4:memory:/docker/x\n3:cpuset:/docker/x\n0::/docker/x\n"
TWO = "0::/user/x\n"
EVENTS = "low 0\nhigh 0\nmax 9\noom 5\noom_kill {}\noom_group_kill 7\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


@pytest.mark.parametrize(
    ("group", "files"),
    [
        (ONE, {"sys/fs/cgroup/memory/docker/x/memory.oom_control": CONTROL}),
        (ONE, {"sys/fs/cgroup/memory/memory.oom_control": CONTROL}),
        (TWO, {"sys/fs/cgroup/user/x/memory.events": EVENTS}),
        ("0::/\n", {"sys/fs/cgroup/memory.events": EVENTS}),
        ("0::/../other\n", {"sys/fs/cgroup/memory.events": EVENTS}),
        (TWO, {}),
        ("", {}),
    ],
)
def test_count_is_found_wherever_the_groups_are(
    tmp_path: Path, group: str, files: dict[str, str]
) -> None:
    """In both versions of the groups, in a container and outside; else that of the machine."""
    found = {**files, "proc/self/cgroup": group, "proc/vmstat": "oom_kill 3\npgfault 1\n"}
    for name, text in found.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.format(8))
    assert kills(tmp_path) == (8 if files else 3)


def test_count_that_nobody_tells_is_0(tmp_path: Path) -> None:
    """So that a build never fails for it."""
    assert kills(tmp_path) == 0
