"""Probes of real members: the command, Docker's HEALTHCHECK, and HTTP."""

from __future__ import annotations

import shlex
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from console import wait_for
from documents import commands
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from containers import Cluster, Container

OFTEN = ("--health-interval=1s", "--health-retries=1")
HTTP = {"HEALTH_HTTP_PORT": "9000"}
SLOW_TO_STOP = {"STOP_TIMEOUT": "600"}


def health(member: Container, question: str, *, user: str | None = None) -> tuple[int, str]:
    """Return status and output of a probe, made as kubelet makes it."""
    done = member.exec("member-entrypoint", "health", question, user=user)
    return done.returncode, done.stdout + done.stderr


def wait_for_health(member: Container, question: str, status: int, said: str) -> None:
    """Wait until a probe is answered so."""
    last: list[tuple[int, str]] = []

    def answered() -> bool:
        last[:] = [health(member, question)]
        return last[0][0] == status and said in last[0][1]

    assert wait_for(answered, timeout=60), f"{question}: {last}\n{member.logs()}"


def over_http(
    member: Container, path: str, port: str = HTTP["HEALTH_HTTP_PORT"]
) -> tuple[int, str]:
    """Return status and body that a member gives over HTTP; 0 if nobody answers."""
    url = f"http://{member.ip()}:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def docker_says(member: Container) -> str:
    """Return what Docker takes the health for."""
    return member.inspect("{{.State.Health.Status}}")


def test_health_from_the_wait_for_the_primary_to_the_stop(cluster: Cluster) -> None:
    """Live all the time; ready from the join to the stop, for command, Docker and HTTP alike."""
    second = cluster.run("mongooseim-2", env={**HTTP, **SLOW_TO_STOP}, options=OFTEN)
    second.wait_for_log("waiting for mongooseim@mongooseim-1")
    assert health(second, "live") == (0, "live\n")
    status, said = health(second, "ready")
    assert (status, "not started yet" in said) == (1, True)
    second.wait_for(lambda: over_http(second, "/live") == (200, "live\n"), what="answer")
    assert over_http(second, "/ready")[0] == 503

    cluster.run("mongooseim-1")
    second.wait_for_log("Clustered ")
    wait_for_health(second, "ready", 0, "ready")
    assert health(second, "live", user="12345:12345") == (0, "live\n")
    assert health(second, "ready", user="12345:12345") == (0, "ready\n")
    assert over_http(second, "/ready") == (200, "ready\n")
    assert 'state{state="serving"} 1' in over_http(second, "/metrics")[1]
    second.wait_for(lambda: docker_says(second) == "healthy", what="Docker's word")
    # Frozen, its VM is not live; asked to stop then, the member stays in the middle of the stop.
    vm = int(second.exec("sh", "-c", "cat /usr/lib/mongooseim/var/pid").stdout)
    second.exec("kill", "-STOP", str(vm))
    wait_for_health(second, "live", 1, "VM is stopped")
    second.wait_for(lambda: docker_says(second) == "unhealthy", what="Docker's word")
    assert over_http(second, "/live")[0] == 503
    second.kill("TERM")
    wait_for_health(second, "ready", 1, "MongooseIM stops")
    assert health(second, "live") == (0, "live\n")
    assert over_http(second, "/ready")[0] == 503
    second.exec("kill", "-CONT", str(vm))
    assert second.wait_exit() == 0


def on_the_node(member: Container, call: str) -> None:
    """Have the node of a member do something: MODULE, FUNCTION and arguments in Python."""
    script = f"""if True:
        from member_entrypoint import environment
        from member_entrypoint.cluster import member
        from member_entrypoint.terms import Atom
        this = member.describe(environment.variables(), member.full_name)
        print(this.erlang.rpc(this.node, {call}))
    """
    done = member.exec("python3", "-I", "-c", script)
    assert done.returncode == 0, done


def test_health_of_a_server_that_has_lost_something(cluster: Cluster) -> None:
    """Not ready without its listener; not live when it hangs, or is not registered.

    On a read-only root, without capabilities: a probe needs neither. It leaves nothing in the log.
    """
    lone = cluster.run(
        "mongooseim-1",
        env={"JOIN_CLUSTER": "false"},
        volumes=[f"{cluster.make_volume('log')}:/var/log/mongooseim"],
        options=("--read-only", "--tmpfs=/run:exec", "--tmpfs=/tmp", "--cap-drop=ALL"),
    )
    wait_for_health(lone, "ready", 0, "ready")
    before = lone.logs()
    assert health(lone, "live")[0] == 0

    child = '(Atom("c2s"), 5222)'
    on_the_node(lone, f'"supervisor", "terminate_child", [Atom("mongooseim_sup"), {child}]')
    assert health(lone, "ready") == (1, "nothing listens on port 5222 (HEALTH_PORT)\n")
    assert health(lone, "live")[0] == 0
    assert lone.logs() == before

    on_the_node(lone, '"sys", "suspend", [Atom("net_kernel")]')
    status, said = health(lone, "live")
    assert (status, "the Erlang VM hangs" in said) == (1, True)

    lone.exec("pkill", "epmd")
    wait_for_health(lone, "live", 1, "no epmd on this host")
    assert lone.is_running()


def metrics(member: Container) -> dict[str, float]:
    """Return the metrics of a member, by `NAME VALUE_OF_LABEL...`, as Prometheus reads them."""
    _, text = over_http(member, "/metrics", "9101")
    return {
        " ".join([sample.name.removeprefix("mongooseim_entrypoint_"), *sample.labels.values()]): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_of_a_cluster_from_the_join_to_a_loss(cluster: Cluster) -> None:
    """Who is there, in which cluster, who joined and waited; a new life begins to count anew."""
    members = []
    for command in commands("metrics.md", "test_metrics_of_a_cluster_from_the_join_to_a_loss"):
        docker, run, *options, image = shlex.split(command)
        assert (docker, run, image) == ("docker", "run", "mongooseim")
        name, _, variable = options[options.index("-e") + 1].partition("=")
        host = options[options.index("-h") + 1]
        members.append(cluster.run(host, env={name: variable}))
    first, second = members
    second.wait_for_log("Clustered ")

    def sees(member: Container, **numbers: float) -> bool:
        found = metrics(member)
        return all(found.get(f"members {state}") == number for state, number in numbers.items())

    for member in members:
        member.wait_for(lambda it=member: sees(it, running=2, down=0), what="two members")  # type: ignore[misc]
    clusters = [{name for name in metrics(each) if "cluster_info" in name} for each in members]
    (one,), (other,) = clusters
    assert one.split()[1:2] == ["mongooseim@mongooseim-1"]
    assert one.split()[2:] == other.split()[2:] != []
    joined = metrics(second)
    assert (joined["joins_total joined"], joined["joins_total failed"]) == (1, 0)
    assert metrics(first)["joins_total joined"] == 0
    assert joined["state_seconds_total waiting"] > 0
    assert joined["state_seconds_total serving"] > 0
    assert joined["vm_restarts_total join"] == joined["helper_failures_total watch"] == 0

    second.stop()
    first.wait_for(lambda: sees(first, running=1, down=1), what="a member that is down")
    second.start()
    first.wait_for(lambda: sees(first, running=2, down=0), what="two members")
    second.wait_for(lambda: metrics(second).get("ready") == 1, what="readiness")
    assert metrics(second)["joins_total joined"] == 0, "it has not joined in this life"
