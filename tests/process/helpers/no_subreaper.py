"""Our program without the step that makes it a child subreaper: what the tests must notice."""

from member_entrypoint.__main__ import main
from member_entrypoint.pid1 import spawning, supervisor


def _nothing() -> None:
    pass


# What is broken on purpose: the supervisor has imported it from there.
vars(supervisor)[spawning.become_subreaper.__name__] = _nothing

if __name__ == "__main__":
    raise SystemExit(main())
