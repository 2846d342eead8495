"""Start a server on an empty disk, measure, and stop it: start_plain.py COMMAND...

Prints JSON: seconds from the start of the command to the exec of the VM, and to `started`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

DATA = "/var/lib/mongooseim"
STATUS_FILE = "/run/mongooseim/var/status"
TIMEOUT = 60.0  # seconds
INTERVAL = 0.05  # seconds between checks of the status file
SERVE_TIME = 0.5  # seconds that the server runs before it is stopped


def main() -> None:
    """Start, wait, stop; end with a message if a step fails."""
    for name in os.listdir(DATA):
        shutil.rmtree(os.path.join(DATA, name))
    for stale in (STATUS_FILE, "/run/mongooseim/var/pid"):
        if os.path.exists(stale):
            os.unlink(stale)
    began = time.time()
    process = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: list[tuple[float, str]] = []
    reader = threading.Thread(target=_read, args=(process, lines))
    reader.start()
    deadline = time.monotonic() + TIMEOUT
    while _status() != "started" and process.poll() is None and time.monotonic() < deadline:
        time.sleep(INTERVAL)
    status = _status()
    written = os.stat(STATUS_FILE).st_mtime if status else 0.0
    # Right after the start a part of the server may not yet be able to stop.
    time.sleep(SERVE_TIME)
    process.send_signal(signal.SIGTERM)
    ended = process.wait(TIMEOUT)
    reader.join(TIMEOUT)
    execs = [at for at, line in lines if line.startswith("Exec: ")]
    if status != "started" or ended != 0 or not execs:
        output = "".join(line for _, line in lines)
        sys.exit(f"status file {status!r}, exit status {ended}, {len(execs)} execs\n{output}")
    print(json.dumps({"exec": execs[0] - began, "started": written - began}))


def _read(process: "subprocess.Popen[str]", lines: list[tuple[float, str]]) -> None:
    lines.extend((time.time(), line) for line in process.stdout or ())


def _status() -> str:
    try:
        with open(STATUS_FILE, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
