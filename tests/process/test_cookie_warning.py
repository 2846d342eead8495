"""The default cookie, which everybody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from processes import MEMBER, Machine, Mode, Program

if TYPE_CHECKING:
    from releases import FakeRelease

PLAIN = Program(MEMBER, Mode.SUBREAPER)
WARNING = "the Erlang cookie is the default one, 'mongooseim'"


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({}, False),
        ({"CLUSTER_COOKIE": "mongooseim"}, True),
        ({"CLUSTER_COOKIE": "mongooseim", "JOIN_CLUSTER": "false"}, False),
    ],
    ids=["own cookie", "default cookie", "alone"],
)
def test_the_default_cookie_is_warned_of_at_each_start(
    machine: Machine,
    release: FakeRelease,
    variables: dict[str, str],
    warned: bool,  # noqa: FBT001
) -> None:
    """In a cluster; a node that runs alone is not told."""
    clustered = {"JOIN_CLUSTER": "true", "CLUSTER_WITH": "mongooseim@chat-2", **variables}
    release.lay_down_schema()
    running = machine.start(PLAIN, environment=release.environment(**clustered))
    alone = clustered["JOIN_CLUSTER"] == "false"
    said = running.wait_for_output("runs alone" if alone else "MongooseIM cluster primary node")
    assert (WARNING in said) == warned
    assert ("openssl rand -hex 32" in said) == warned
