"""The command `member-entrypoint`: the one place that decides what its words mean.

    member-entrypoint                     run the server: PID 1 of the member image
    member-entrypoint health live|ready   answer a probe
    member-entrypoint status              show the cluster as each member sees it
    member-entrypoint check [--json]      find what is wrong before a start, change nothing
    member-entrypoint leave               leave the cluster, before a scale-down
    member-entrypoint --version | --help
    member-entrypoint COMMAND...          run a command instead of the server

A probe comes every few seconds and cannot pay for what PID 1 imports, hence the late imports.
"""

import sys

HELP = """\
usage: member-entrypoint [COMMAND...]

Without a command, this runs MongooseIM as one node of a cluster: it derives the node's name, waits
for the node to join, starts the Erlang VM, joins, supervises, and stops in good order.

  health live     is the member alive? status 0: yes, 1: no, with the reason
  health ready    may clients come? status 0: yes, 1: no, with the reason
  status          the cluster as each member sees it, a verdict first; status 0: all is well, 1: not
                  (--json: for programs, --watch [SECONDS]: again and again)
  check [--json]  find all that is wrong before a start; change nothing. status 0: no error
  leave           leave the cluster, so that its other members forget this node
  --version       print the version
  --help          print this
  COMMAND...      run this command instead of the server, under the same PID 1

Environment variables, files and exit statuses: docs/configuration.md.
"""


def main() -> int:
    """Do what the command line says; return the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["health"]:
        from member_entrypoint.health import probe

        return probe.main(arguments[1:])
    if arguments[:1] == ["status"]:
        import gc

        gc.disable()  # for a process of 50 ms, collecting takes 2 of them
        from member_entrypoint.status import command

        command.run(arguments[1:])
    if arguments[:1] == ["check"]:
        from member_entrypoint.diagnosis import check

        check.run(arguments[1:])
    if arguments == ["--help"]:
        return _printed(HELP)
    if arguments == ["--version"]:
        from member_entrypoint import VERSION

        return _printed(f"member-entrypoint {VERSION}\n")
    from member_entrypoint import life

    return life.main(arguments)


def _printed(text: str) -> int:
    """Print a text; return the exit status."""
    from member_entrypoint import printing

    return printing.put(text, 0)


if __name__ == "__main__":
    raise SystemExit(main())
