"""Renders the Kubernetes manifests with kustomize, for the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from console import ROOT, ToolError

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("mnesia", "cets", "postgresql")
COOKIE = "a-cookie-of-the-tests"

Manifest = dict[str, Any]


def kubectl() -> str:
    """Return the path of the kubectl in this virtual environment, else of the one on PATH."""
    own = Path(sys.executable).parent / "kubectl"
    found = str(own) if own.exists() else shutil.which("kubectl")
    if found is None:
        raise ToolError("there is no kubectl: run python3 tools/setup.py venv")
    return found


def render(overlay: str, *components: str) -> list[Manifest]:
    """Return the manifests that `kubectl kustomize` makes of an overlay, with a cookie added.

    `components` are those that somebody adds to the overlay.
    """
    with tempfile.TemporaryDirectory(prefix="manifests-") as folder:
        copy = Path(folder, "kubernetes")
        shutil.copytree(KUBERNETES, copy, ignore=shutil.ignore_patterns("cookie"))
        (copy / "base" / "cookie").write_text(f"{COOKIE}\n")
        file = copy / "overlays" / overlay / "kustomization.yaml"
        wanted = yaml.safe_load(file.read_text(encoding="utf-8"))
        own = wanted.get("components", [])
        wanted["components"] = [*own, *(f"../../components/{name}" for name in components)]
        file.write_text(yaml.safe_dump(wanted))
        done = subprocess.run(
            [kubectl(), "kustomize", str(copy / "overlays" / overlay)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if done.returncode != 0 or done.stderr:
        raise ToolError(f"kubectl kustomize: status {done.returncode}\n{done.stderr}")
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only manifest of `kind`."""
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def variables(container: dict[str, Any], fields: dict[str, str]) -> dict[str, str]:
    """Return a container's variables as the kubelet sets them from the pod's `fields`."""
    values: dict[str, str] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        value = fields[source] if source else variable["value"]
        for name, earlier in values.items():
            value = value.replace(f"$({name})", earlier)
        values[variable["name"]] = value
    return values
