"""Measures the watcher of partitions beside a member, by how the node is reached."""

from __future__ import annotations

import secrets
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from certificates import Authority
from console import say
from hosts import CARRIERS, options_for_tls

from bench import engine_api, idle, processes, shop
from bench.figures import BenchmarkError
from bench.measurement import Measurement, interleaved

if TYPE_CHECKING:
    from containers import Cluster, Container

    from bench.shop import Shop

PLAIN = "plain"
NAMES = (PLAIN, "TLS", "no epmd", "IPv6")
MOST_ROUNDS = 5


def measure(bench: Shop) -> list[Measurement]:
    """Take the memory one after the other, then what is used in the same minute side by side."""
    rounds = bench.fewer(MOST_ROUNDS)
    with tempfile.TemporaryDirectory() as folder, shop.containers(bench) as cluster:
        for name in NAMES:
            _configure(Path(folder, name), name)
        start = partial(_start, cluster, _network(cluster), Path(folder))
        variants = {name: partial(_memory, cluster, partial(start, name)) for name in NAMES}
        memory = interleaved("watcher", variants, rounds, lambda mib: f"{mib:.1f} MiB")
        used = _used({name: [start(name) for _ in range(rounds)] for name in NAMES})
    side_by_side = f"{rounds} members for each carrier, each a cluster of one, in the same minute"
    return [
        Measurement(
            key="watcher.pss",
            title="PSS of the watcher of partitions, by carrier",
            unit="MiB",
            series=memory,
            reference=PLAIN,
            note="one member after the other; its PID 1 shares pages with it",
        ),
        Measurement(
            key="watcher.wake-ups",
            title=f"wake-ups of the watcher in {idle.IDLE_TIME:.0f} s, by carrier",
            unit="",
            series={name: [float(each.wake_ups) for each in used[name]] for name in used},
            note=f"{side_by_side}; the node's ticks, one each 15 s, are answered",
        ),
        Measurement(
            key="watcher.cpu",
            title=f"CPU time of the watcher in {idle.IDLE_TIME:.0f} s, by carrier",
            unit="ms",
            series={name: [each.cpu * 1e3 for each in used[name]] for name in used},
            reference=PLAIN,
            note=side_by_side,
        ),
    ]


def _network(cluster: Cluster) -> str:
    """Return a network that has IPv6, too."""
    subnet = f"fd00:{secrets.token_hex(2)}:{secrets.token_hex(2)}::/64"
    return cluster.make_network("six", "--ipv6", "--subnet", subnet)


def _configure(folder: Path, name: str) -> None:
    """Write the configuration for a carrier, as it is mounted at /member."""
    folder.mkdir()
    folder.chmod(0o755)
    carrier = CARRIERS[name]
    flags = carrier.flags.replace("OPTFILE", "/member/ssl.conf")
    (folder / "vm.dist.args").write_text(f"{flags}\n")
    if carrier.tls:
        authority = Authority(folder, "authority")
        authority.issue("node", f"DNS:{shop.HOST}")
        options = options_for_tls(Path("/member/node.pem"), Path("/member/authority.pem"))
        (folder / "ssl.conf").write_text(options)


def _start(cluster: Cluster, network: str, folder: Path, name: str) -> Container:
    """Start a member, and wait until it serves."""
    container = cluster.run(
        shop.HOST,
        env=idle.IN_A_CLUSTER,
        volumes=(f"{folder / name}:/member:ro",),
        network=network,
    )
    shop.wait_until_printed(container, idle.READY, shop.READY_TIMEOUT)
    return container


def _watcher(container: Container) -> int:
    """Return the pid of the member's watcher. Raises BenchmarkError if it has none."""
    found = processes.helpers(engine_api.pid(container.name))
    if len(found) != 1:
        raise BenchmarkError(f"{container.name} has {len(found)} helpers:\n{container.logs()}")
    return found[0]


def _memory(cluster: Cluster, start: partial[Container]) -> float:
    """Return the PSS in MiB of the watcher of a member that is started for it."""
    container = start()
    shop.settle(idle.SETTLING_TIME)
    _, pss = processes.memory_mib(_watcher(container))
    shop.discard(cluster, container)
    return pss


def _used(members: dict[str, list[Container]]) -> dict[str, list[processes.Usage]]:
    """Return what each watcher uses in a minute; there must be the same watchers all the time."""
    shop.settle(idle.SETTLING_TIME)
    pids = {name: [_watcher(each) for each in made] for name, made in members.items()}
    say(f"    watching {sum(map(len, pids.values()))} watchers for {idle.IDLE_TIME:.0f} s")
    before = {name: [processes.usage(pid) for pid in each] for name, each in pids.items()}
    time.sleep(idle.IDLE_TIME)
    if pids != {name: [_watcher(each) for each in made] for name, made in members.items()}:
        raise BenchmarkError("watcher: one ended while it was watched")
    return {
        name: [
            processes.usage(pid).since(then) for pid, then in zip(each, before[name], strict=True)
        ]
        for name, each in pids.items()
    }
