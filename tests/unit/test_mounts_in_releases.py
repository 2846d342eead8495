"""What Docker mounts in a release, where the active release changes at that start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from member_images import Image
from tarball_tools import special, tarball

from member_entrypoint.files import mounts
from member_entrypoint.release import active
from member_entrypoint.release.tarball import choose

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


class Container(Image):
    """A container that an operator has mounted `theirs` in: all of it in each start anew."""

    theirs: Path

    def mount(self, name: str) -> None:
        """Mount one of the operator's folders or files, where the release is now."""
        target = Path(os.path.realpath(self.places.release), name)
        if not target.exists():
            target.mkdir()
        subprocess.run(["mount", "--bind", self.theirs / name, target], check=True)

    def restart(self, *names: str) -> tuple[bool, list[str]]:
        """Start; tell whether the operator's vm.args counts, with the warnings of the start."""
        for point in mounts.points():
            if point.startswith(os.path.realpath(self.places.root)):
                subprocess.run(["umount", point], check=True)
        for name in names:
            self.mount(name)
        choose(self.places)
        self.release = active.find(self.places.release)
        warnings = self.start()
        return "-setcookie theirs" in self.read("vm.args"), warnings


def counts_through_all_changes(container: Container) -> None:
    """Go from the image's release to one of /member, another one, and back."""
    member = Path(container.places.tarball)
    for change in ("", "first", "second", "gone"):
        if change == "gone":
            member.unlink()
        elif change:
            tarball(member, special(f"mongooseim/{change}"))
        for _ in range(2):
            assert container.restart("etc") == (True, []), change
            assert container.restart("etc/vm.args") == (True, []), change


def is_named_until_it_is_seen(container: Container) -> None:
    """Mount a folder in the image, and unpack another release there."""
    assert container.restart("priv") == (False, [])
    tarball(Path(container.places.tarball))
    _, (warning,) = container.restart("priv")
    assert "mongooseim-image/priv: it was mounted there before" in warning
    assert "restart the container" in warning
    assert container.restart("priv") == (False, [])
    assert Path(container.release.server, "priv/key").read_text() == "theirs"


def counts_with_records_in_it(container: Container) -> None:
    """Mount a folder that was copied from a container, with its records."""
    container.start(CLUSTER_COOKIE="theirs")
    subprocess.run(["cp", "-a", f"{container.etc}/.", container.theirs / "etc"], check=True)
    (container.etc / ".shown").unlink()
    assert container.restart("etc") == (True, [])


@pytest.mark.parametrize(
    "case",
    [counts_through_all_changes, is_named_until_it_is_seen, counts_with_records_in_it],
)
def test_what_is_mounted(case: object) -> None:
    """In a mount namespace of its own."""
    name = getattr(case, "__name__", "")
    program = ["unshare", "--mount", sys.executable, __file__, name]
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    done = subprocess.run(
        program, env={**os.environ, "PYTHONPATH": path}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def main() -> None:
    """Run one case."""
    with tempfile.TemporaryDirectory() as folder:
        container = Container(Path(folder, "with blank"))
        container.theirs = Path(folder, "theirs")
        for each in ("etc", "priv"):
            (container.theirs / each).mkdir(parents=True)
        (container.theirs / "etc/vm.args").write_text("-sname x\n-setcookie theirs\n")
        (container.theirs / "priv/key").write_text("theirs")
        try:
            globals()[sys.argv[1]](container)
        finally:
            for point in mounts.points():
                if point.startswith(os.path.realpath(folder)):
                    subprocess.run(["umount", point], check=True)


if __name__ == "__main__":
    main()
