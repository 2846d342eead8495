"""Tells others that this node waits and has nothing to lose."""

import os

from member_entrypoint import programs
from member_entrypoint.cluster.knowledge import State
from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang import epmd
from member_entrypoint.erlang.reach import Reach
from member_entrypoint.erlang.way import WAITS, WAITS_EMPTY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from member_entrypoint.erlang.waiting import Listener

EPMD_START_TIMEOUT = 10.0  # seconds
QUIET_FAILURES = 3
"""An epmd that was just started does not listen at once, and a name that was just given up is still
there for a moment."""


class Announcement:
    """The name NODE_NAME and `WAITS_EMPTY` or `WAITS` in the epmd of this host.

    Where there is no epmd, it is said at the node's own port, as long as no VM is there. So a
    primary that starts at the same time knows whether it need wait for this node.
    """

    def __init__(self, member: Member) -> None:
        """Prepare; nothing is registered yet."""
        self._member = member
        self._held: epmd.Registration | Listener | None = None
        self._said: State | None = None
        self._failures = 0

    def say(self, what: State | None) -> None:
        """Announce `EMPTY` or `KNOWING`, or nothing any more; start an epmd if none runs.

        The caller tries again; a failure that stays is logged once.
        """
        how = self._member.erlang.reach
        if what is self._said or not how.direct:
            return
        self.withdraw()
        if what is None:
            return
        knows = what is State.KNOWING
        try:
            if how.node_port:
                from member_entrypoint.erlang import waiting

                self._held = waiting.Listener(how, knows=knows)
            else:
                self._held = self._registered(how, WAITS if knows else WAITS_EMPTY)
            self._said = what
        except (OSError, programs.ProgramError) as error:
            self._failures += 1
            if self._failures == QUIET_FAILURES:
                self._member.log.warning(
                    "cannot tell a new primary that this node is empty", reason=str(error)
                )

    def _registered(self, how: Reach, word: str) -> epmd.Registration:
        """Return the name, registered; raises OSError or `ProgramError`."""
        if how.starts_epmd:
            program = os.path.join(os.path.dirname(self._member.release.erl), "epmd")
            programs.run([program, "-daemon"], EPMD_START_TIMEOUT)
        name = self._member.node.partition("@")[0] + word
        return epmd.Registration(name, port=how.epmd_port, address=how.own_epmd)

    def withdraw(self) -> None:
        """Remove the name, if it is there: the VM is about to start, or it is not so any more."""
        if self._held is not None:
            self._held.close()
        self._held = self._said = None
