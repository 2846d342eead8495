"""Leaves the cluster, so that its other members forget this node."""

import time

from member_entrypoint.cluster.control import run_mongooseimctl
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError


def leave(member: Member, deadline: float) -> None:
    """Run MongooseIM's `leave_cluster`; raises `ClusteringError` with its words if it fails."""
    timeout = max(1.0, deadline - time.monotonic())
    try:
        status, words = run_mongooseimctl(member.release, ["leave_cluster", "-f"], timeout)
    except TimeoutError:
        status, words = -1, f"it did not end within {timeout:.0f} s"
    if status != 0:
        raise ClusteringError(f"{member.node} could not leave its cluster: {words}")
