"""Finds out the versions of Erlang/OTP and of a release, without starting either."""

import os
import shutil
from pathlib import Path

CARRIED = "otp-libraries"
"""The folder, in an Erlang/OTP and in a release, of shared libraries that Debian lacks."""


def mongooseim_version(release: Path) -> str | None:
    """Return the version in `releases/start_erl.data`; None if there is none."""
    words = _words(release / "releases" / "start_erl.data")
    return words[1] if len(words) > 1 else None


def otp_root() -> Path | None:
    """Return the folder of the Erlang/OTP on PATH; None if there is none."""
    erl = shutil.which("erl")
    return None if erl is None else Path(os.path.realpath(erl)).parent.parent


def otp_version() -> str | None:
    """Return the version of the Erlang/OTP on PATH; None if it is unknown."""
    root = otp_root()
    if root is None:
        return None
    words = _words(root / "releases" / "start_erl.data")
    release = words[1] if len(words) > 1 else ""
    return next(iter(_words(root / "releases" / release / "OTP_VERSION")), None)


def applications(release: Path) -> dict[str, str]:
    """Return the Erlang applications of a release, each with its version, sorted."""
    names = sorted(path.name for path in (release / "lib").glob("*-*") if path.is_dir())
    return {name: version for name, _, version in (each.partition("-") for each in names)}


def carried_libraries(root: Path | None) -> list[str]:
    """Return the names of the shared libraries that an Erlang/OTP or a release carries, sorted."""
    folder = None if root is None else root / CARRIED
    return sorted(path.name for path in folder.iterdir()) if folder and folder.is_dir() else []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").split()
    except OSError:
        return []
