"""Pods: the manifests of deploy/kubernetes, and those of MongooseIM's Helm chart, run by Docker."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from containers import CTL
from documents import commands
from kubelet import Kubelet
from manifests import Manifest, only, render

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster, Container

CHART_VM_ARGS = """\
## Name of the node.
-name mongooseim

## Cookie for distributed erlang
-setcookie the-cookie-of-the-chart

+P 10000000
-env ERL_MAX_PORTS 250000
-env ERL_FULLSWEEP_AFTER 2
-sasl sasl_error_logger false
-kernel inet_dist_listen_min 9100
-kernel inet_dist_listen_max 9100
"""
"""What the chart makes of its vm.args, with its comments left out."""

CHART_TOML = """\
[general]
  loglevel = "warning"
  hosts = ["localhost"]
  default_server_domain = "localhost"

[[listen.c2s]]
  port = 5222
  access = "c2s"
  tls.verify_mode = "none"
"""


def test_pods_of_the_manifests_form_a_cluster_that_outlives_them(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Started together, moved, scaled down, robbed of a volume: one cluster with its data."""
    kubelet = Kubelet(cluster, render("mnesia"), tmp_path)
    with kubelet.dns():
        pods = {ordinal: kubelet.start(ordinal) for ordinal in (2, 1, 0)}
        hosts = {ordinal: kubelet.host(ordinal) for ordinal in pods}
        for pod in pods.values():
            pod.wait_for(lambda it=pod: kubelet.probe(it, "startupProbe"), what="readiness")  # type: ignore[misc]
            assert kubelet.probe(pod, "livenessProbe")
        pods[2].wait_for_cluster(hosts.values())
        assert pods[0].exec("id", "-u").stdout.strip() == "5222"
        assert pods[0].exec("touch", "/usr/lib/mongooseim/file").returncode != 0
        pods[0].ctl("sample", "write", "key", "kept")
        *asked, leave = commands(
            "kubernetes.md", "test_pods_of_the_manifests_form_a_cluster_that_outlives_them"
        )
        for command in asked:
            kubectl_exec(command, pods)

        # A rolling update, a drained machine: the pod ends and comes back elsewhere.
        assert kubelet.delete(1, pods[1]) == 0
        pods[1] = kubelet.start(1)
        pods[1].wait_for_log("already clustered")
        pods[1].wait_for(lambda: kubelet.probe(pods[1], "readinessProbe"), what="readiness")
        pods[1].wait_for_cluster(hosts.values())
        assert "kept" in pods[1].ctl("sample", "read", "key")

        # Fewer members: the last one leaves before it ends.
        kubectl_exec(leave, pods)
        assert kubelet.delete(2, pods[2]) == 0
        pods[0].wait_for_cluster([hosts[0], hosts[1]])
        assert f"mongooseim@{hosts[2]}" not in pods[0].db_nodes()

        # A lost volume, and that of the primary: it starts no second cluster.
        assert kubelet.delete(0, pods[0]) == 0
        kubelet.empty_volume(0)
        pods[0] = kubelet.start(0)
        pods[0].wait_for_cluster([hosts[0], hosts[1]])
        assert "kept" in pods[0].ctl("sample", "read", "key")


def kubectl_exec(command: str, pods: dict[int, Container]) -> None:
    """Do in a pod what a command of the page does in it."""
    kubectl, verb, pod, dashes, *words = shlex.split(command)
    assert (kubectl, verb, dashes) == ("kubectl", "exec", "--")
    done = pods[int(pod[-1])].exec(*words)
    assert done.returncode == 0, done.stderr


def test_pods_with_cets_find_each_other_through_a_file(cluster: Cluster, tmp_path: Path) -> None:
    """True to the SRV records of the headless Service; nobody joins, nobody is waited for."""
    manifests = render("cets")
    (container,) = only(manifests, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": "DISCOVERY_INTERVAL", "value": "1"})
    path = next(entry["value"] for entry in container["env"] if entry["name"] == "DISCOVERY_FILE")
    kubelet = Kubelet(cluster, manifests, tmp_path)
    with kubelet.dns():
        pods = [kubelet.start(ordinal) for ordinal in range(3)]
        nodes = [f"mongooseim@{kubelet.host(ordinal)}" for ordinal in range(3)]
        for pod in pods:
            pod.wait_for(lambda it=pod: listed(it, path) == nodes, what="list of all nodes")  # type: ignore[misc]
            assert "needs no join" in pod.wait_for_log("MongooseIM started")
            assert "waiting for mongooseim@" not in pod.logs()
        assert kubelet.delete(2, pods[2]) == 0
        pods[0].wait_for(lambda: listed(pods[0], path) == nodes[:2], what="list without the third")


def listed(pod: Container, path: str) -> list[str]:
    """Return the nodes that a pod's file lists, one a line."""
    return pod.exec("cat", path).stdout.splitlines()


CHART: list[Manifest] = [
    {
        "kind": "StatefulSet",
        "spec": {
            "serviceName": "mongooseim",
            "template": {
                "spec": {
                    "containers": [
                        {
                            "env": [
                                {"name": "MASTER_ORDINAL", "value": "0"},
                                {"name": "NODE_TYPE", "value": "name"},
                                {
                                    "name": "MIM_NODE_IP",
                                    "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}},
                                },
                            ],
                            "volumeMounts": [
                                {"name": "config-map", "mountPath": "/member"},
                                {"name": "mnesia", "mountPath": "/var/lib/mongooseim"},
                            ],
                        }
                    ],
                    "volumes": [{"name": "config-map", "configMap": {"name": "mongooseim"}}],
                }
            },
            "volumeClaimTemplates": [{"metadata": {"name": "mnesia"}}],
        },
    },
    {
        "kind": "ConfigMap",
        "data": {"mongooseim.toml": CHART_TOML, "vm.args": CHART_VM_ARGS},
    },
]
"""What of MongooseIM's Helm chart a member sees."""


def test_pods_of_the_helm_chart_form_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """They start one after the other as root, and DNS knows those that are ready only."""
    kubelet = Kubelet(cluster, CHART, tmp_path, replicas=2, not_ready_in_dns=False)
    with kubelet.dns():
        first = kubelet.start(0)
        first.wait_for_log("MongooseIM cluster primary node")
        first.wait_for_cluster([kubelet.host(0)])
        kubelet.show_in_dns(0, first)
        second = kubelet.start(1)
        second.wait_for_log(
            f"Clustered mongooseim@{kubelet.host(1)} with mongooseim@{kubelet.host(0)}"
        )
        second.wait_for_cluster([kubelet.host(0), kubelet.host(1)])
        assert second.exec(CTL, "status").returncode == 0
        vm_environment = "tr '\\0' '\\n' < /proc/$(pgrep beam.smp)/environ"
        assert (
            "MIM_NODE_IP=10.1.2.3\n" in second.exec("sh", "-c", vm_environment, user="5222").stdout
        )
        vm_args = second.exec("cat", "/usr/lib/mongooseim/etc/vm.args").stdout
        assert "-setcookie the-cookie-of-the-chart" in vm_args.splitlines()
        assert "+P 10000000" in vm_args.splitlines()
