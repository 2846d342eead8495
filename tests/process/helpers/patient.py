"""Our program with as much time for killing what is left as a busy machine may need."""

from member_entrypoint.__main__ import main
from member_entrypoint.pid1 import supervisor

supervisor.AFTER_KILL = 20.0

if __name__ == "__main__":
    raise SystemExit(main())
