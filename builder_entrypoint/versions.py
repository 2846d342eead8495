"""Finds out the versions of Erlang/OTP and of a release, without starting either."""

import os
import shutil
from pathlib import Path


def mongooseim_version(release: Path) -> str | None:
    """Return the version in `releases/start_erl.data`; None if there is none."""
    words = _words(release / "releases" / "start_erl.data")
    return words[1] if len(words) > 1 else None


def otp_version() -> str | None:
    """Return the version of the Erlang/OTP on PATH; None if it is unknown."""
    erl = shutil.which("erl")
    if erl is None:
        return None
    root = Path(os.path.realpath(erl)).parent.parent
    words = _words(root / "releases" / "start_erl.data")
    release = words[1] if len(words) > 1 else ""
    return next(iter(_words(root / "releases" / release / "OTP_VERSION")), None)


def applications(release: Path) -> dict[str, str]:
    """Return the Erlang applications of a release, each with its version, sorted."""
    names = sorted(path.name for path in (release / "lib").glob("*-*") if path.is_dir())
    return {name: version for name, _, version in (each.partition("-") for each in names)}


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").split()
    except OSError:
        return []
