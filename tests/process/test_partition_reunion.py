"""A third member starts while two sides of a partition run apart: Mnesia brings them together."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from hosts import PLAIN, SLOW, Carrier, hosts
from processes import eventually

from member_entrypoint import counts

if TYPE_CHECKING:
    from pathlib import Path

    from hosts import Host
    from processes import Machine, Running

DIFFERENT = "run together with different data"
WAITS = "waiting until mongooseim@chat-1, mongooseim@chat-3 run together"
LOSES = "on the losing side of a partition"


def run_apart(made: list[Host], machine: Machine) -> list[Running]:
    """Have the first and the third of three members run apart, the second one stopped."""
    third = made[2]
    running = [host.start(machine) for host in made]
    for host in made:
        host.becomes_ready(machine)
    for host in made:  # it is watched from then on
        seen = lambda root=str(host.root): counts.members(root).get("running") == 3  # noqa: E731
        eventually(seen, f"{host.node} sees all three", timeout=SLOW)
    third.link("down")
    running[2].wait_for_output("so this node is not ready", timeout=SLOW)
    running[1].send(signal.SIGTERM)
    assert running[1].wait() == 0
    third.link("up")
    return running


def test_a_member_that_starts_between_two_sides_waits_for_the_end_of_the_partition(
    tmp_path: Path, sample: Path, machine: Machine
) -> None:
    """Its VM meets neither of them before the losing side was started anew."""
    with hosts(tmp_path, sample, Carrier(one_root=True), count=3) as made:
        first, second, third = made
        running = run_apart(made, machine)
        running[0].wait_for_output(f"{third.node} run apart", timeout=SLOW)
        running[1] = second.start(machine)
        running[1].wait_for_output(WAITS, timeout=SLOW)
        running[2].send(signal.SIGTERM)
        assert running[2].wait() == 0
        third.start(machine)
        for host in (second, third):
            host.becomes_ready(machine)
        eventually(lambda: first.run(machine, "health", "ready")[0] == 0, "the winner is ready")
        for one in running[:2]:
            assert DIFFERENT not in one.output()


def test_a_mnesia_that_waits_is_not_brought_to_both_sides(
    tmp_path: Path, sample: Path, machine: Machine
) -> None:
    """It could reach neither of them when it started; both went down after it."""
    with hosts(tmp_path, sample, Carrier(one_root=True), count=3) as made:
        _, second, third = made
        running = run_apart(made, machine)
        running[0].wait_for_output(f"{third.node} run apart", timeout=SLOW)
        second.link("down")
        running[1] = second.start(machine)
        running[1].wait_for_output("waiting for MongooseIM to start", timeout=SLOW)
        second.link("up")
        running[1].wait_for_output(WAITS, timeout=SLOW)
        assert f"connecting {second.node} to" not in running[1].output()
        running[2].send(signal.SIGTERM)
        assert running[2].wait() == 0
        third.start(machine)
        for host in (second, third):
            host.becomes_ready(machine)
        for one in running[:2]:
            assert DIFFERENT not in one.output()


def test_sides_that_were_not_merged_do_not_both_serve(
    tmp_path: Path, sample: Path, machine: Machine
) -> None:
    """The loser is not ready although all run together, until it has started anew."""
    with hosts(tmp_path, sample, Carrier(one_root=True), count=3) as made:
        first, second, third = made
        running = run_apart(made, machine)
        running[1] = second.start(machine, JOIN_CLUSTER="false")  # so it does not look before
        running[0].wait_for_output(f"{third.node} {DIFFERENT}", timeout=SLOW)
        running[2].wait_for_output(f"{first.node} {DIFFERENT}", timeout=SLOW)
        assert first.run(machine, "health", "ready")[0] == 0
        status, said = third.run(machine, "health", "ready")
        assert (status, LOSES in said) == (1, True)
        running[2].send(signal.SIGTERM)
        assert running[2].wait() == 0
        third.start(machine)
        back = f"{first.node} and {third.node} run together again"
        running[0].wait_for_output(back, timeout=SLOW)
        third.becomes_ready(machine)
        eventually(lambda: first.run(machine, "health", "ready")[0] == 0, "the winner is ready")


def test_a_member_that_was_removed_while_it_was_cut_off_is_not_ready(
    tmp_path: Path, sample: Path, machine: Machine
) -> None:
    """It lists the other one, which knows nothing of it any more, and serves."""
    with hosts(tmp_path, sample, Carrier(), count=2) as (first, second):
        running = [host.start(machine) for host in (first, second)]
        for host in (first, second):
            host.becomes_ready(machine)
            seen = lambda root=str(host.root): counts.members(root).get("running") == 2  # noqa: E731
            eventually(seen, f"{host.node} sees both", timeout=SLOW)
        first.link("down")
        running[1].wait_for_output("so this node is not ready", timeout=SLOW)
        control = str(second.seen_root / "usr/lib/mongooseim/bin/mongooseimctl")
        words = [control, "remove_from_cluster", "-f", first.node]
        removing = machine.start(
            PLAIN, words, environment=second.environment(), before=second.inside()
        )
        assert removing.wait(timeout=SLOW) == 0, removing.output()
        first.link("up")
        running[0].wait_for_output("this side loses, so this node is not ready", timeout=SLOW)
        eventually(lambda: second.run(machine, "health", "ready")[0] == 0, "the other one is ready")
        status, said = first.run(machine, "health", "ready")
        assert (status, LOSES in said) == (1, True)
