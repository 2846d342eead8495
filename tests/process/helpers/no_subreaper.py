"""Our program without the step that makes it a child subreaper: what the tests must notice."""

from member_entrypoint.__main__ import main
from member_entrypoint.pid1 import supervisor


def _nothing() -> None:
    pass


supervisor._become_subreaper = _nothing  # noqa: SLF001 - what is broken on purpose

if __name__ == "__main__":
    raise SystemExit(main())
