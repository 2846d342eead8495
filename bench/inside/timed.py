"""Run a command, and print the time that it needs as JSON: timed.py STATUS COMMAND...

`wall` and `cpu` are seconds; CPU time is that of the command and of all processes that it waited
for. If the command does not end with STATUS ("not-0": any but 0), print its output and end with
status 1.
"""

import json
import os
import subprocess
import sys
import tempfile
import time


def main() -> None:
    """Run the command."""
    wanted, *command = sys.argv[1:]
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, ended, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        status = process.returncode = os.waitstatus_to_exitcode(ended)
        if (status == 0) if wanted == "not-0" else (status != int(wanted)):
            output.seek(0)
            sys.exit(f"{command} ended with {status}, not {wanted}:\n{output.read().decode()}")
    print(json.dumps({"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}))


if __name__ == "__main__":
    main()
