"""Bootstrap scripts that do not come to their end leave no configuration behind."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from processes import MEMBER, Machine, Mode, Program, eventually

if TYPE_CHECKING:
    from releases import FakeRelease

PLAIN = Program(MEMBER, Mode.SUBREAPER)


@pytest.mark.parametrize("end", ["exit 7", "exec sleep 1000"], ids=["fails", "is stopped"])
def test_what_they_wrote_does_not_count_at_the_next_start(
    machine: Machine, release: FakeRelease, end: str
) -> None:
    """Under a restart policy each start added its line to those of the starts before."""
    etc = release.root / "usr/lib/mongooseim/etc"
    script = f"echo '# added' >> {etc}/vm.args; mkdir {release.root}/at-it; {end}"
    environment = release.environment(BOOTSTRAP_ENABLED="true", FAKE_CTL=script)
    for _ in range(2):
        running = machine.start(PLAIN, environment=environment)
        if end.startswith("exec"):
            eventually((release.root / "at-it").exists, "the script has written")
            running.send(signal.SIGTERM)
        running.wait()
        assert "was changed" not in running.output()
        assert "was edited" not in running.output()
        (release.root / "at-it").rmdir()
        assert "# added" not in (etc / "vm.args").read_text()
