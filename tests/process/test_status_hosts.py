"""What `status` shows of a cluster of three, on hosts of their own: in docs/status.md, too."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from hosts import SLOW, Carrier, Host, build_sample, hosts
from processes import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from processes import Machine, Running


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a release of the sample server."""
    return build_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def three(tmp_path: Path, sample: Path) -> Iterator[list[Host]]:
    """Provide three hosts."""
    with hosts(tmp_path, sample, Carrier(), 3) as made:
        yield made


def test_five_states(three: list[Host], machine: Machine) -> None:
    first, second, third = three
    running = [host.start(machine) for host in three]
    for host in three:
        host.becomes_ready(machine)
    import time
    def show(what, host):
        print("=====", what)
        t=time.time()
        s,o = host.run(machine, "status"); 
        print(o, s, round(time.time()-t,3))
    show("well", first); show("well", first); show("well", first)
    print(first.run(machine, "status", "--json")[1])
    show("other", second)
    running[2].send(signal.SIGTERM); running[2].wait()
    show("stopped", first)
    third.link("down")
    running[2] = third.start(machine)
    time.sleep(8)
    show("waits", third)
    third.link("up")
    third.becomes_ready(machine)
    show("again", third)
    third.link("down")
    running[0].wait_for_output(f"{first.node} has lost {third.node}", timeout=SLOW)
    show("cut", first)
    show("cut", third)
    third.link("up")
    running[0].wait_for_output("run apart", timeout=SLOW)
    show("split", first)
    show("split", third)
