"""Our program on a machine so slow that it looks for the end of its VM only after the deadline."""

import os
import time
from pathlib import Path

from member_entrypoint.__main__ import main
from member_entrypoint.pid1.supervisor import Supervisor


def _is_vm(pid: int) -> bool:
    return b"vm.py" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _prepare_to_end(self: Supervisor) -> None:
    for pid in filter(_is_vm, self._ours):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    time.sleep(float(os.environ["STOP_TIMEOUT"]))


# What is slow on purpose: the last step between SIGTERM and the first look.
Supervisor.prepare_to_end = _prepare_to_end  # type: ignore[method-assign]

if __name__ == "__main__":
    raise SystemExit(main())
