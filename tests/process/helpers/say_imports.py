"""Our program, which says when it imports one of the libraries that take long to import."""

import os
import sys

LIBRARIES = {"dns", "psutil", "structlog"}
OURS = os.getpid()  # and not a copy of it


def _hear(event: str, details: tuple[object, ...]) -> None:
    if event == "import" and details[0] in LIBRARIES and os.getpid() == OURS:
        print(f"imports {details[0]}", flush=True)


sys.addaudithook(_hear)

if __name__ == "__main__":
    from member_entrypoint.__main__ import main

    raise SystemExit(main())
