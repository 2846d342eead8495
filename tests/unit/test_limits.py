"""A container that may have too few processes for a VM is refused before one is tried."""

from pathlib import Path

import pytest

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.pid1 import limits


@pytest.mark.parametrize("name", limits.PIDS_MAX)
def test_too_few_processes_are_refused(tmp_path: Path, name: str) -> None:
    """With either version of cgroups; the number is said."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("3\n")
    with pytest.raises(ConfigurationError, match=r"may have 3 processes .* at least 24"):
        limits.check(str(tmp_path))


@pytest.mark.parametrize("text", ["max\n", "24\n", "4096\n", "", "odd", None])
def test_other_limits_are_not(tmp_path: Path, text: str | None) -> None:
    """Nor what cannot be understood, or is not there."""
    if text is not None:
        (tmp_path / "pids.max").write_text(text)
    limits.check(str(tmp_path))


EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


@pytest.mark.parametrize(
    ("name", "text", "kills"),
    [
        ("memory.events", EVENTS, 2),
        ("memory/memory.oom_control", CONTROL, 2),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0),
        ("memory.events", "oom_kill x\noom_kill\n\n", 0),
        ("memory.events", "", 0),
        ("other", EVENTS, 0),
    ],
)
def test_kills_for_memory_are_counted(tmp_path: Path, name: str, text: str, kills: int) -> None:
    """As either version of cgroups tells; an old kernel does not. Source: the kernel's documents.

    memory.events: admin-guide/cgroup-v2.rst; oom_control: admin-guide/cgroup-v1/memory.rst.
    """
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert limits.oom_kills(str(tmp_path)) == kills
