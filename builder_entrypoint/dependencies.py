"""Gives rebar3 its dependencies from git without a network: from mirrors, for one build only.

rebar3 clones the address that its lock has; git is told, by variables of the environment, to take a
folder instead. That is a copy of the mirror, so that other builds need not wait for this one, and
so that nothing that the build does can change the cache.
"""

import hashlib
from functools import partial
from pathlib import Path

from builder_entrypoint.errors import SourceError
from builder_entrypoint.job import Job
from builder_entrypoint.lockfile import Lock, unlocked_requests
from builder_entrypoint.masking import Mask
from builder_entrypoint.mirror import Mirror


def prepare_git(job: Job, lock: Lock) -> dict[str, str]:
    """Fetch what the lock pins; return the variables with which git finds it.

    What cannot be fetched is left to rebar3, which may know better, or else fails with its own
    words. Raises `StoppedError`.
    """
    instead = {}
    for address, names in _wanted(job.source.folder, lock).items():
        folder = job.work / "dependencies" / hashlib.sha256(address.encode()).hexdigest()[:16]
        try:
            job.mirrors.use(address, partial(_copy, job, folder, names))
            instead[address] = folder
        except SourceError as error:
            text = Mask(address).text(f"{address} is left to rebar3: {error}")
            job.processes.output.say(text)
    return _git_variables(job, instead)


def _wanted(source: Path, lock: Lock) -> dict[str, list[str]]:
    """Return which commits and tags are wanted of each address.

    Addresses of which a branch is wanted, too, are left out: a branch is not pinned.
    """
    wanted: dict[str, list[str]] = {}
    for dependency in lock.git:
        wanted.setdefault(dependency.address, []).append(dependency.commit)
    requests = unlocked_requests(source, lock)
    for request in requests:
        wanted.setdefault(request.address, []).append(request.name)
    for request in requests:
        if request.kind == "branch":
            wanted.pop(request.address, None)
    return wanted


def _copy(job: Job, folder: Path, names: list[str], mirror: Mirror) -> None:
    """Copy the mirror to `folder` once it has all of `names`."""
    for name in names:
        mirror.find_pinned(name)
    clone = ("clone", "--quiet", "--mirror", "--", str(mirror.folder), str(folder))
    job.mirrors.git.run_checked("clone failed", None, *clone)


def _git_variables(job: Job, instead: dict[str, Path]) -> dict[str, str]:
    """Return the variables that tell git to take folders instead of addresses."""
    first = _number(job.environment.get("GIT_CONFIG_COUNT", ""))
    variables = {}
    for number, (address, folder) in enumerate(instead.items(), first):
        variables[f"GIT_CONFIG_KEY_{number}"] = f"url.{folder}.insteadOf"
        variables[f"GIT_CONFIG_VALUE_{number}"] = address
    return variables | {"GIT_CONFIG_COUNT": str(first + len(instead))} if instead else {}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
