"""The mark of everything that the demonstration makes, and removing only what has it."""

from __future__ import annotations

from console import ToolError, say
from docker_cli import docker, docker_result

MARK = "mongooseim.demo=1"
"""The label of everything that the demonstration makes; nothing else is removed."""


def remove_marked(kind: str, name: str, labels: str) -> None:
    """Remove a container or a network, if it is there; ToolError if it has no mark.

    `labels` is where the template of `docker inspect` finds its labels.
    """
    label = MARK.partition("=")[0]
    found = docker_result(kind, "inspect", "--format", f'{{{{index {labels} "{label}"}}}}', name)
    if found.returncode != 0:
        return
    if not found.stdout.strip():
        raise ToolError(
            f"there is a {kind} {name} that the demonstration did not make: rename or remove it,"
            " then try again"
        )
    options = ("--force", "--volumes") if kind == "container" else ()
    docker(kind, "rm", *options, name)
    say(f"    removed {kind} {name}")


def remove_image(name: str) -> None:
    """Remove an image by its name."""
    docker("image", "rm", name)
    say(f"    removed image {name}")
