"""What is in the images, and what is not: see docs/image.md."""

from __future__ import annotations

import json

import pytest
from docker_cli import docker

UNWANTED = "as c++ cc curl g++ gcc git ld make pip pip3 sudo wget"
LEFTOVERS = """\
find /var/lib/apt/lists /var/cache/apt /var/cache/ldconfig /var/log /tmp -type f -size +0
find /etc /var/lib/dpkg /var/cache/debconf -maxdepth 1 '(' -name '*-' -o -name '*-old' ')'
"""
MEMBERS_OWN = "/usr/lib/python3/dist-packages/member_entrypoint /usr/lib/mongooseim-image"
SEARCH = f"""\
for program in {UNWANTED}; do command -v $program; done
python3 -c 'import pip' 2> /dev/null && echo pip
{LEFTOVERS}
find {MEMBERS_OWN} ! -perm -o=r ! -type l
find {MEMBERS_OWN} -perm -u=x ! -perm -o=x
"""
UNCHECKED = "1"
"""In the header of a .pyc: valid whatever its source is, or when that was written (PEP 552)."""


def inside(image: str, script: str) -> str:
    """Return what a shell script prints in a container of `image`."""
    return docker("run", "--rm", "--entrypoint=sh", image, "-c", script)


def test_the_member_image_has_no_more_than_it_needs(member_image: str) -> None:
    """No compiler, no pip, no leftovers of the build; all of ours can be read by any user."""
    assert inside(member_image, SEARCH) == ""


def test_the_builder_image_has_no_leftovers(builder_image: str) -> None:
    """Logs and caches would differ with each build."""
    assert inside(builder_image, LEFTOVERS) == ""


def test_our_programs_are_compiled_without_times_in_them(member_image: str) -> None:
    """Every module of ours, so that no start compiles, and every build gives the same bytes."""
    folder = "/usr/lib/python3/dist-packages/member_entrypoint"
    program = f"""\
import pathlib
folder = pathlib.Path({folder!r})
compiled = sorted(folder.glob("__pycache__/*.pyc"))
sources = list(folder.glob("*.py"))
print(len(compiled) - len(sources), *{{file.read_bytes()[4] for file in compiled}})
"""
    command = ("run", "--rm", "--entrypoint=python3", member_image, "-I", "-c", program)
    assert docker(*command) == f"0 {UNCHECKED}"


@pytest.mark.parametrize("fixture", ["member_image", "builder_image"])
def test_labels_say_what_an_image_is(fixture: str, request: pytest.FixtureRequest) -> None:
    """The OCI's, and those of label-schema that the shell images had, which say the same."""
    image = request.getfixturevalue(fixture)
    labels = json.loads(docker("image", "inspect", "--format={{json .Config.Labels}}", image))
    for new, old in (
        ("title", "name"),
        ("source", "vcs-url"),
        ("created", "build-date"),
        ("revision", "vcs-ref"),
        ("version", "version"),
    ):
        assert labels[f"org.opencontainers.image.{new}"] == labels[f"org.label-schema.{old}"]
    assert labels["org.opencontainers.image.title"].startswith("MongooseIM")
    assert labels["org.opencontainers.image.description"]
    assert labels["org.label-schema.schema-version"] == "1.0"
