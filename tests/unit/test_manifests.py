"""deploy/kubernetes: valid, of one piece, and what the member understands."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from manifests import COOKIE, OVERLAYS, Manifest, only, render, variables

from member_entrypoint import settings

ADDRESS = "10.1.2.3"
NAMESPACE = "chat"
NOT_OURS = {"NAMESPACE", "MIM_NODE_IP"}
"""Variables that are for kustomize and for MongooseIM."""


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    """Give each overlay in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def manifests(overlay: str) -> list[Manifest]:
    """Give what kustomize makes of the overlay."""
    return render(overlay)


@pytest.fixture
def statefulset(manifests: list[Manifest]) -> dict[str, Any]:
    """Give the specification of the StatefulSet."""
    return dict(only(manifests, "StatefulSet")["spec"])


@pytest.fixture
def pod(statefulset: dict[str, Any]) -> dict[str, Any]:
    """Give the specification of its pods."""
    return dict(statefulset["template"]["spec"])


@pytest.fixture
def member(pod: dict[str, Any]) -> dict[str, Any]:
    """Give the container that runs the member."""
    (container,) = pod["containers"]
    return dict(container)


@pytest.fixture
def environment(member: dict[str, Any], tmp_path: Path) -> dict[str, str]:
    """Give the environment as the kubelet makes it, the cookie in a file that is there."""
    fields = {"metadata.namespace": NAMESPACE, "status.podIP": ADDRESS}
    values = variables(member, fields)
    (tmp_path / "cookie").write_text(COOKIE)
    values["CLUSTER_COOKIE_FILE"] = str(tmp_path / "cookie")
    return values


@pytest.fixture
def toml(manifests: list[Manifest]) -> dict[str, Any]:
    """Give the server's configuration."""
    return tomllib.loads(only(manifests, "ConfigMap")["data"]["mongooseim.toml"])


