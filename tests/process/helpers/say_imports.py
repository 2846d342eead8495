"""Our program, which says when it imports one of the libraries that take long to import."""

import sys

LIBRARIES = {"dns", "psutil", "structlog"}


def _hear(event: str, details: tuple[object, ...]) -> None:
    if event == "import" and details[0] in LIBRARIES:
        print(f"imports {details[0]}", flush=True)


sys.addaudithook(_hear)

if __name__ == "__main__":
    from member_entrypoint.__main__ import main

    raise SystemExit(main())
