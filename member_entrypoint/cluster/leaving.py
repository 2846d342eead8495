"""Leaves the cluster, so that its other members forget this node."""

import contextlib
import time

from member_entrypoint import programs, state
from member_entrypoint.cluster.decision import Marker
from member_entrypoint.cluster.facts import write_marker
from member_entrypoint.cluster.member import Member
from member_entrypoint.errors import ClusteringError


def leave(member: Member, deadline: float) -> None:
    """Run MongooseIM's `leave_cluster` until `deadline`, an instant of `time.monotonic`.

    Raises `ClusteringError` with its output if it fails.
    """
    command = [member.release.control_script, "leave_cluster", "-f"]
    try:
        programs.run(command, max(1.0, deadline - time.monotonic()))
    except programs.ProgramError as error:
        raise ClusteringError(f"{member.node} could not leave its cluster: {error}") from None


def leave_for_good(member: Member, deadline: float) -> None:
    """Leave the cluster, and note it for the next start and for probes.

    `deadline` is an instant of `time.monotonic`. Raises `ClusteringError`.
    """
    leave(member, deadline)
    write_marker(member.places, member.node, Marker.LEFT, "cluster")
    with contextlib.suppress(OSError):
        state.note(member.settings.root, state.LEFT_FILE, "this node has left its cluster")
    member.log.info(f"MongooseIM node {member.node} left its cluster")
