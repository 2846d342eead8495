"""The base images: there already, else pulled, else made from Debian's packages."""

from __future__ import annotations

import dataclasses
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import apt
from console import run, say, succeeds

ANSWER_TIMEOUT = 60.0
"""Seconds that a registry may take to answer at all."""
PULL_TIMEOUT = 1800.0
"""Seconds that it may take to send the image then."""

SUITE = "trixie"
MIRRORS = (
    f"deb http://deb.debian.org/debian {SUITE} main",
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What Debian's own slim images leave out.
LEFT_OUT = ("man", "info", "lintian", "locale", "doc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaseImage:
    """An image that a Dockerfile of ours starts from."""

    official: str
    """The name that registries know it by."""
    substitute: str
    """The name of what is made here where no registry answers."""
    packages: tuple[str, ...] = ()
    """Debian packages that make the substitute."""


MEMBER = BaseImage(
    official="debian:trixie-slim",
    substitute="mongooseim-demo/debian:trixie-mmdebstrap",
)
BUILDER = BaseImage(
    official="erlang:27.3.4",
    substitute="mongooseim-demo/erlang:27-trixie-mmdebstrap",
    packages=("erlang-nox", "erlang-dev"),
)


def ensure(image: BaseImage) -> str:
    """Return the name under which `image` is present now; quick when it was before.

    Raises ToolError when it can neither be pulled nor made.
    """
    for name in (image.official, image.substitute):
        if is_present(name):
            say(f"    {name} is there")
            return name
    problem = _pull(image.official)
    if problem is None:
        say(f"    {image.official} was pulled")
        return image.official
    say(f"    {image.official} cannot be pulled: {problem}")
    say(f"    making {image.substitute} from Debian's packages instead")
    _make(image)
    return image.substitute


def is_present(name: str) -> bool:
    """Tell whether the engine has an image of this name."""
    return succeeds(["docker", "image", "inspect", name])


def _pull(name: str) -> str | None:
    """Pull an image; return None, or what went wrong."""
    process = subprocess.Popen(
        ["docker", "pull", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    deadline = time.monotonic() + ANSWER_TIMEOUT
    last = ""
    try:
        while (line := lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
            if not last:
                deadline = time.monotonic() + PULL_TIMEOUT
            last = line
    except queue.Empty:
        process.kill()
        process.wait()
        return "the image did not come in time" if last else "no answer from the registry"
    return None if process.wait() == 0 else last


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line.strip())
    lines.put(None)


def _make(image: BaseImage) -> None:
    if shutil.which("mmdebstrap") is None or not Path(KEYRING).exists():
        apt.install(
            ["mmdebstrap", "debian-archive-keyring"],
            purpose=f"making {image.substitute}",
        )
    with tempfile.TemporaryDirectory(prefix="base-image-") as folder:
        archive = os.path.join(folder, "image.tar")
        run(
            [
                "mmdebstrap",
                "--variant=minbase",
                *(f"--include={package}" for package in image.packages),
                f"--keyring={KEYRING}",
                *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
                "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                "--aptopt=APT::Install-Recommends false",
                "--aptopt=Acquire::Languages none",
                "--format=tar",
                SUITE,
                archive,
                *MIRRORS,
            ],
            what=f"mmdebstrap for {image.substitute}",
            timeout=900,
        )
        run(
            ["docker", "import", '--change=CMD ["bash"]', archive, image.substitute],
            what=f"importing {image.substitute}",
        )
