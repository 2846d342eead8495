"""Spawns helpers under our supervisor while orphans storm, and says how each was seen to end.

Arguments: the interpreter, this folder, how many.
"""

import os
import sys

from member_entrypoint.pid1.supervisor import Ended, Supervisor


def main() -> int:
    """Run helpers one after the other that end with 7."""
    supervisor = Supervisor()
    python, folder, number = sys.argv[1:]
    environment = dict(os.environ)
    storm = supervisor.spawn([python, "-I", f"{folder}/storm.py"], environment)
    for _ in range(int(number)):
        helper = supervisor.spawn(["sh", "-c", "exit 7"], environment)
        while not isinstance(event := supervisor.wait(), Ended):
            pass
        print("helper" if event.pid == helper else "another", event.how, flush=True)
    supervisor.send(9, storm)
    ended = supervisor.wait_for(storm)
    assert ended is not None
    print(f"storm {ended.how}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
