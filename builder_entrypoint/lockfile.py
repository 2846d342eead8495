"""Reads which dependencies a source has, from its `rebar.lock` and `rebar.config`.

Both are Erlang terms; rebar3 writes the lock in one form, and of the configuration only the
dependencies from git matter here, which people write in few forms.
"""

import re
from pathlib import Path
from typing import NamedTuple

_STRING = r'<<"([^"]*)"(?:/utf8)?>>'
_PACKAGE = re.compile(rf"\{{{_STRING},\s*\{{pkg,\s*{_STRING},\s*{_STRING}[^}}]*\}},\s*\d+\}}")
_GIT = re.compile(
    rf'\{{{_STRING},\s*\{{git(?:_subdir)?,\s*"([^"]+)",\s*\{{ref,\s*"([0-9a-f]+)"\}}[^}}]*\}},\s*\d+\}}'
)
_HASHES = re.compile(r"\{(pkg_hash|pkg_hash_ext),\s*\[(.*?)\]\}", re.DOTALL)
_HASH = re.compile(rf"\{{{_STRING},\s*{_STRING}\}}")
_ASKED = re.compile(
    r"""\{\s*'?(\w+)'?\s*,(?:\s*"[^"]*"\s*,)?\s*\{\s*git\s*,\s*"([^"]+)"\s*"""
    r"""(?:,\s*\{\s*(branch|tag|ref)\s*,\s*"([^"]+)"\s*\})?"""
)


class Package(NamedTuple):
    """A dependency from Hex."""

    application: str
    name: str
    version: str
    sha256: str | None
    """Checksum of the package's tarball, in lower case; None if the lock has none."""


class GitDependency(NamedTuple):
    """A dependency from git."""

    application: str
    address: str
    commit: str
    """Full hash."""


class GitRequest(NamedTuple):
    """What `rebar.config` asks for, of a plugin or dependency that the lock does not have."""

    address: str
    kind: str
    """`branch`, `tag` or `ref`."""
    name: str


class Lock(NamedTuple):
    """All that a lock pins."""

    packages: tuple[Package, ...] = ()
    git: tuple[GitDependency, ...] = ()

    @property
    def applications(self) -> list[str]:
        """The names of all applications, sorted."""
        return sorted(
            [one.application for one in self.packages] + [one.application for one in self.git]
        )


def read_lock(folder: Path) -> Lock:
    """Return what the `rebar.lock` in a folder pins; nothing if there is none."""
    text = _read(folder / "rebar.lock")
    # The outer checksum is that of the file; older locks have the inner one only.
    hashes = dict(_HASHES.findall(text))
    checksums = {
        name: value.lower() for name, value in _HASH.findall(hashes.get("pkg_hash_ext", ""))
    }
    return Lock(
        tuple(
            Package(application, name, version, checksums.get(application))
            for application, name, version in _PACKAGE.findall(text)
        ),
        tuple(GitDependency(*found) for found in _GIT.findall(text)),
    )


def unlocked_requests(folder: Path, lock: Lock) -> list[GitRequest]:
    """Return what `rebar.config` wants from git and the lock does not pin, such as plugins."""
    text = re.sub(r"%.*", "", _read(folder / "rebar.config"))
    return [
        GitRequest(address, kind or "branch", name)
        for application, address, kind, name in _ASKED.findall(text)
        if application not in lock.applications
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
