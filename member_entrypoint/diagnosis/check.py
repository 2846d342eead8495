"""`member-entrypoint check`: all that can be known wrong before a start; nothing is changed.

It does what a start does, but for writing: it renders the configuration in memory, asks the other
nodes as `look` does, and has the same decision made. So it may run beside a member, and as any
user.
"""

import os
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from functools import partial

from member_entrypoint import environment, printing
from member_entrypoint.diagnosis import given, network, plan, together, volume
from member_entrypoint.diagnosis.findings import ITSELF, Findings, Level
from member_entrypoint.diagnosis.together import Part
from member_entrypoint.errors import ConfigurationError, EntrypointError
from member_entrypoint.files import termination_log, users
from member_entrypoint.lean_typing import NoReturn
from member_entrypoint.network import surroundings

TIMEOUT = 10.0
"""Seconds for all questions together."""
ALLOWED: tuple[list[str], ...] = ([], ["--json"])


def run(arguments: Sequence[str]) -> NoReturn:
    """Do what `main` does, and end: at once, since nobody waits for questions that are late."""
    os._exit(main(arguments))


def main(arguments: Sequence[str]) -> int:
    """Print what was found, as JSON if that is asked for; return the exit status."""
    deadline = time.monotonic() + TIMEOUT
    _take_signals()
    if list(arguments) not in ALLOWED:
        printing.complain(f"check is asked {' '.join(arguments)!r}; allowed: check, check --json")
        return ConfigurationError.status
    found = Findings()
    try:
        with found.refusals("settings"):
            look(found, deadline)
    except Exception as error:  # noqa: BLE001 - all else that was found is said
        printing.complain(traceback.format_exc().rstrip())
        text = f"check itself failed ({error!r}), so what comes after this is not known"
        found.error(ITSELF, text, "report it, with what stands above", EntrypointError.status)
    shown = found.as_json() if arguments else found.as_lines()
    status = printing.put(f"{shown}\n", found.status)
    if os.getpid() == 1 and found.status:
        errors = [each.text for each in found.all if each.level is Level.ERROR]
        termination_log.note(environment.own_root(), "\n".join(errors))
    return status


def look(found: Findings, deadline: float) -> None:
    """Look at everything, in the order of a start, until `deadline`, an instant of the clock."""
    what = given.look(found, environment.variables())
    becomes = volume.whose_server(found, what.places)
    if what.node:
        volume.look(found, what.places, what.node, becomes)
    if what.member is not None:
        given.warnings(found, what.member)
    if becomes is not None:
        # What comes from the network is read as the user who has nothing to lose.
        users.become(becomes)
    together.look(found, _parts(what), deadline, TIMEOUT)
    if what.member and surroundings.only_loopback() and not what.member.is_alone:
        found.warning(
            "network",
            "there is no network but the loopback: what depends on others is not known",
            "run check in the network of the member",
        )


def _parts(what: given.Given) -> Iterator[Part]:
    """Yield what asks others."""
    services = partial(network.services, settings=what.settings, places=what.places)
    yield Part("wait-for", "what WAIT_FOR and DISCOVERY_NAME name", services)
    if what.member is not None and what.whole:
        names = partial(network.look, member=what.member, toml=what.toml)
        yield Part("dns", "the hosts of this node and of the node to join", names)
        if what.placed:
            yield Part("plan", "the other nodes", partial(plan.look, member=what.member))


def _take_signals() -> None:
    """Take signals as other programs do; PID 1 would not be ended by them otherwise."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
