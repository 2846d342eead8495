"""What is known of a build beside its tarball."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder_entrypoint.versions import otp_version

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_version_of_erlang_is_that_of_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read from the installation that `erl` belongs to; Erlang is not started."""
    root = tmp_path / "lib" / "erlang"
    for name, text in {
        "bin/erl": "#!/bin/sh\nexit 1\n",
        "releases/start_erl.data": "14.2.5 26\n",
        "releases/26/OTP_VERSION": "26.2.5\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "bin" / "erl").chmod(0o755)
    (tmp_path / "erl").symlink_to(root / "bin" / "erl")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert otp_version() == "26.2.5"


def test_version_of_erlang_may_be_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Erlang, or with one that hides it, there is no version."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert otp_version() is None
    (tmp_path / "erl").write_text("")
    (tmp_path / "erl").chmod(0o755)
    assert otp_version() is None
