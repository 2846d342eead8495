"""Provides the base images: uses local ones, else pulls them, else makes them from packages.

BASE_IMAGE and ERLANG_IMAGE, variables of the environment, name others: of another Debian, or of
another architecture.
"""

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
from console import ToolError, run, say, succeeds

ANSWER_TIMEOUT = 60.0
"""Seconds that a registry may take until it answers."""
PULL_TIMEOUT = 1800.0
"""Seconds that a registry may take after that to send the image."""

SUITE = "trixie"
MIRRORS = (
    f"deb http://deb.debian.org/debian {SUITE} main",
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Folders of /usr/share that Debian's slim images do not contain either.
LEFT_OUT = ("man", "info", "lintian", "locale", "doc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaseImage:
    """An image that one of our Dockerfiles starts from."""

    argument: str
    """The build argument of our Dockerfiles that names it."""
    official: str
    """The image's name in registries."""
    substitute: str
    """The name of the image that is made here if no registry answers."""
    packages: tuple[str, ...] = ()
    """Debian packages in the substitute, besides a minimal system."""


MEMBER = BaseImage(
    argument="BASE_IMAGE",
    official="debian:trixie-slim",
    substitute="mongooseim-demo/debian:trixie-mmdebstrap",
)
BUILDER = BaseImage(
    argument="ERLANG_IMAGE",
    official="erlang:27.3.4",
    substitute="mongooseim-demo/erlang:27-trixie-mmdebstrap",
    packages=("erlang-nox", "erlang-dev"),
)


def ensure(image: BaseImage) -> str:
    """Make sure that the engine has `image`; return its name there. Quick if it has it already.

    Raises ToolError if the image can neither be pulled nor made.
    """
    given = os.environ.get(image.argument)
    if given:
        problem = None if is_present(given) else _pull(given)
        if problem is not None:
            raise ToolError(f"{image.argument}={given} is not here and cannot be pulled: {problem}")
        say(f"    using {given}, as {image.argument} says")
        return given
    for name in (image.official, image.substitute):
        if is_present(name):
            say(f"    found {name}")
            return name
    problem = _pull(image.official)
    if problem is None:
        say(f"    pulled {image.official}")
        return image.official
    say(f"    {image.official} cannot be pulled: {problem}")
    say(f"    making {image.substitute} from Debian's packages instead")
    _make(image)
    return image.substitute


def arguments() -> list[str]:
    """Return the build arguments of the builder image that name its bases; have them ready.

    Raises ToolError.
    """
    return [f"{image.argument}={ensure(image)}" for image in (BUILDER, MEMBER)]


def is_present(name: str) -> bool:
    """Tell whether the engine has an image of this name."""
    return succeeds(["docker", "image", "inspect", name])


def _pull(name: str) -> str | None:
    """Pull an image; return None, or the reason why that failed."""
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
