"""Who joins whom, on real Erlang and Mnesia: the original README's ways, and what goes wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from docker_cli import DockerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from containers import Cluster, Container

LONG_NAMES = {"NODE_TYPE": "name", "MASTER_ORDINAL": "0"}


def assert_one_cluster(members: Sequence[Container], nodes: Sequence[str] | None = None) -> None:
    """See each member say that it is in, and each list all."""
    for member in members:
        member.wait_for_log("Clustered ")
    for member in members:
        member.wait_for_cluster(nodes or [each.host for each in members])


def boots(member: Container) -> int:
    """Return how often a container's log shows the start of a VM."""
    return member.logs().count("Exec: ")


def test_members_started_as_the_readme_says_form_a_cluster(cluster: Cluster) -> None:
    """The first outside of the network, connected later; the second in it; both list both."""
    first = cluster.run("mongooseim-1", network="bridge", options=["-t"])
    first.wait_for_log("MongooseIM cluster primary node mongooseim@mongooseim-1")
    first.connect(cluster.network, aliases=["mongooseim-1"])
    second = cluster.run("mongooseim-2", options=["-t"])
    assert_one_cluster([first, second])
    log = second.logs()
    joining = log.index("MongooseIM node mongooseim@mongooseim-2 joining mongooseim@mongooseim-1")
    clustered = log.index("Clustered mongooseim@mongooseim-2 with mongooseim@mongooseim-1")
    assert joining < log.index("Exec: ") < clustered
    assert boots(second) == 1


def test_a_member_comes_back_into_its_cluster_after_a_stop(cluster: Cluster) -> None:
    """It knows that it is a member, keeps its data, and boots one VM for each start."""
    first, second = cluster.run("mongooseim-1"), cluster.run("mongooseim-2")
    assert_one_cluster([first, second])
    first.ctl("sample", "write", "greeting", "hello")
    assert second.stop() < 20
    assert second.exit_status() == 0
    second.start()
    second.wait_for_log("MongooseIM node mongooseim@mongooseim-2 already clustered")
    assert_one_cluster([first, second])
    assert second.ctl("sample", "read", "greeting") == "hello"
    assert boots(second) == 2


def test_manual_clustering_as_the_readme_says(cluster: Cluster) -> None:
    """JOIN_CLUSTER=false on the one, CLUSTER_WITH on the other; no ordinals in the names."""
    first = cluster.run("first-node", env={"JOIN_CLUSTER": "false"})
    second = cluster.run("second-node", env={"CLUSTER_WITH": "mongooseim@first-node"})
    second.wait_for_log("Clustered mongooseim@second-node with mongooseim@first-node")
    for member in (first, second):
        member.wait_for_cluster(["first-node", "second-node"])
    assert "JOIN_CLUSTER=false" in first.logs()


def test_three_members_with_long_names_and_ordinals_from_zero(cluster: Cluster) -> None:
    """As pods of a StatefulSet are named."""
    members = [cluster.run(f"mongooseim-{n}.mim.local", env=LONG_NAMES) for n in (2, 0, 1)]
    assert_one_cluster(members)


def test_a_member_started_long_before_its_primary_waits_for_it(cluster: Cluster) -> None:
    """It says what it waits for, does not serve meanwhile, and nobody has to restart it."""
    second = cluster.run("mongooseim-2")
    waiting = "waiting for mongooseim@mongooseim-1 reason='no address for mongooseim-1"
    second.wait_for_log(waiting, count=2)
    assert boots(second) == 0
    first = cluster.run("mongooseim-1")
    assert_one_cluster([first, second])
    assert boots(second) == 1


