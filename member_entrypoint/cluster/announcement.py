"""Tells others, through the epmd of this host, that this node waits and has nothing to lose."""

import os

from member_entrypoint import programs
from member_entrypoint.cluster.member import Member
from member_entrypoint.cluster.peers import WAITS_EMPTY
from member_entrypoint.erlang import epmd

EPMD_START_TIMEOUT = 10.0  # seconds
QUIET_FAILURES = 3
"""An epmd that was just started does not listen at once, and a name that was just given up is still
there for a moment."""


class Announcement:
    """The name NODE_NAME and `WAITS_EMPTY` in the epmd of this host.

    So a primary that starts at the same time knows that it need not wait for this node.
    """

    def __init__(self, member: Member) -> None:
        """Prepare; nothing is registered yet."""
        self._member = member
        self._registration: epmd.Registration | None = None
        self._failures = 0

    def register(self) -> None:
        """Register the name, once; start an epmd if none runs.

        The caller tries again; a failure that stays is logged once.
        """
        if self._registration is not None or not self._member.erlang.reach.epmd:
            return
        program = os.path.join(os.path.dirname(self._member.release.erl), "epmd")
        name = self._member.node.partition("@")[0] + WAITS_EMPTY
        try:
            programs.run([program, "-daemon"], EPMD_START_TIMEOUT)
            self._registration = epmd.Registration(name, port=self._member.erlang.reach.epmd_port)
        except (OSError, programs.ProgramError) as error:
            self._failures += 1
            if self._failures == QUIET_FAILURES:
                self._member.log.warning(
                    "cannot tell a new primary that this node is empty", reason=str(error)
                )

    def withdraw(self) -> None:
        """Remove the name: the VM is about to start."""
        if self._registration is not None:
            self._registration.close()
            self._registration = None
