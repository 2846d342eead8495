"""What is done to the members: a function for each kind of fault of the plan."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from hosts import SLOW
from soak_members import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak_members import Five, Member
    from soak_plan import Step

READY = 90.0
"""Seconds within which a member is ready that is restarted while all others run."""

HANGS = "leave_cluster did not end within"
"""Said by a member that cannot leave since a transaction of the other members' Mnesia hangs: seen
once in some hundred farewells (OTP 25), eight seconds after two of five VMs had hung for ten."""


class SoakError(Exception):
    """Something does not hold; the text says what."""


def commit(five: Five, step: Step) -> None:
    """Do a step to the members, and undo what outlasts it."""
    targets = [five.members[number] for number in step.targets]
    try:
        FAULTS[step.kind](five, step, targets)
    finally:
        five.heal()


def end_all(targets: list[Member], how: str) -> None:
    """End members at the same time, each completely."""
    if how == "vm":
        for member in targets:
            member.signal_vm(signal.SIGKILL)
    elif how == "stop":
        for member in targets:
            member.ask_to_stop()
    else:
        for member in targets:
            member.kill()
    for member in targets:
        status = member.wait()
        if how == "stop" and status != 0:
            raise SoakError(f"{member.node} ended with status {status} when it was stopped")


def _end(five: Five, step: Step, targets: list[Member]) -> None:
    five.names = step.names
    begun = time.monotonic()
    end_all(targets, step.how)
    for member in targets:
        if member.number in step.wiped:
            member.volume.wipe()
    for member, pause in zip(targets, step.pauses, strict=True):
        time.sleep(pause)
        member.start()
        if member.number in step.again:
            time.sleep(pause)
            member.kill()
            member.start()
    if step.names != "yes":
        time.sleep(max(0.0, begun + step.seconds - time.monotonic()))


def _restart(_five: Five, _step: Step, targets: list[Member]) -> None:
    for member in targets:
        end_all([member], "stop")
        member.start()
        wait_until_ready(member)


def _link(_five: Five, step: Step, targets: list[Member]) -> None:
    for member in targets:
        member.host.link("down")
    time.sleep(step.seconds)


def _cut(five: Five, step: Step, _targets: list[Member]) -> None:
    five.part(step.groups)
    time.sleep(step.seconds)


def _deaf(five: Five, step: Step, targets: list[Member]) -> None:
    for member in targets:
        five.deafen(member.number, step.groups[0])
    time.sleep(step.seconds)


def _hang(_five: Five, step: Step, targets: list[Member]) -> None:
    for member in targets:
        member.signal_vm(signal.SIGSTOP)
    time.sleep(step.seconds)


def _remove(five: Five, step: Step, targets: list[Member]) -> None:
    """Remove a member while it is down; the others may notice first that it is."""
    end_all(targets, step.how)
    for member in targets:
        command = ("remove_from_cluster", "-f", member.node)
        deadline = time.monotonic() + SLOW
        while (done := five.members[step.by].control(*command))[0] != 0:
            if not until(deadline, 1.0):
                raise SoakError(f"{' '.join(command)} on chat-{step.by} fails: {done[1]}")
        member.start()


def _leave(five: Five, _step: Step, targets: list[Member]) -> None:
    for member in targets:
        status, output = member.run("leave")
        if status == 0:
            end_all([member], "stop")
        elif HANGS in output:
            five.helped.append(f"{member.node} was restarted, since leave_cluster hung")
            member.stop()
        else:
            raise SoakError(f"{member.node} cannot leave (status {status}): {output}")
        member.start()


def _full(_five: Five, step: Step, targets: list[Member]) -> None:
    for member in targets:
        member.volume.fill()
    _live_with_it(step, targets)


def _slow(_five: Five, step: Step, targets: list[Member]) -> None:
    for member in targets:
        member.volume.slow()
    _live_with_it(step, targets)


def _clock(_five: Five, step: Step, targets: list[Member]) -> None:
    for member in targets:
        member.set_clock(step.offset)
    _live_with_it(step, targets)


def _live_with_it(step: Step, targets: list[Member]) -> None:
    """Wait for the step's seconds; where it says so, restart the members meanwhile."""
    time.sleep(step.seconds / 2)
    if step.by:
        for member in targets:
            # A VM that cannot write may have ended by itself, with another status.
            member.kill() if step.how == "kill" else member.stop()
            member.start()
    time.sleep(step.seconds / 2)


FAULTS: dict[str, Callable[[Five, Step, list[Member]], None]] = {
    "end": _end,
    "restart": _restart,
    "link": _link,
    "cut": _cut,
    "deaf": _deaf,
    "hang": _hang,
    "remove": _remove,
    "leave": _leave,
    "full": _full,
    "clock": _clock,
    "slow": _slow,
}


def wait_until_ready(member: Member) -> None:
    """Wait until the probe says that a member is ready; raises `SoakError`."""
    deadline = time.monotonic() + READY
    while why := member.why_not_ready():
        if not member.up or not until(deadline):
            raise SoakError(f"{member.node} is not ready within {READY:.0f} s: {why}")
