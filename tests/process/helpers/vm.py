"""Stands in for a VM.

FAKE_VM says how it behaves, in words with `;;` between them:

deaf            ignores SIGTERM
late-ears       has no status and ignores SIGTERM until the third came, as a VM that boots
booting         never gets beyond the status `starting`
print           says each signal that it gets, and ends with none of them but SIGTERM
dies=N          ends with status N at once
killed=N        ends by signal N at once
stops-with=N    ends with status N after SIGTERM
leaves=COMMAND  leaves a command behind, in a session of its own
"""

from __future__ import annotations

import os
import signal

TOLD_BEFORE_IT_HEARS = 3


def main() -> int:
    """Behave as told."""
    words = dict(word.partition("=")[::2] for word in os.environ["FAKE_VM"].split(";;"))
    if "dies" in words:
        return int(words["dies"])
    if "killed" in words:
        os.kill(os.getpid(), int(words["killed"]))
    waited_for = set(signal.valid_signals()) if "print" in words else {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    if "leaves" in words:
        command = ["/bin/sh", "-c", words["leaves"]]
        os.posix_spawn(command[0], command, os.environ, setsid=True, setsigmask=())
    if "late-ears" not in words:
        say_status("starting" if "booting" in words else "started")
    print("vm is up", flush=True)
    told = 0
    while True:
        number = signal.sigwait(waited_for)
        if "print" in words:
            print(f"vm got {number}", flush=True)
        if number != signal.SIGTERM:
            continue
        told += 1
        if "deaf" in words or ("late-ears" in words and told < TOLD_BEFORE_IT_HEARS):
            continue
        print(f"vm ends, told {told} times", flush=True)
        return int(words.get("stops-with", "0"))


def say_status(text: str) -> None:
    """Write the status file."""
    with open(os.environ["FAKE_STATUS"], "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    raise SystemExit(main())
