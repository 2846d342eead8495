"""Leaves the cluster, so that its other members forget this node."""

import time

from member_entrypoint.cluster.control import run_mongooseimctl
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError


def leave(member: Member, deadline: float) -> None:
    """Run MongooseIM's `leave_cluster` until `deadline`, an instant of `time.monotonic`.

    Raises `ClusteringError` with its output if it fails.
    """
    timeout = max(1.0, deadline - time.monotonic())
    try:
        status, output = run_mongooseimctl(member.release, ["leave_cluster", "-f"], timeout)
    except TimeoutError:
        status, output = -1, f"it did not end within {timeout:.0f} s"
    if status != 0:
        raise ClusteringError(f"{member.node} could not leave its cluster: {output}")
