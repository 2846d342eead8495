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
