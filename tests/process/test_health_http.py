"""Probes of a real member over HTTP; its VM, epmd and node are stand-ins."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time

import pytest
from epmd_server import answering, epmd_that_knows
from health_tools import (
    LOOPBACK,
    PLAIN,
    TARGET,
    Host,
    Http,
    Probe,
    helper,
    serving,
    vm,
)
from processes import DEADLINE, Machine, Running, alive, children_of, eventually, status_of
from prometheus_client.parser import text_string_to_metric_families

from member_entrypoint import state
from member_entrypoint.health import http_server

FIRST_SECONDS = 0.5


def test_http_answers_from_the_waiting_to_the_end(machine: Machine, host: Host, web: Http) -> None:
    """Live all the time, ready while it serves, and nobody there after the end."""
    environment = host.waiting(HEALTH_HTTP_PORT=str(web.port))
    running = machine.start(PLAIN, environment=environment)
    running.wait_for_output("waiting for mongooseim@chat-1")
    web.eventually("/live", 200)
    assert "not started yet" in web.ask("/ready").body
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")

    environment = host.environment("deaf", HEALTH_HTTP_PORT=str(web.port))
    running = machine.start(PLAIN, environment=environment)
    assert web.eventually("/ready", 200).body == "ready\n"
    assert web.ask("/live").body == "live\n"
    running.send(signal.SIGTERM)
    assert "MongooseIM stops" in web.eventually("/ready", 503).body
    assert web.ask("/live").status == 200
    os.kill(vm(running), signal.SIGKILL)
    assert running.wait() == 0
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")


def test_http_answers_both_address_families(machine: Machine, host: Host, web: Http) -> None:
    """And GET and HEAD, and says what else there is."""
    running = machine.start(PLAIN, environment=host.environment(HEALTH_HTTP_PORT=str(web.port)))
    web.eventually("/ready", 200)
    assert web.ask("/ready", address="::1").status == 200
    head = web.ask("/ready", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, "", "6")
    assert web.ask("/nothing").status == 404
    assert web.ask("/ready", "POST").status == 405
    running.send(signal.SIGTERM)
    assert running.wait() == 0


def test_http_metrics_are_what_prometheus_reads(machine: Machine, host: Host, web: Http) -> None:
    """Each has HELP and TYPE, then its values; those of the VM are the kernel's."""
    running = machine.start(PLAIN, environment=host.environment(HEALTH_HTTP_PORT=str(web.port)))
    web.eventually("/ready", 200)
    reply = web.ask("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for family in text_string_to_metric_families(reply.body):
        kinds[family.name] = family.type
        for sample in family.samples:
            labels = "".join(f" {value}" for value in sample.labels.values())
            values[sample.name.removeprefix("mongooseim_entrypoint_") + labels] = sample.value
    assert reply.body.count("# HELP ") == len(kinds)
    assert (values["live"], values["ready"], values["partitioned"]) == (1, 1, 0)
    assert (values["state serving"], values["state waiting"]) == (1, 0)
    assert abs(values["vm_start_time_seconds"] - time.time()) < DEADLINE
    resident = int(status_of(vm(running))["VmRSS"].split()[0]) * 1024
    assert 0.5 * resident < values["vm_resident_memory_bytes"] < 2 * resident
    assert kinds["mongooseim_entrypoint_vm_cpu_seconds"] == "counter"
    assert values["state_seconds_total waiting"] > 0
    assert values["state_seconds_total serving"] > 0
    assert values["joins_total joined"] == values["vm_restarts_total partition"] == 0
    host.listener.close()
    assert "mongooseim_entrypoint_ready 0\n" in web.ask("/metrics").body


def test_http_slow_and_garbage_clients_keep_nobody_else_waiting(
    machine: Machine, host: Host, web: Http
) -> None:
    """Three times as many as there is room for, some of whom say something that is no end."""
    environment = host.environment(HEALTH_HTTP_PORT=str(web.port))
    running = machine.start(PLAIN, environment=environment)
    web.eventually("/ready", 200)
    pid = helper(running)
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(3 * http_server.MOST_CLIENTS):
            client = stack.enter_context(socket.create_connection((LOOPBACK, web.port), DEADLINE))
            clients.append(client)
            with contextlib.suppress(OSError):
                client.sendall([b"", b"GET /live HTTP/1.1\r\nX: ", os.urandom(100)][number % 3])
        assert web.ask("/live").status == 200
        open_files = len(os.listdir(f"/proc/{pid}/fd"))
        assert open_files < http_server.MOST_CLIENTS + 20
        assert status_of(pid)["Threads"] == "1"
        # The last to come has its few seconds, and is then shown out without an answer.
        with contextlib.suppress(ConnectionResetError):
            assert clients[-3].recv(1000) == b""
        with socket.create_connection((LOOPBACK, web.port), DEADLINE) as client:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"x" * http_server.LONGEST_REQUEST)
            assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert web.ask("/live").status == 200
    assert helper(running) == pid


