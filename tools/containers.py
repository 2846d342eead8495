"""Runs containers with the docker command, for the demonstration and the tests.

    cluster = Cluster(image="mongooseim")
    first = cluster.run("mongooseim-1")
    first.wait_for_log("MongooseIM cluster primary node")
    assert first.running_db_nodes() == {"mongooseim@mongooseim-1"}
    assert first.stop() < 3
    cluster.remove()

All times are seconds. A docker command that fails raises DockerError, and so does a wait that
exceeds its timeout.
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
from docker_cli import COMMAND_TIMEOUT, DockerError, docker, docker_result, follow

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Mapping

PREFIX = "mimtest"
"""The beginning of the names of a Cluster's containers, networks and volumes."""
OWNER_LABEL = f"{PREFIX}.owner"
"""The label with the pid of the process that made them, and that removes them."""
CTL = "/usr/lib/mongooseim/bin/mongooseimctl"
NODE_PATTERN = re.compile(r"[^\s'\"\[\],{}]+@[^\s'\"\[\],{}]+")


def node_names(text: str) -> frozenset[str]:
    """Return the node names in the output of `mongooseimctl`, which is JSON or Erlang terms."""
    return frozenset(NODE_PATTERN.findall(text))


class Container:
    """A container, running or not."""

    def __init__(self, name: str, host: str) -> None:
        """Take a container by its name; `host` is its host name."""
        self.name = name
        self.host = host

    def __repr__(self) -> str:
        """Return the name that failed assertions show."""
        return f"<Container {self.name}>"

    def inspect(self, template: str) -> str:
        """Return the output of `docker inspect --format TEMPLATE`."""
        return docker("inspect", "--type=container", "--format", template, self.name)

    def logs(self) -> str:
        """Return the whole output of the container, since its first start."""
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
        """Run a command in the container; return its result, even if it fails."""
        options = [f"--env={key}={value}" for key, value in (env or {}).items()]
        if user is not None:
            options.append(f"--user={user}")
        if stdin is not None:
            options.append("--interactive")
        return docker_result("exec", *options, self.name, *command, timeout=timeout, stdin=stdin)

    def stop(self, *, grace: float = 30) -> float:
        """Stop the container, with SIGKILL after `grace` seconds; return the seconds it took."""
        begin = time.monotonic()
        docker("stop", f"--time={grace:.0f}", self.name, timeout=grace + COMMAND_TIMEOUT)
        return time.monotonic() - begin

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal to PID 1 of the container; after KILL, wait until it has ended."""
        docker("kill", f"--signal={signal}", self.name)
        if signal.upper().removeprefix("SIG") in {"KILL", "9"}:
            self.wait_exit()

    def start(self) -> None:
        """Start the container again; its files are unchanged."""
        docker("start", self.name)

    def is_running(self) -> bool:
        """Tell whether its PID 1 is running."""
        return self.inspect("{{.State.Running}}") == "true"

    def exit_status(self) -> int:
        """Return the exit status of PID 1; 137 after SIGKILL.

        Raises DockerError while the container is running.
        """
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
        """Wait until the output contains `text` `count` times; return the whole output.

        Raises DockerError after `timeout` seconds, and as soon as the container has ended.
        """
        deadline = time.monotonic() + timeout
        while True:
            follow(
                lambda output: output.replace("\r\n", "\n").count(text) >= count,
                *("logs", "--follow", self.name),
                timeout=deadline - time.monotonic(),
            )
            has_ended = not self.is_running()
            logs = self.logs()
            if logs.count(text) >= count:
                return logs
            if has_ended or time.monotonic() >= deadline:
                why = "it has ended" if has_ended else f"it did not within {timeout} s"
                raise DockerError(f"{self.name} should print {text!r}; {why}:\n{logs}")

    def wait_for(
        self, condition: Callable[[], bool], timeout: float = 60, *, what: str = "the condition"
    ) -> None:
        """Wait until `condition` holds. Raises DockerError with the container's output."""
        if not wait_for(condition, timeout=timeout):
            raise DockerError(f"{self.name}: no {what} within {timeout} s:\n{self.logs()}")

    def ip(self, network: str | None = None) -> str:
        """Return its IPv4 address in `network`, by default in the first of its networks."""
        networks: dict[str, Any] = json.loads(self.inspect("{{json .NetworkSettings.Networks}}"))
        chosen = networks.values() if network is None else [networks[network]]
        for each in chosen:
            if each["IPAddress"]:
                return str(each["IPAddress"])
        raise DockerError(f"{self.name} has no address")

    def ctl(self, *arguments: str, timeout: float = COMMAND_TIMEOUT) -> str:
        """Return the output of `mongooseimctl`. Raises DockerError if it fails."""
        done = self.exec(CTL, *arguments, timeout=timeout)
        if done.returncode != 0:
            raise DockerError(
                f"{self.name}: mongooseimctl {' '.join(arguments)}: status {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout.strip()

    def mnesia_info(self, key: str) -> str:
        """Return the server's `mnesia:system_info(KEY)` as an Erlang term or as JSON."""
        try:
            return self.ctl("mnesia", key)
        except DockerError:
            # The commands of MongooseIM 6 and newer are those of its GraphQL interface.
            return self.ctl("mnesia", "systemInfo", "--keys", json.dumps([key]))

    def running_db_nodes(self) -> frozenset[str]:
        """Return the members that this one sees running; empty if it does not answer."""
        return self._nodes("running_db_nodes")

    def db_nodes(self) -> frozenset[str]:
        """Return the members of its cluster, running or not; empty if it does not answer."""
        return self._nodes("db_nodes")

    def _nodes(self, key: str) -> frozenset[str]:
        try:
            return node_names(self.mnesia_info(key))
        except DockerError:
            return frozenset()

    def wait_for_cluster(self, hosts: Iterable[str], timeout: float = 60) -> None:
        """Wait until this member sees exactly these members running.

        `hosts` are node names, or host parts of nodes called `mongooseim@HOST`.
        """
        expected = {host if "@" in host else f"mongooseim@{host}" for host in hosts}
        self.wait_for(
            lambda: self.running_db_nodes() == expected,
            timeout,
            what=f"running_db_nodes {sorted(expected)}",
        )

    def connect(self, network: str, *, aliases: Iterable[str] = ()) -> None:
        """Connect it to a network, by default under its own name only."""
        docker("network", "connect", *(f"--alias={alias}" for alias in aliases), network, self.name)

    def disconnect(self, network: str) -> None:
        """Disconnect it from a network, which makes a partition."""
        docker("network", "disconnect", network, self.name)

    def cut_off(self, other: Container) -> None:
        """Drop all packets from another container; in both directions this is a partition."""
        self._filter("-A", other)

    def hear_again(self, other: Container) -> None:
        """Accept packets from another container again."""
        self._filter("-D", other)

    def _filter(self, action: str, other: Container) -> None:
        namespace = ("nsenter", f"--target={self.inspect('{{.State.Pid}}')}", "--net")
        rule = (action, "INPUT", "-s", other.ip(), "-j", "DROP")
        run([*namespace, "iptables", "-w", *rule], what=f"the filter of {self.name}", timeout=30)

    def pause(self) -> None:
        """Freeze all its processes."""
        docker("pause", self.name)

    def unpause(self) -> None:
        """Let its frozen processes run again."""
        docker("unpause", self.name)

    def remove(self) -> None:
        """Remove it with its anonymous volumes, even if it runs or does not exist."""
        docker_result("rm", "--force", "--volumes", self.name)


class Cluster:
    """Containers in a network of their own, with names that no other test uses."""

    def __init__(self, image: str, prefix: str = PREFIX) -> None:
        """Make the network; `image` is the default of `run`, `prefix` is the start of all names."""
        self.image = image
        self.prefix = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.network = self.make_network("net")
        self.containers: list[Container] = []

    def make_network(self, name: str, *options: str) -> str:
        """Make another network, which `remove` removes; return its full name."""
        full_name = f"{self.prefix}-{name}"
        docker("network", "create", *self._labels(), *options, full_name)
        return full_name

    def make_volume(self, name: str) -> str:
        """Make an empty volume, which `remove` removes; return its full name."""
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
        """Start a container in the background; others can reach it as `host` and its first label.

        Without `start`, the container is created, to be started with `Container.start`.

        `volumes` are values of `docker run --volume`, `options` are more options of `docker run`.
        `network` replaces the cluster's network ("none" and "host" are networks too); other
        containers there know it only by its own name, which is `host` after the cluster's prefix,
        with a number if that name is taken. The image's health check, which needs CPU every few
        seconds, is off unless an option configures it (`--health-...`).
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
        _remove_by_label(f"{PREFIX}.cluster={self.prefix}")

    def _labels(self) -> tuple[str, ...]:
        return (
            f"--label={PREFIX}.cluster={self.prefix}",
            f"--label={OWNER_LABEL}={os.getpid()}",
        )


def remove_leftovers() -> None:
    """Remove the containers, networks and volumes of test runs that were killed."""
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
