"""Provides the images, and containers that are removed after the measurement."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import base_images
import images
from console import say
from containers import Cluster, Container

from bench import ROOT, engine_api, processes
from bench.figures import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = "mongooseim-bench"
PREFIX = "bench"
CACHE = ROOT / ".cache" / "bench"
INSIDE = ROOT / "bench" / "inside"
"""Programs that run in containers, where the folder is /bench."""
PRIMARY, HOST = "bench-1", "bench-2"
"""The configuration in the image is rendered for HOST."""
STATUS_FILE = "/run/mongooseim/var/status"
READY_TIMEOUT = 120.0
"""Seconds that a server may take to start."""
LOOK_INTERVAL = 0.05
"""Seconds between checks whether it has started."""
NODE = f"mongooseim@{HOST}"
OURS = "/usr/bin/member-entrypoint"
SERVER = ("/usr/lib/mongooseim/.server/bin/mongooseim", "live", "--noshell", "-noinput", "+Bd")
"""The command that our PID 1 runs, and that the others run too."""
COMMANDS = {
    "ours": (OURS,),
    "bare VM": SERVER,
    "tini": ("/usr/bin/tini", "--", *SERVER),
    "dumb-init": ("/usr/bin/dumb-init", "--", *SERVER),
}
"""The commands that run the server as or under PID 1."""
ALONE = {"JOIN_CLUSTER": "false"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shop:
    """The images, and the number of rounds."""

    runs: int
    builder: str
    member: str
    """The member image with tini, dumb-init, and a rendered configuration."""
    release: str
    """The release in the member image, in words."""

    def fewer(self, most: int) -> int:
        """Return the number of rounds, limited to `most`, for slow measurements."""
        return min(self.runs, most)


def set_up(runs: int, tarball: Path | None) -> Shop:
    """Build the images from the current sources, with the release in `tarball` or a sample."""
    builder = images.builder_image(f"{NAMES}/builder")
    say(f"    {builder}")
    release = "the sample server, a stand-in for MongooseIM" if tarball is None else tarball.name
    if tarball is None:
        tarball = images.sample_release(builder, CACHE)
    base = images.build(
        f"{NAMES}/base",
        ROOT / "bench" / "images" / "base",
        f"BASE_IMAGE={base_images.ensure(base_images.MEMBER)}",
    )
    member = images.build(
        f"{NAMES}/rendered",
        ROOT / "bench" / "images" / "rendered",
        f"MEMBER_IMAGE={images.member_image(f'{NAMES}/member', base, tarball)}",
        f"NODE_HOST={HOST}",
    )
    say(f"    {member}, with {release}")
    return Shop(runs=runs, builder=builder, member=member, release=release)


@contextlib.contextmanager
def containers(shop: Shop) -> Iterator[Cluster]:
    """Provide a network for containers; remove it and them afterwards in any case."""
    cluster = Cluster(shop.member, PREFIX)
    try:
        yield cluster
    finally:
        cluster.remove()


def make(  # noqa: PLR0913 - as docker create
    cluster: Cluster,
    command: tuple[str, ...],
    *,
    host: str = HOST,
    env: dict[str, str] | None = None,
    options: tuple[str, ...] = (),
    volumes: tuple[str, ...] = (),
    image: str | None = None,
) -> Container:
    """Create a container with `command` as its PID 1, without starting it."""
    return cluster.run(
        host,
        *command[1:],
        env=env or {},
        options=(f"--entrypoint={command[0]}", *options),
        volumes=(f"{INSIDE}:/bench:ro", *volumes),
        image=image,
        start=False,
    )


def discard(cluster: Cluster, container: Container) -> None:
    """Remove a container of the cluster."""
    container.remove()
    cluster.containers.remove(container)


def status(pid: int) -> str:
    """Return the content of the status file of the server in the container of `pid`."""
    try:
        return processes.file_of(pid, STATUS_FILE).read_text(errors="replace").strip()
    except OSError:
        return ""


def wait_until_started(container: Container) -> tuple[int, float]:
    """Wait until the status file contains `started`; return PID 1 and the time of the file.

    The time (as `time.time`) is the modification time of the file, so it does not depend on when
    we look; it is precise to 4 ms. Raises BenchmarkError with the container's log.
    """
    pid = 0
    try:
        pid = engine_api.pid(container.name)
        processes.wait_for(
            lambda: status(pid) == "started" or not _exists(pid),
            f"{container.name} starts its server",
            READY_TIMEOUT,
            LOOK_INTERVAL,
        )
        return pid, _written_at(pid)
    except (BenchmarkError, OSError) as error:
        raise BenchmarkError(f"{error}\n{container.logs()}") from error


def _written_at(pid: int) -> float:
    if status(pid) != "started":
        raise BenchmarkError("it has ended before its server started")
    return processes.file_of(pid, STATUS_FILE).stat().st_mtime


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def printed_at(container: Container, text: str) -> float:
    """Return when the container printed the first line with `text` (as `time.time`).

    Raises BenchmarkError if there is no such line.
    """
    for at, line in engine_api.lines(container.name):
        if text in line:
            return at
    raise BenchmarkError(f"{container.name} did not print {text!r}:\n{container.logs()}")


def wait_until_printed(container: Container, text: str, timeout: float) -> None:
    """Wait until the container has printed `text`. Raises BenchmarkError with its log."""
    try:
        processes.wait_for(
            lambda: (
                bool(engine_api.pid(container.name))
                and any(text in line for _, line in engine_api.lines(container.name))
            ),
            f"{container.name} prints {text!r}",
            timeout,
            2 * LOOK_INTERVAL,
        )
    except BenchmarkError as error:
        raise BenchmarkError(f"{error}\n{container.logs()}") from error


def settle(seconds_long: float = 1.0) -> None:
    """Wait, so that the machine becomes idle."""
    time.sleep(seconds_long)


def require_root() -> None:
    """Raise BenchmarkError unless /proc of the containers' processes can be read."""
    if os.geteuid() != 0 or not Path("/proc/self/smaps_rollup").exists():
        raise BenchmarkError(
            "the benchmark reads /proc of the containers' processes: run it as root, on Linux,"
            " where the engine runs"
        )
    if not Path(engine_api.socket_path()).exists():
        raise BenchmarkError(f"there is no engine at {engine_api.socket_path()}")


class Spent(NamedTuple):
    """The time that a command needed, in seconds."""

    wall: float
    cpu: float
    """CPU time of the command and of all processes that it waited for."""


def timed(
    container: Container,
    *command: str,
    status: str = "0",
    timeout: float = READY_TIMEOUT,
) -> Spent:
    """Run a command in a running container; return the time in there, without docker's part.

    Raises BenchmarkError with its output unless it ends with `status` ("not-0": any but 0).
    """
    measured = ("python3", "-I", "/bench/timed.py", status, *command)
    done = container.exec(*measured, timeout=timeout)
    if done.returncode != 0:
        raise BenchmarkError(f"{container.name}: {done.stdout}{done.stderr}")
    return Spent(**json.loads(done.stdout))