@pytest.mark.parametrize("phase", ["waiting", "serving"])
def test_http_a_helper_that_dies_is_started_anew(
    machine: Machine, host: Host, web: Http, phase: str
) -> None:
    """It is said; the pause before the next grows; the server goes on."""
    port = str(web.port)
    serves = phase == "serving"
    environment = (
        host.environment(HEALTH_HTTP_PORT=port) if serves else host.waiting(HEALTH_HTTP_PORT=port)
    )
    running = machine.start(PLAIN, environment=environment)
    for said in ("after_seconds=1.0", "after_seconds=2.0"):
        web.eventually("/ready", 200 if serves else 503)
        os.kill(helper(running), signal.SIGKILL)
        running.wait_for_output(said)
    web.eventually("/live", 200)
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    assert "vm ends, told 1 times" in running.output() or not serves


def test_http_a_helper_that_dies_again_and_again_says_so_once(
    machine: Machine, host: Host, web: Http
) -> None:
    """In the log, and for as long as it lasts in the metrics."""
    running = machine.start(PLAIN, environment=host.environment(HEALTH_HTTP_PORT=str(web.port)))
    failures = 'mongooseim_entrypoint_helper_failures_total{helper="answer-probes"} '
    failing = 'mongooseim_entrypoint_helper_failing{helper="answer-probes"} '
    for number in range(4):
        web.eventually("/live", 200)
        body = web.ask("/metrics").body
        assert failing + str(int(number == 3)) in body
        assert f"{failures}{number}\n" in body
        if number < 3:
            os.kill(helper(running), signal.SIGKILL)
    said = running.wait_for_output("answers probes over HTTP fails again and again")
    assert said.count("fails again and again") == 1
    assert said.count("has ended, starting it again") == 2


def test_http_a_helper_that_cannot_be_started_is_tried_again(
    machine: Machine, host: Host, web: Http
) -> None:
    """PID 1 may open no file any more, so it can neither copy itself nor log: the server serves."""
    running = machine.start(PLAIN, environment=host.environment(HEALTH_HTTP_PORT=str(web.port)))
    web.eventually("/ready", 200)
    server, limit = vm(running), resource.RLIMIT_NOFILE
    before = resource.prlimit(running.pid, limit, (3, resource.getrlimit(limit)[1]))
    killed = helper(running)
    waits = waits_of(running)
    os.kill(killed, signal.SIGKILL)
    # Once it is told of the end, and once, after a second, it tries again in vain.
    eventually(lambda: waits_of(running) >= waits + 2, "it waits again")
    assert (alive(server), alive(running.pid)) == (True, True)
    resource.prlimit(running.pid, limit, before)
    web.eventually("/ready", 200)
    assert helper(running) != killed
    os.kill(helper(running), signal.SIGKILL)
    running.wait_for_output("answers probes over HTTP fails again and again")
    running.send(signal.SIGTERM)
    assert running.wait() == 0


