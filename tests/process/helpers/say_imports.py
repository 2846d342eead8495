"""Our program, which says when it imports a module that takes long to import."""

import os
import sys

HEAVY = {"dns", "psutil", "structlog", "typing"}
OURS = os.getpid()  # and not a copy of it


def _hear(event: str, details: tuple[object, ...]) -> None:
    if event == "import" and details[0] in HEAVY and os.getpid() == OURS:
        print(f"imports {details[0]}", flush=True)


sys.addaudithook(_hear)

if __name__ == "__main__":
    from member_entrypoint.__main__ import main

    raise SystemExit(main())