def selectors(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each selector of pods, and whose it is."""
    for manifest in manifests:
        kind, spec = manifest["kind"], manifest.get("spec", {})
        if kind == "Service":
            yield f"Service {manifest['metadata']['name']}", spec["selector"]
        elif kind in {"StatefulSet", "PodDisruptionBudget"}:
            yield kind, spec["selector"]["matchLabels"]
        elif kind == "NetworkPolicy":
            yield kind, spec["podSelector"]["matchLabels"]
            for rule in spec["ingress"]:
                for peer in rule.get("from", ()):
                    yield f"{kind} from", peer["podSelector"]["matchLabels"]
    for constraint in only(manifests, "StatefulSet")["spec"]["template"]["spec"][
        "topologySpreadConstraints"
    ]:
        yield "spread", constraint["labelSelector"]["matchLabels"]


def test_manifests_are_what_the_schemas_of_kubernetes_allow(manifests: list[Manifest]) -> None:
    """Every manifest is valid, and has no field that Kubernetes does not know."""
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.30", strict=True)


def test_pods_are_named_by_a_headless_service_before_they_are_ready(
    manifests: list[Manifest], statefulset: dict[str, Any]
) -> None:
    """The members find each other in DNS while none of them is ready."""
    (headless,) = (
        manifest["spec"]
        for manifest in manifests
        if manifest["kind"] == "Service"
        and manifest["metadata"]["name"] == statefulset["serviceName"]
    )
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    assert statefulset["podManagementPolicy"] == "Parallel"


def test_clients_get_members_that_are_ready(manifests: list[Manifest]) -> None:
    """The other Service has an address of its own and waits for readiness."""
    (clients,) = (
        manifest["spec"]
        for manifest in manifests
        if manifest["kind"] == "Service" and manifest["spec"].get("clusterIP") != "None"
    )
    assert not clients.get("publishNotReadyAddresses")
    assert "c2s" in {port["targetPort"] for port in clients["ports"]}


def test_every_selector_selects_the_members(
    manifests: list[Manifest], statefulset: dict[str, Any]
) -> None:
    """Services, budget, policy and spread are about the pods of the StatefulSet."""
    labels = statefulset["template"]["metadata"]["labels"]
    found = list(selectors(manifests))
    assert len(found) >= 8
    for whose, selector in found:
        assert selector, whose
        assert selector.items() <= labels.items(), whose


def test_every_port_that_is_named_is_a_port_of_the_container(
    manifests: list[Manifest], member: dict[str, Any]
) -> None:
    """No Service and no policy names a port that the container does not have."""
    ports = {port["name"] for port in member["ports"]}
    for manifest in manifests:
        if manifest["kind"] == "Service":
            assert {port["targetPort"] for port in manifest["spec"]["ports"]} <= ports
        if manifest["kind"] == "NetworkPolicy":
            for rule in manifest["spec"]["ingress"]:
                assert {port["port"] for port in rule["ports"]} <= ports


def test_the_distribution_is_for_members_only(manifests: list[Manifest]) -> None:
    """Whoever is not a member reaches neither epmd nor the Erlang distribution."""
    for rule in only(manifests, "NetworkPolicy")["spec"]["ingress"]:
        if "from" not in rule:
            assert {port["port"] for port in rule["ports"]}.isdisjoint({"epmd", "erlang"})


def test_the_member_accepts_its_environment(environment: dict[str, str]) -> None:
    """Each variable is one that the member knows, and its value one that it takes."""
    known = {variable.name for variable in settings.VARIABLES}
    assert set(environment) - NOT_OURS <= known
    read = settings.read({"HOSTNAME": "mongooseim-0", **environment})
    assert read.node_type == "name"
    assert read.master_ordinal == "0"
    assert read.cluster_cookie == COOKIE


def test_the_cookie_is_the_secrets(
    manifests: list[Manifest], pod: dict[str, Any], member: dict[str, Any]
) -> None:
    """The file that CLUSTER_COOKIE_FILE names is a key of the Secret that is mounted there."""
    (path,) = (
        variable["value"] for variable in member["env"] if variable["name"] == "CLUSTER_COOKIE_FILE"
    )
    folder, _, key = path.rpartition("/")
    (mount,) = (mount for mount in member["volumeMounts"] if mount["mountPath"] == folder)
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == mount["name"])
    secret = only(manifests, "Secret")
    assert volume["secret"]["secretName"] == secret["metadata"]["name"] == "mongooseim-cookie"
    assert key in secret["data"]


def test_the_member_ends_by_itself_before_it_is_killed(
    pod: dict[str, Any], member: dict[str, Any], environment: dict[str, str]
) -> None:
    """The grace period holds the preStop hook, STOP_TIMEOUT and a little more."""
    command, seconds = member["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    needed = float(seconds) + settings.read(environment).stop_timeout
    assert pod["terminationGracePeriodSeconds"] >= needed + 5


def test_a_stop_is_not_taken_for_a_farewell(
    member: dict[str, Any], environment: dict[str, str]
) -> None:
    """Restarts and rolling updates leave the cluster as it is."""
    assert not settings.read(environment).leave_cluster_on_stop
    assert "leave" not in member["lifecycle"]["preStop"]["exec"]["command"]


def test_no_probe_restarts_a_member_that_waits(
    member: dict[str, Any], environment: dict[str, str]
) -> None:
    """The startup probe has more patience than the member itself, and liveness comes after it."""
    probe = member["startupProbe"]
    read = settings.read(environment)
    patience = probe["periodSeconds"] * probe["failureThreshold"]
    assert patience > read.start_timeout + read.join_timeout


def test_probes_ask_the_member(member: dict[str, Any]) -> None:
    """Each probe asks the question that it is there for."""
    asked = {
        name: member[name]["exec"]["command"]
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert asked == {
        "startupProbe": ["member-entrypoint", "health", "ready"],
        "readinessProbe": ["member-entrypoint", "health", "ready"],
        "livenessProbe": ["member-entrypoint", "health", "live"],
    }


def test_the_probes_look_where_the_server_listens(
    environment: dict[str, str], toml: dict[str, Any]
) -> None:
    """HEALTH_PORT is the port of the listener for clients."""
    ports = {listener["port"] for listener in toml["listen"]["c2s"]}
    assert settings.read(environment).health_port in ports


def test_every_container_is_confined(pod: dict[str, Any]) -> None:
    """The pods pass the Pod Security Standard `restricted`, and have a read-only root."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert "cpu" not in container["resources"]["limits"]


def test_what_the_member_writes_is_writable(
    statefulset: dict[str, Any], pod: dict[str, Any], member: dict[str, Any]
) -> None:
    """Every volume is mounted, every mount has a volume, and the four folders can be written."""
    claims = {claim["metadata"]["name"] for claim in statefulset.get("volumeClaimTemplates", ())}
    volumes = {volume["name"] for volume in pod["volumes"]}
    containers = [*pod["containers"], *pod.get("initContainers", ())]
    mounted = {mount["name"] for each in containers for mount in each["volumeMounts"]}
    assert claims.isdisjoint(volumes)
    assert mounted == claims | volumes
    writable = {m["mountPath"] for m in member["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"/run", "/tmp", "/var/lib/mongooseim", "/var/log/mongooseim"}  # noqa: S108


def test_mnesia_has_a_volume_and_nothing_else_has(
    overlay: str, statefulset: dict[str, Any], toml: dict[str, Any]
) -> None:
    """Data are kept exactly where the server keeps some."""
    assert ("mnesia" in toml["internal_databases"]) == (overlay == "mnesia")
    assert ("volumeClaimTemplates" in statefulset) == (overlay == "mnesia")


def test_discovery_writes_the_file_that_cets_reads(
    manifests: list[Manifest], environment: dict[str, str], toml: dict[str, Any]
) -> None:
    """What DNS says of the headless Service becomes the list of nodes."""
    read = settings.read(environment)
    assert read.discovery_file == toml["internal_databases"].get("cets", {}).get("node_list_file")
    if read.discovery_file:
        service = only(manifests, "StatefulSet")["spec"]["serviceName"]
        assert read.discovery_name == f"{service}.{NAMESPACE}.svc.cluster.local"


def test_the_database_is_waited_for(environment: dict[str, str], toml: dict[str, Any]) -> None:
    """WAIT_FOR names the host that the server connects to."""
    pools = toml.get("outgoing_pools", {}).get("rdbms", {})
    wanted = {pool["connection"]["host"] for pool in pools.values()}
    assert {address.host for address in settings.read(environment).wait_for} == wanted


def test_the_image_is_named_once(pod: dict[str, Any]) -> None:
    """All containers have the image that the overlay says."""
    containers = [*pod["containers"], *pod.get("initContainers", ())]
    assert {container["image"] for container in containers} == {"mongooseim:latest"}


def test_an_image_that_is_there_is_used_and_a_pod_says_why_it_ended(pod: dict[str, Any]) -> None:
    """Local clusters have no registry; `kubectl describe` shows the last lines."""
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_component_for_metrics_opens_a_port(overlay: str) -> None:
    """The member answers there, the port has a name, and the policy lets Prometheus through."""
    manifests = render(overlay, "metrics")
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.30", strict=True)
    (member,) = only(manifests, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    values = {each["name"]: each.get("value") for each in member["env"]}
    ports = {each["name"]: each["containerPort"] for each in member["ports"]}
    assert values["HEALTH_HTTP_PORT"] == str(ports["metrics"])
    rules = only(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert {"ports": [{"port": "metrics"}]} in rules
    assert len({*ports.values()}) == len(ports)


@pytest.mark.parametrize(
    "password",
    ["simple", "quotes \" and \\ and '", "pound £, snowman ☃, 🦦", "@PASSWORD@", "$(x) `y`"],
)
def test_the_password_comes_from_the_secret(tmp_path: Path, password: str) -> None:
    """The init container puts it into mongooseim.toml, whatever characters it has."""
    manifests = render("postgresql")
    (init,) = only(manifests, "StatefulSet")["spec"]["template"]["spec"]["initContainers"]
    interpreter, *options = init["command"]
    (script,) = init["args"]
    assert interpreter == "python3"
    for mount in init["volumeMounts"]:
        folder = tmp_path / mount["mountPath"].strip("/")
        folder.mkdir()
        script = script.replace(f'"{mount["mountPath"]}/', f'"{folder}/')
    template = only(manifests, "ConfigMap")["data"]["mongooseim.toml"]
    (tmp_path / "template" / "mongooseim.toml").write_text(template, encoding="utf-8")
    (tmp_path / "database" / "password").write_text(f"{password}\n", encoding="utf-8")

    subprocess.run([sys.executable, *options, script], check=True, timeout=30)

    written = tomllib.loads((tmp_path / "member" / "mongooseim.toml").read_text(encoding="utf-8"))
    found = written["outgoing_pools"]["rdbms"]["default"]["connection"].pop("password")
    assert found == password
    expected = tomllib.loads(template)
    del expected["outgoing_pools"]["rdbms"]["default"]["connection"]["password"]
    assert json.dumps(written) == json.dumps(expected)