def waits_of(running: Running) -> int:
    """Return how often PID 1 has begun to wait."""
    return int(status_of(running.pid)["voluntary_ctxt_switches"])


def test_http_a_port_that_is_taken_ends_no_server(machine: Machine, host: Host, web: Http) -> None:
    """It is said; when the port is free, it is taken."""
    with socket.create_server((LOOPBACK, web.port)):
        environment = host.environment(HEALTH_HTTP_PORT=str(web.port))
        running = machine.start(PLAIN, environment=environment)
        running.wait_for_output(f"no answer on port {web.port} (HEALTH_HTTP_PORT)")
        running.wait_for_output("MongooseIM started")
    web.eventually("/ready", 200)
    running.send(signal.SIGTERM)
    assert running.wait() == 0


def test_http_goes_on_when_the_vm_is_started_anew(machine: Machine, host: Host, web: Http) -> None:
    """A join that fails and is tried again from the start: probes are answered all along.

    The node to join is registered, and what asks it (a VM of the release) says that it runs.
    """
    root = host.release.root
    (root / "etc/hosts").write_text(f"127.0.0.1 chat-2\n{TARGET} chat-1\n")
    with answering(epmd_that_knows(1), TARGET, host.epmd_port):
        environment = host.environment(
            JOIN_CLUSTER="true",
            HEALTH_HTTP_PORT=str(web.port),
            FAKE_ERL=(
                "[{started,started},['mongooseim@chat-1'],['mongooseim@chat-1'],"
                "{{1,2,3},'mongooseim@chat-1'},[],{error,enoent},{error,enoent}]"
            ),
            FAKE_CTL="exit 1",
        )
        running = machine.start(PLAIN, environment=environment)
        running.wait_for_output("vm is up")
        web.eventually("/live", 200)
        assert 'vm_restarts_total{reason="join"} 0' in web.ask("/metrics").body
        partition = root / state.PARTITION_FILE
        partition.write_text("in the first life\n")
        running.wait_for_output("starting MongooseIM anew, from the first look on")
        eventually(lambda: not partition.exists(), "the second life begins without it")
        assert web.eventually("/ready", 503).body
        assert web.ask("/live").status == 200
        counted = web.ask("/metrics").body
        assert 'vm_restarts_total{reason="join"} 1' in counted
        assert 'joins_total{result="failed"} 3' in counted
        running.send(signal.SIGTERM)
        assert running.wait() == 0


def test_http_costs_nothing_when_it_is_not_asked_for(
    machine: Machine, host: Host, probe: Probe
) -> None:
    """No process beside the VM, no module in PID 1."""
    running = serving(machine, host, probe)
    eventually(lambda: len(children_of(running.pid)) == 1, "only the VM is left")
    assert children_of(running.pid) == [vm(running)]
    running.send(signal.SIGTERM)
    assert running.wait() == 0
    assert "answers probes" not in running.output()


def test_http_nobody_takes_the_place_of_a_helper_that_a_stop_has_ended(
    machine: Machine, host: Host, web: Http
) -> None:
    """All is killed when STOP_TIMEOUT is over, and stays so."""
    variables = {"HEALTH_HTTP_PORT": str(web.port), "STOP_TIMEOUT": "0.5"}
    running = machine.start(PLAIN, environment={**host.environment("deaf"), **variables})
    web.eventually("/ready", 200)
    running.send(signal.SIGTERM)
    assert running.wait() == 137
    assert "starting it anew" not in running.output()
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")


def test_http_leaves_nobody_behind_when_the_start_fails(
    machine: Machine, host: Host, web: Http
) -> None:
    """The primary does not come: PID 1 ends with 2, and what answered is gone with it."""
    environment = host.waiting(HEALTH_HTTP_PORT=str(web.port), JOIN_TIMEOUT=str(FIRST_SECONDS))
    running = machine.start(PLAIN, environment=environment)
    assert running.wait() == 2
    with pytest.raises(OSError, match="refused"):
        web.ask("/live")