def test_ten_members_started_at_once_form_one_cluster(cluster: Cluster) -> None:
    """Two that join at the same moment may disturb each other; both end up in the cluster."""
    members = [cluster.run(f"mongooseim-{number}") for number in range(10, 0, -1)]
    for member in members:
        member.wait_for_log("Clustered ", timeout=150)
    assert_one_cluster(members)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CLUSTER_COOKIE": "other"}, "refuses the connection: is its cookie the same"),
        ({"CLUSTER_WITH": "mongooseim@nowhere"}, "no address for nowhere: the name does not exist"),
        ({"CLUSTER_WITH": "chat@mongooseim-1"}, "has no node chat"),
        ({"CLUSTER_WITH": "mongooseim@10.255.255.1", "NODE_TYPE": "name"}, "10.255.255.1"),
    ],
)
def test_a_cluster_that_cannot_be_joined_ends_the_member_with_the_reason(
    cluster: Cluster, env: dict[str, str], said: str
) -> None:
    """Status 2 when JOIN_TIMEOUT is over; the VM was never started, so nobody used it."""
    first = cluster.run("mongooseim-1")
    first.wait_for_log("Clustered ")
    host = "mongooseim-2.local" if "NODE_TYPE" in env else "mongooseim-2"
    second = cluster.run(host, env={"JOIN_TIMEOUT": "3", **env})
    began = time.monotonic()
    assert second.wait_exit() == 2
    assert time.monotonic() - began < 30
    target = env.get("CLUSTER_WITH", "mongooseim@mongooseim-1")
    log = second.logs()
    assert f"Failed clustering mongooseim@{host} with {target}: " in log
    assert said in log
    assert boots(second) == 0
    assert first.running_db_nodes() == {"mongooseim@mongooseim-1"}


def test_a_host_name_without_ordinal_is_wrong_configuration(cluster: Cluster) -> None:
    """Status 78, and the ways out are named."""
    lonely = cluster.run("lonely")
    assert lonely.wait_exit() == 78
    for way_out in ("-N", "CLUSTER_WITH=", "JOIN_CLUSTER=false"):
        assert way_out in lonely.logs()


def test_all_wrong_variables_are_said_before_anything_is_touched(cluster: Cluster) -> None:
    """One line each, status 78."""
    env = {"NODE_TYPE": "long", "STOP_TIMEOUT": "abc", "CLUSTER_COOKIE": "two words"}
    wrong = cluster.run("mongooseim-1", env=env)
    assert wrong.wait_exit() == 78
    log = wrong.logs()
    for variable in env:
        assert f"{variable} is " in log
    assert "two words" not in log
    assert len(log.splitlines()) == 3


@pytest.mark.parametrize(("name", "content"), [("vm.args", "+Q x"), ("mongooseim.toml", "[[[")])
def test_a_vm_that_dies_at_boot_ends_the_container_at_once(
    cluster: Cluster, tmp_path: Path, name: str, content: str
) -> None:
    """With the VM's own status, long before START_TIMEOUT, and without a restart."""
    (tmp_path / name).write_text(content)
    broken = cluster.run("mongooseim-1", volumes=[f"{tmp_path}:/member:ro"])
    began = time.monotonic()
    assert broken.wait_exit() == 1
    assert time.monotonic() - began < 30
    assert "MongooseIM ended" in broken.logs()
    assert "exit status 1" in broken.logs()
    assert boots(broken) == 1


def test_data_of_its_own_are_never_lost_without_being_asked_to(cluster: Cluster) -> None:
    """A lone node with data that is told to join is refused; told to discard them, it joins."""
    volumes = [f"{cluster.make_volume('data')}:/var/lib/mongooseim"]
    first = cluster.run("mongooseim-1")
    first.wait_for_log("Clustered ")
    lone = cluster.run("mongooseim-2", env={"JOIN_CLUSTER": "false"}, volumes=volumes)
    lone.wait_for_log("MongooseIM started")
    lone.ctl("sample", "write", "mine", "kept")
    lone.stop()
    lone.remove()

    refused = cluster.run("mongooseim-2", volumes=volumes)
    assert refused.wait_exit() == 2
    assert "JOIN_DISCARDS_DATA=true" in refused.logs()
    assert boots(refused) == 0
    refused.remove()

    again = cluster.run("mongooseim-2", env={"JOIN_CLUSTER": "false"}, volumes=volumes)
    again.wait_for_log("MongooseIM started")
    assert again.ctl("sample", "read", "mine") == "kept"
    again.stop()
    again.remove()

    joins = cluster.run("mongooseim-2", env={"JOIN_DISCARDS_DATA": "true"}, volumes=volumes)
    assert_one_cluster([first, joins])
    with pytest.raises(DockerError):
        joins.ctl("sample", "read", "mine")


