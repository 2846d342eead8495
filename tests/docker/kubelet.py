"""Pods by Docker, as a kubelet would make them from the manifests, and DNS as a cluster has it.

    kubelet = Kubelet(cluster, render("mnesia"), folder)
    with kubelet.dns():
        first = kubelet.start(0)
        first.wait_for_log("MongooseIM cluster primary node")

What is as in Kubernetes: host name, domain and hosts file of a StatefulSet's pod; resolv.conf with
search list and `ndots:5`; DNS of a headless Service, which knows a pod when it has an address;
ConfigMap with its double symbolic links; Secret and volumes owned by root and the fsGroup; user,
capabilities and read-only root of the securityContext; emptyDirs; the memory limit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dns_server import serving
from docker_cli import docker
from manifests import Manifest, only, variables

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from containers import Cluster, Container

NAMESPACE = "default"
SUFFIX = f"{NAMESPACE}.svc.cluster.local"
NAME_ERROR = 3
REVISION = "..2026_11_24_10_00_00.1234567890"


class Kubelet:
    """Starts the pods of one StatefulSet, as containers of one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        manifests: list[Manifest],
        folder: Path,
        *,
        replicas: int = 3,
        not_ready_in_dns: bool = True,
    ) -> None:
        """Make the volumes; `folder` is an empty one to work in."""
        self._cluster = cluster
        self._spec = only(manifests, "StatefulSet")["spec"]
        self._pod = self._spec["template"]["spec"]
        (self._member,) = self._pod["containers"]
        self._security = self._pod.get("securityContext", {})
        self._group = self._security.get("fsGroup", 0)
        self._folder = folder
        self._not_ready_in_dns = not_ready_in_dns
        self._addresses: dict[str, str] = {}
        self._volumes: dict[str, str] = {}
        self._fill_volumes(manifests, replicas)
        (subnet,) = json.loads(
            docker("network", "inspect", "--format={{json .IPAM.Config}}", cluster.network)
        )
        self._gateway = subnet["Gateway"]
        self._resolv_conf = folder / "resolv.conf"
        self._resolv_conf.write_text(
            f"search {SUFFIX} svc.cluster.local cluster.local\n"
            f"nameserver {self._gateway}\n"
            "options ndots:5\n"
        )

    def dns(self) -> AbstractContextManager[None]:
        """Serve the cluster's DNS while the block runs."""
        return serving(self._gateway, self._zone)

    def host(self, ordinal: int) -> str:
        """Return the full name of a pod."""
        return f"mongooseim-{ordinal}.{self._spec['serviceName']}.{SUFFIX}"

    def start(self, ordinal: int) -> Container:
        """Start a pod, anew if it was there before: with the same volume, at another address."""
        name = f"mongooseim-{ordinal}"
        domain = self.host(ordinal).partition(".")[2]
        container = self._cluster.run(
            name,
            env=self._environment(),
            volumes=[*self._mounts(ordinal), f"{self._resolv_conf}:/etc/resolv.conf:ro"],
            options=[f"--domainname={domain}", *self._options()],
        )
        if self._not_ready_in_dns:
            self.show_in_dns(ordinal, container)
        return container

    def show_in_dns(self, ordinal: int, container: Container) -> None:
        """Have DNS know a pod's address from now on."""
        self._addresses[f"{self.host(ordinal)}."] = container.ip()

    def delete(self, ordinal: int, container: Container) -> int:
        """End a pod as a kubelet does, and remove it; return the exit status of its PID 1."""
        container.stop(grace=self._pod.get("terminationGracePeriodSeconds", 30))
        status = container.exit_status()
        self._addresses.pop(f"{self.host(ordinal)}.", None)
        container.remove()
        return status

    def empty_volume(self, ordinal: int) -> None:
        """Have a pod's claim give an empty volume when the pod is started next."""
        for claim in self._spec["volumeClaimTemplates"]:
            volume = self._volumes[f"{claim['metadata']['name']}-{ordinal}"]
            command = "find /volume -mindepth 1 ! -name lost+found -delete"
            docker(
                *("run", "--rm", "--user=0:0", "--entrypoint=sh", "--network=none"),
                *(f"--volume={volume}:/volume", self._cluster.image, "-ec", command),
            )

    def probe(self, container: Container, name: str) -> bool:
        """Tell whether a probe of the manifest succeeds in a pod."""
        command = self._member[name]["exec"]["command"]
        return (
            container.exec(*command, timeout=self._member[name]["timeoutSeconds"]).returncode == 0
        )

    def _zone(self, name: str, kind: str) -> list[str] | int:
        service = f"{self._spec['serviceName']}.{SUFFIX}."
        found = (
            list(self._addresses.values())
            if name == service
            else [address for host, address in self._addresses.items() if host == name]
        )
        if not found:
            return NAME_ERROR
        if kind == "A":
            return [f"{name} A {address}" for address in found]
        if kind == "SRV" and name == service:
            return [f"{name} SRV 0 50 9100 {host}" for host in self._addresses]
        return []

    def _environment(self) -> dict[str, str]:
        fields = {"metadata.namespace": NAMESPACE, "status.podIP": "10.1.2.3"}
        services = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
        return {**services, **variables(self._member, fields)}

    def _options(self) -> list[str]:
        own = self._member.get("securityContext", {})
        options = []
        if "runAsUser" in self._security:
            group = self._security.get("runAsGroup", 0)
            options.append(f"--user={self._security['runAsUser']}:{group}")
            options.append(f"--group-add={self._group}")
        if own.get("readOnlyRootFilesystem"):
            options.append("--read-only")
        if own.get("allowPrivilegeEscalation") is False:
            options.append("--security-opt=no-new-privileges")
        options += [f"--cap-drop={name}" for name in own.get("capabilities", {}).get("drop", ())]
        if memory := self._member.get("resources", {}).get("limits", {}).get("memory"):
            options.append(f"--memory={memory.removesuffix('i').lower()}")
        for mount in self._member["volumeMounts"]:
            if "emptyDir" in self._volume(mount["name"]):
                options.append(f"--tmpfs={mount['mountPath']}:exec,mode=2777,gid={self._group}")
        return options

    def _mounts(self, ordinal: int) -> list[str]:
        mounts = []
        for mount in self._member["volumeMounts"]:
            kind = self._volume(mount["name"])
            if "emptyDir" in kind:
                continue
            name = mount["name"] if kind else f"{mount['name']}-{ordinal}"
            # ConfigMaps and Secrets are read-only whatever the mount says.
            mode = "ro" if kind or mount.get("readOnly") else "rw"
            mounts.append(f"{self._volumes[name]}:{mount['mountPath']}:{mode}")
        return mounts

    def _volume(self, name: str) -> dict[str, Any]:
        """Return a volume of the pod, nothing for one that a claim makes."""
        for volume in self._pod["volumes"]:
            if volume["name"] == name:
                return dict(volume)
        return {}

    def _fill_volumes(self, manifests: list[Manifest], replicas: int) -> None:
        """Make the volumes of ConfigMap, Secret and claims, with the owners that they have."""
        commands = []
        for volume in self._pod["volumes"]:
            name = volume["name"]
            if "configMap" in volume:
                texts = only(manifests, "ConfigMap")["data"]
                mode = "0644"
            elif "secret" in volume:
                texts = dict.fromkeys(only(manifests, "Secret")["data"], "a-cookie-of-the-tests\n")
                mode = f"{volume['secret'].get('defaultMode', 0o644):o}"
            else:
                continue
            self._volumes[name] = self._cluster.make_volume(name)
            folder = self._folder / name
            folder.mkdir()
            for key, text in texts.items():
                (folder / key).write_text(text)
            commands.append(
                f"cd /to/{name} && mkdir {REVISION} && cp /from/{name}/* {REVISION} && "
                f"chmod {mode} {REVISION}/* && chgrp -R {self._group} . && "
                f"ln -s {REVISION} ..data && "
                f"for key in $(ls {REVISION}); do ln -s ..data/$key $key; done"
            )
        for claim in self._spec.get("volumeClaimTemplates", ()):
            for ordinal in range(replicas):
                name = f"{claim['metadata']['name']}-{ordinal}"
                self._volumes[name] = self._cluster.make_volume(name)
                commands.append(
                    f"cd /to/{name} && mkdir -m 700 lost+found && "
                    f"chgrp {self._group} . && chmod 2775 ."
                )
        docker(
            *("run", "--rm", "--user=0:0", "--entrypoint=sh", "--network=none"),
            f"--volume={self._folder}:/from:ro",
            *(f"--volume={volume}:/to/{name}" for name, volume in self._volumes.items()),
            *(self._cluster.image, "-ec", "\n".join(commands)),
        )
