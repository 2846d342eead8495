"""Start a server on an empty disk, and stop it: when it was about to become the VM, when it served.

start_plain.py COMMAND...; prints JSON: seconds from the start of the command to each.
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
TIMEOUT = 60.0
INTERVAL = 0.05


def main() -> None:
    """Start, wait, stop; ends with a message if any of it goes wrong."""
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
    # A SIGTERM right after the start may find a part of the server that is not there yet.
    time.sleep(0.5)
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
