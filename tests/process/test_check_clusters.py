"""What `member-entrypoint check` says of a cluster of real nodes, which does not notice it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hosts import CARRIERS, PLAIN, Host, hosts
from processes import eventually
from snapshots import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from processes import Machine, Running

ONE, TWO = "mongooseim@chat-1", "mongooseim@chat-2"


def check(machine: Machine, host: Host, **variables: str) -> dict[str, Any]:
    """Return what `check` says on a host; see that it changes nothing there."""
    before = snapshot(host.root)
    status, output = machine.run(
        PLAIN,
        ["check", "--json"],
        environment=host.environment(**variables),
        before=host.inside(),
    )
    assert snapshot(host.root) == before
    shown: dict[str, Any] = json.loads(output)
    assert shown["status"] == status
    return shown


def texts(shown: dict[str, Any], level: str) -> str:
    """Return the texts of all findings of a level."""
    return "\n".join(each["text"] for each in shown["findings"] if each["level"] == level)


def start_both(machine: Machine, two: list[Host]) -> list[Running]:
    """Start both, the second first, since the first would wait for it; see them joined."""
    second = two[1].start(machine)
    second.wait_for_output("waiting for")
    first = two[0].start(machine)
    for host in two:
        host.becomes_ready(machine)
    return [first, second]


def stop(running: Running) -> None:
    """Stop a member in good order."""
    running.send(15)
    assert running.wait() == 0


def test_the_plan_is_what_a_start_does(machine: Machine, two: list[Host]) -> None:
    """Before, while and after a cluster of two runs; then it starts, and does so."""
    shown = check(machine, two[1])
    assert shown["plan"].startswith(f"would wait for {ONE} (no epmd on 10.88.0.1 port 4369")
    assert "for JOIN_TIMEOUT (300 s) at most" in shown["plan"]
    assert shown["status"] == 0
    second = two[1].start(machine)
    second.wait_for_output(f"waiting for {ONE}")
    eventually(lambda: f"{TWO}: it waits" in texts(check(machine, two[0]), "ok"), "it is empty")
    shown = check(machine, two[0])
    assert "start a new cluster" in shown["plan"]
    first = two[0].start(machine)
    two[0].becomes_ready(machine)
    two[1].becomes_ready(machine)
    stop(second)
    # Snapshots of a volume that is in use need not be the same.
    shown = check(machine, two[1])
    assert shown["plan"] == f"would run with the data on its volume, as a member beside {ONE}"
    assert f"{ONE} runs, with 2 members in its cluster, of which {TWO} does not run" in (
        texts(shown, "ok")
    )
    shutil.rmtree(two[1].root / "var/lib/mongooseim")
    shown = check(machine, two[1])
    assert shown["plan"] == f"would join {ONE}, which has 2 members"
    second = two[1].start(machine)
    second.wait_for_output(f"Clustered {TWO} with {ONE}")
    stop(second)
    stop(first)


def test_it_says_that_the_cookie_is_another(machine: Machine, two: list[Host]) -> None:
    """An error, with the status with which a start would end."""
    running = start_both(machine, two)
    stop(running[1])
    shutil.rmtree(two[1].root / "var/lib/mongooseim")
    shown = check(machine, two[1], CLUSTER_COOKIE="other")
    assert shown["status"] == 2
    assert f"{ONE} refuses the connection: is its cookie the same" in texts(shown, "error")


def test_it_says_that_a_node_has_data_of_its_own(machine: Machine, two: list[Host]) -> None:
    """Joining would delete them: the refusal of a start, word for word."""
    alone = two[1].start(machine, JOIN_CLUSTER="false")
    two[1].becomes_ready(machine)
    stop(alone)
    two[0].start(machine, NEW_CLUSTER="auto", JOIN_CLUSTER="false")
    two[0].becomes_ready(machine)
    shown = check(machine, two[1])
    assert shown["status"] == 2
    assert "this node has data of its own, which joining would delete" in texts(shown, "error")
    assert shown["plan"] == "would end with status 2, before it serves"
    shown = check(machine, two[1], JOIN_DISCARDS_DATA="true")
    assert shown["plan"] == (
        f"would join {ONE}, which has 1 member, and lose the data on its volume"
    )


def test_it_names_another_cluster_and_the_ways_out(machine: Machine, two: list[Host]) -> None:
    """A member with data whose primary has lost its own, and has started anew."""
    for running in start_both(machine, two):
        stop(running)
    shutil.rmtree(two[0].root / "var/lib/mongooseim")
    two[0].start(machine, JOIN_CLUSTER="false")
    two[0].becomes_ready(machine)
    shown = check(machine, two[1])
    assert shown["status"] == 2
    assert shown["plan"] == "would end with status 2, before it serves"
    said = texts(shown, "error")
    assert f"this node's cluster is the one that {ONE} started at " in said
    assert f"{ONE} runs in another one: " in said
    assert f"to keep this node's cluster, stop {ONE}" in said


@pytest.mark.parametrize("carrier", ["TLS", "no epmd", "TLS, no epmd", "IPv6", "IPv6, TLS"])
def test_the_plan_is_made_over_each_carrier(
    machine: Machine, tmp_path: Path, sample: Path, carrier: str
) -> None:
    """As a start asks: with the flags that were rendered, and not written."""
    with hosts(tmp_path, sample, CARRIERS[carrier]) as two:
        one = CARRIERS[carrier].node(1)
        two[0].start(machine, JOIN_CLUSTER="false")
        two[0].becomes_ready(machine)
        shown = check(machine, two[1])
        assert shown["plan"] == f"would join {one}, which has 1 member", shown
        assert shown["status"] == 0
        shown = check(machine, two[1], CLUSTER_COOKIE="other")
        assert f"{one} refuses the connection" in texts(shown, "error")


def test_a_schema_that_only_a_vm_can_read_is_a_warning(machine: Machine, two: list[Host]) -> None:
    """No VM is booted for it."""
    folder = two[1].root / "var/lib/mongooseim" / f"Mnesia.{TWO}"
    folder.mkdir()
    (folder / "schema.DAT").write_bytes(b"no dets file")
    shown = check(machine, two[1])
    assert "the schema on the volume can be read by an Erlang VM only" in texts(shown, "warning")
    assert shown["plan"] == "would have its schema read by an Erlang VM, and decide then"


def test_it_does_not_disturb_a_member_that_runs(machine: Machine, two: list[Host]) -> None:
    """Not that on its own volume, nor the other one: no name in an epmd, no line, still ready."""
    first, second = start_both(machine, two)
    said = first.output(), second.output()
    for host in (*two, *two):
        status, output = machine.run(
            PLAIN, ["check", "--json"], environment=host.environment(), before=host.inside()
        )
        shown = json.loads(output)
        assert status == 0, output
        assert "the server of this member runs here already" in texts(shown, "ok")
        names = host.shell(f"{host.root}/usr/lib/mongooseim/erts-*/bin/epmd -names")
        assert [line.split()[1] for line in names.splitlines()[1:]] == ["mongooseim"]
    for host in two:
        host.becomes_ready(machine)
    assert (first.output(), second.output()) == said


def test_a_name_that_another_node_has_is_an_error(machine: Machine, two: list[Host]) -> None:
    """As with --network host: the VM could not register."""
    two[0].start(machine, JOIN_CLUSTER="false")
    two[0].becomes_ready(machine)
    (two[0].root / "run/mongooseim/processes").unlink()
    status, output = machine.run(
        PLAIN, ["check"], environment=two[0].environment(), before=two[0].inside()
    )
    assert status == 1
    assert "a node mongooseim runs on this host already, its epmd says" in output
    assert "port 5222 ([[listen.c2s]] of" in output
    assert "is taken by beam.smp (process" in output
