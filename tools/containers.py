"""Containers through the docker command, for the demonstration and for the tests.

    cluster = Cluster(image="mongooseim")
    first = cluster.run("mongooseim-1")
    first.wait_for_log("MongooseIM cluster primary node")
    assert first.running_db_nodes() == {"mongooseim@mongooseim-1"}
    assert first.stop() < 3
    cluster.remove()

All times are seconds. What takes longer than it may raises DockerError, as does a docker command
that fails.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import run, wait_for
from docker_cli import COMMAND_TIMEOUT, DockerError, docker, docker_result

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Mapping

PREFIX = "mimtest"
"""What the names of a Cluster's containers, networks and volumes begin with."""
OWNER_LABEL = f"{PREFIX}.owner"
"""The pid of the process that made them and will remove them."""
CTL = "/usr/lib/mongooseim/bin/mongooseimctl"
NODE_PATTERN = re.compile(r"[^\s'\"\[\],{}]+@[^\s'\"\[\],{}]+")


def node_names(text: str) -> frozenset[str]:
    """Return the node names in what `mongooseimctl` prints, as JSON or as Erlang terms."""
    return frozenset(NODE_PATTERN.findall(text))


class Container:
    """A container that exists; running or not."""

    def __init__(self, name: str, host: str) -> None:
        """Take a container by its name; `host` is its host name."""
        self.name = name
        self.host = host

    def __repr__(self) -> str:
        """Return how it appears in a failed assertion."""
        return f"<Container {self.name}>"

    def inspect(self, template: str) -> str:
        """Return what `docker inspect --format TEMPLATE` says."""
        return docker("inspect", "--type=container", "--format", template, self.name)

    def logs(self) -> str:
        """Return all that the container has printed, over all its starts."""
        done = docker_result("logs", self.name)
        return (done.stdout + done.stderr).replace("\r\n", "\n")

    def exec(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stdin: str | None = None,
        timeout: float = COMMAND_TIMEOUT,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the container and return its result, whatever its status."""
        options = [f"--env={key}={value}" for key, value in (env or {}).items()]
        if user is not None:
            options.append(f"--user={user}")
        if stdin is not None:
            options.append("--interactive")
        return docker_result("exec", *options, self.name, *command, timeout=timeout, stdin=stdin)

    def stop(self, *, grace: float = 30) -> float:
        """Stop the container, SIGKILL after `grace` seconds; return how long that took."""
        begin = time.monotonic()
        docker("stop", f"--time={grace:.0f}", self.name, timeout=grace + COMMAND_TIMEOUT)
        return time.monotonic() - begin

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal to the container's PID 1; with KILL it is over when this returns."""
        docker("kill", f"--signal={signal}", self.name)
        if signal.upper().removeprefix("SIG") in {"KILL", "9"}:
            self.wait_exit()

    def start(self) -> None:
        """Start the container again, with its files as they were left."""
        docker("start", self.name)

    def is_running(self) -> bool:
        """Tell whether its PID 1 lives."""
        return self.inspect("{{.State.Running}}") == "true"

    def exit_status(self) -> int:
        """Return the exit status of PID 1, 137 for SIGKILL; only of a container that ended."""
        running, status = self.inspect("{{.State.Running}} {{.State.ExitCode}}").split()
        if running == "true":
            raise DockerError(f"{self.name} is still running")
        return int(status)

    def wait_exit(self, timeout: float = 60) -> int:
        """Wait until the container has ended; return the exit status of its PID 1."""
        try:
            return int(docker("wait", self.name, timeout=timeout))
        except DockerError as error:
            raise DockerError(f"{error}\n{self.logs()}") from error

    def wait_for_log(self, text: str, timeout: float = 60, *, count: int = 1) -> str:
        """Wait until `text` has been printed `count` times; return all that was printed.

        Fails at once when the container ends without.
        """
        deadline = time.monotonic() + timeout
        while True:
            over = not self.is_running()
            logs = self.logs()
            if logs.count(text) >= count:
                return logs
            if over or time.monotonic() >= deadline:
                why = "it ended" if over else f"it did not in {timeout} s"
                raise DockerError(f"{self.name} should print {text!r}; {why}:\n{logs}")
            time.sleep(0.1)

    def wait_for(
        self, condition: Callable[[], bool], timeout: float = 60, *, what: str = "the condition"
    ) -> None:
        """Wait until `condition` holds; fails with the container's logs."""
        if not wait_for(condition, timeout=timeout):
            raise DockerError(f"{self.name}: no {what} in {timeout} s:\n{self.logs()}")

    def ip(self, network: str | None = None) -> str:
        """Return its IPv4 address in `network`, by default in the first that it is in."""
        networks: dict[str, Any] = json.loads(self.inspect("{{json .NetworkSettings.Networks}}"))
        chosen = networks.values() if network is None else [networks[network]]
        for each in chosen:
            if each["IPAddress"]:
                return str(each["IPAddress"])
        raise DockerError(f"{self.name} has no address")

    def ctl(self, *arguments: str, timeout: float = COMMAND_TIMEOUT) -> str:
        """Return what `mongooseimctl` prints; fails when it does."""
        done = self.exec(CTL, *arguments, timeout=timeout)
        if done.returncode != 0:
            raise DockerError(
                f"{self.name}: mongooseimctl {' '.join(arguments)}: status {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout.strip()

    def mnesia_info(self, key: str) -> str:
        """Return what the server says of `mnesia:system_info(KEY)`: an Erlang term or JSON."""
        try:
            return self.ctl("mnesia", key)
        except DockerError:
            # Since MongooseIM 6 the commands are those of its GraphQL interface.
            return self.ctl("mnesia", "systemInfo", "--keys", json.dumps([key]))

    def running_db_nodes(self) -> frozenset[str]:
        """Return the members that this one sees running; none when it does not answer."""
        return self._nodes("running_db_nodes")

    def db_nodes(self) -> frozenset[str]:
        """Return the members of its cluster, running or not; none when it does not answer."""
        return self._nodes("db_nodes")

    def _nodes(self, key: str) -> frozenset[str]:
        try:
            return node_names(self.mnesia_info(key))
        except DockerError:
            return frozenset()

    def wait_for_cluster(self, hosts: Iterable[str], timeout: float = 60) -> None:
        """Wait until it sees exactly these members running.

        `hosts` are node names, or host parts of nodes called `mongooseim@HOST`.
        """
        expected = {host if "@" in host else f"mongooseim@{host}" for host in hosts}
        self.wait_for(
            lambda: self.running_db_nodes() == expected,
            timeout,
            what=f"running_db_nodes {sorted(expected)}",
        )

    def connect(self, network: str, *, aliases: Iterable[str] = ()) -> None:
        """Put it into a network, by default under no name but its own."""
        docker("network", "connect", *(f"--alias={alias}" for alias in aliases), network, self.name)

    def disconnect(self, network: str) -> None:
        """Take it out of a network: a partition."""
        docker("network", "disconnect", network, self.name)

    def cut_off(self, other: Container) -> None:
        """Drop all that comes from another container: with both ways, a partition."""
        self._filter("-A", other)

    def hear_again(self, other: Container) -> None:
        """Let through again what comes from another container."""
        self._filter("-D", other)

    def _filter(self, action: str, other: Container) -> None:
        namespace = ("nsenter", f"--target={self.inspect('{{.State.Pid}}')}", "--net")
        rule = (action, "INPUT", "-s", other.ip(), "-j", "DROP")
        run([*namespace, "iptables", "-w", *rule], what=f"the filter of {self.name}", timeout=30)

    def pause(self) -> None:
        """Stop all its processes from running."""
        docker("pause", self.name)

    def unpause(self) -> None:
        """Let its processes run again."""
        docker("unpause", self.name)

    def remove(self) -> None:
        """Remove it with its anonymous volumes, running or not, there or not."""
        docker_result("rm", "--force", "--volumes", self.name)


class Cluster:
    """Containers in a network of their own, under names that no other test uses."""

    def __init__(self, image: str, prefix: str = PREFIX) -> None:
        """Make the network; `image` is what `run` runs by default, `prefix` begins all names."""
        self.image = image
        self.prefix = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.network = self.make_network("net")
        self.containers: list[Container] = []

    def make_network(self, name: str, *options: str) -> str:
        """Make one more network, removed with the rest; return its full name."""
        full_name = f"{self.prefix}-{name}"
        docker("network", "create", *self._labels(), *options, full_name)
        return full_name

    def make_volume(self, name: str) -> str:
        """Make an empty volume, removed with the rest; return its full name."""
        return docker("volume", "create", *self._labels(), f"{self.prefix}-{name}")

    def run(  # noqa: PLR0913 - as docker run
        self,
        host: str,
        *command: str,
        env: Mapping[str, str] | None = None,
        volumes: Iterable[str] = (),
        options: Iterable[str] = (),
        image: str | None = None,
        network: str | None = None,
        start: bool = True,
    ) -> Container:
        """Start a container in the background; the others find it by `host` and its first label.

        Without `start`, it is only made, for `Container.start`.

        `volumes` are `docker run --volume` values, `options` more options of `docker run`,
        `network` is another network than the cluster's (then no name but the container's is
        known in it; "none" and "host" are networks too). Its full name is `host` after the
        cluster's prefix, numbered where that is taken. The image's health check, which takes CPU
        every few seconds, is off unless an option sets something of it (`--health-...`).
        """
        options = tuple(options)
        if not any(option.startswith("--health-") for option in options):
            options = ("--no-healthcheck", *options)
        names = {container.name for container in self.containers}
        name = plain = f"{self.prefix}-{host}"
        number = 1
        while name in names:
            number += 1
            name = f"{plain}.{number}"
        aliases = {host, host.split(".", maxsplit=1)[0]} if network is None else set()
        container = Container(name, host)
        self.containers.append(container)
        docker(
            *(("run", "--detach") if start else ("create",)),
            *self._labels(),
            f"--name={name}",
            *([f"--hostname={host}"] if network != "host" else []),
            f"--network={network or self.network}",
            *(f"--network-alias={alias}" for alias in sorted(aliases)),
            *(f"--env={key}={value}" for key, value in (env or {}).items()),
            *(f"--volume={volume}" for volume in volumes),
            *options,
            image or self.image,
            *command,
        )
        return container

    def remove(self) -> None:
        """Remove the containers, the networks and the volumes."""
        for container in self.containers:
            container.remove()
        _remove_by_label(f"{PREFIX}.cluster={self.prefix}")

    def _labels(self) -> tuple[str, ...]:
        return (
            f"--label={PREFIX}.cluster={self.prefix}",
            f"--label={OWNER_LABEL}={os.getpid()}",
        )


def remove_leftovers() -> None:
    """Remove what test runs left behind that were killed themselves."""
    template = f'{{{{.Label "{OWNER_LABEL}"}}}}'
    owners = set()
    for kind in (("ps", "--all"), ("network", "ls"), ("volume", "ls")):
        owners |= set(
            docker(*kind, f"--filter=label={OWNER_LABEL}", f"--format={template}").split()
        )
    for owner in owners:
        if not Path(f"/proc/{owner}").exists():
            _remove_by_label(f"{OWNER_LABEL}={owner}")


def _remove_by_label(label: str) -> None:
    selection = (f"--filter=label={label}", "--quiet")
    for listing, removal in (
        (("ps", "--all", *selection), ("rm", "--force", "--volumes")),
        (("network", "ls", *selection), ("network", "rm")),
        (("volume", "ls", *selection), ("volume", "rm", "--force")),
    ):
        if found := docker(*listing).split():
            docker_result(*removal, *found)