def test_a_primary_with_a_cluster_of_its_own_goes_back_to_the_other_if_told_to(
    cluster: Cluster,
) -> None:
    """As its refusal says: its volume was lost, and somebody started it alone."""
    first, second = cluster.run("mongooseim-1"), cluster.run("mongooseim-2")
    assert_one_cluster([first, second])
    first.remove()
    volumes = [f"{cluster.make_volume('data')}:/var/lib/mongooseim"]
    lone = cluster.run("mongooseim-1", env={"JOIN_CLUSTER": "false"}, volumes=volumes)
    lone.wait_for_log("MongooseIM started")
    lone.stop()
    lone.remove()

    refused = cluster.run("mongooseim-1", volumes=volumes)
    assert refused.wait_exit() == 2
    assert "start mongooseim@mongooseim-1 with JOIN_DISCARDS_DATA=true" in refused.logs()
    refused.remove()

    joins = cluster.run("mongooseim-1", env={"JOIN_DISCARDS_DATA": "true"}, volumes=volumes)
    assert_one_cluster([joins, second])
    assert boots(joins) == 1


def test_a_volume_of_an_older_image_is_known_as_a_members_by_its_schema(cluster: Cluster) -> None:
    """Without our marker, membership is what the schema on the disk says."""
    first, second = cluster.run("mongooseim-1"), cluster.run("mongooseim-2")
    assert_one_cluster([first, second])
    marker = "/var/lib/mongooseim/.cluster.mongooseim@mongooseim-2"
    assert second.exec("rm", marker).returncode == 0
    second.stop()
    second.start()
    second.wait_for_log("MongooseIM node mongooseim@mongooseim-2 already clustered")
    assert_one_cluster([first, second])
    assert second.exec("cat", marker).stdout.startswith("joined ")


def test_a_join_that_failed_is_tried_again_at_the_next_start(cluster: Cluster) -> None:
    """The container that ended with status 2 joins when it is started again, never alone."""
    second = cluster.run("mongooseim-2", env={"JOIN_TIMEOUT": "20"})
    assert second.wait_exit() == 2
    first = cluster.run("mongooseim-1")
    first.wait_for_log("Clustered ")
    second.start()
    assert_one_cluster([first, second])


ASK = """
import sys
from member_entrypoint import settings, terms
from member_entrypoint.erlang import epmd, rpc
from member_entrypoint.places import Places
from member_entrypoint.release import active
places, given = Places("/"), settings.read({})
asking = rpc.Erlang(active.find(places.release), places, given, "mongooseim@mongooseim-1")
if sys.argv[1] == "vm":
    asking._ask_directly = lambda *_: None
try:
    print(asking.rpc(sys.argv[2], *eval(sys.argv[3], {"Atom": terms.Atom})))
except rpc.RpcError as error:
    print(type(error).__name__, error)
print(epmd.names("127.0.0.1").names)
print(epmd.names("127.0.0.1", port=1).reason)
"""


FIRST = "mongooseim@mongooseim-1"
QUESTIONS = (
    (FIRST, "'erlang', 'node', []", FIRST),
    (FIRST, "'lists', 'append', [[1], [Atom('b c'), ('x', 2)]]", "[1, 'b c', ([120], 2)]"),
    (FIRST, """'erlang', 'length', ['"]), halt(), ("']""", "15"),
    (FIRST, "'no', 'such', []", f"RpcError {FIRST} could not answer"),
    ("nobody@mongooseim-1", "'erlang', 'node', []", "NodeDownError nobody@mongooseim-1 is down"),
)


@pytest.mark.parametrize("way", ["directly", "vm"])
def test_a_node_is_asked_one_thing(cluster: Cluster, way: str) -> None:
    """Arguments arrive as data, and what went wrong is told apart, whichever way it is asked."""
    first = cluster.run("mongooseim-1")
    first.wait_for_log("Clustered ")
    for node, question, answer in QUESTIONS:
        done = first.exec("python3", "-I", "-c", ASK, way, node, question)
        lines = done.stdout.splitlines()
        assert lines[0].startswith(answer), (question, done)
        assert lines[1] == "('mongooseim',)"
        assert lines[2].startswith("no epmd on 127.0.0.1 port 1 (")
