"""The tasks of helpers that are no copies of PID 1: each ends soon, or may not have its memory.

A helper may block, fail or be killed at any moment, and leaves no memory behind. The command line
is `python3 -I -m member_entrypoint.tasks TASK NAME=VALUE...`, made by `pid1.helpers.task`; the exit
status is that of the contract. Each task imports what it needs.
"""

import sys
from collections.abc import Callable, Mapping

from member_entrypoint import environment, settings
from member_entrypoint.errors import EntrypointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from member_entrypoint.cluster.member import Member

Variables = Mapping[str, str]


def explain(variables: Variables, code: str, settled: str) -> None:
    """Find out why the VM ended by itself; raises the error that says so."""
    from member_entrypoint import starting

    starting.explain(
        _member(variables),
        int(code),
        booting=settled == "no",
        crash_dump=variables.get("ERL_CRASH_DUMP", ""),
    )


def leave(variables: Variables, deadline: str, elsewhere: str = "") -> None:
    """Leave the cluster, so that its members forget this node; raises `ClusteringError`.

    With `elsewhere` what is said is not said in the container's log: it is noted for PID 1, which
    repeats it there at the stop.
    """
    from member_entrypoint import counts
    from member_entrypoint.cluster import leaving

    member = _member(variables)
    said = "error the helper that leaves has failed"
    try:
        said = f"info {leaving.leave_for_good(member, float(deadline))}"
    except EntrypointError as error:
        said = f"error {error}"
        raise
    finally:
        if elsewhere:
            counts.write(member.settings.root, counts.LEAVE, said)


def choose_release(variables: Variables) -> None:
    """Make the release in /member the active one, if there is one; else the image's."""
    from member_entrypoint.places import Places
    from member_entrypoint.release import tarball

    tarball.choose(Places(settings.read(variables).root))


def full_name(variables: Variables, host: str) -> None:
    """Print what `hostname -f` says for `host`; nothing if it has no domain."""
    from member_entrypoint.cluster import member
    from member_entrypoint.places import Places

    sys.stdout.write(member.full_name(host, Places(settings.read(variables).root)) or "")


TASKS: dict[str, Callable[..., None]] = {
    "explain": explain,
    "leave": leave,
    "choose-release": choose_release,
    "full-name": full_name,
}


END_THE_CONTAINER = {"look", "settle", "explain", "choose-release", "full-name"}
"""Tasks whose failure ends the container."""


def main() -> int:
    """Do the task that the command line names, with its named arguments; return the exit status."""
    task, *words = sys.argv[1:]
    arguments = dict(word.split("=", 1) for word in words)
    variables = environment.variables()
    return finish(task, variables, lambda: TASKS[task](variables, **arguments))


def finish(task: str, variables: Variables, work: Callable[[], None]) -> int:
    """Do the work of a helper; log its failure, and return the exit status."""
    try:
        work()
    except EntrypointError as error:
        for line in str(error).splitlines():
            settings.log_of(variables, descriptor=1).error(line)
        _tell_kubernetes(task, str(error))
        return error.status
    except Exception as error:  # noqa: BLE001 - said as everything else is
        settings.log_of(variables, descriptor=1).unexpected(f"the helper {task!r}", error)
        _tell_kubernetes(task, f"the helper {task!r} failed: {error!r}")
        return EntrypointError.status
    return 0


def _tell_kubernetes(task: str, text: str) -> None:
    """Note why the container is about to end, if this task's failure ends it."""
    if task in END_THE_CONTAINER:
        from member_entrypoint.files import termination_log

        termination_log.note(environment.own_root(), text)


def _member(variables: Variables) -> "Member":
    from member_entrypoint.cluster import member

    return member.describe(variables, member.full_name, rendered=True)


if __name__ == "__main__":
    raise SystemExit(main())
