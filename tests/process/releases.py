"""Releases that misbehave on purpose: their VM is a script that does as the environment says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from processes import HELPERS

from member_entrypoint.places import Places
from member_entrypoint.release import server_root

if TYPE_CHECKING:
    from pathlib import Path

HOST = "chat-2"
NODE = f"mongooseim@{HOST}"
PRIMARY = "mongooseim@chat-1"
PRISTINE = {
    "vm.args": "-sname mongooseim\n-setcookie sample\n",
    "app.config": "[].\n",
    "mongooseim.toml": "",
}


class FakeRelease:
    """The root folder of a member image, with such a release in it."""

    def __init__(self, root: Path, python: Path) -> None:
        """Lay it out as installing a release does."""
        self.root = root
        places = root / "usr/lib"
        release = places / "mongooseim-image"
        self.status_file = root / "run/mongooseim/var/status"
        scripts = {
            "bin/mongooseim": f'exec {python} -I {HELPERS / "vm.py"} "$@"',
            "bin/mongooseimctl": f". {HELPERS / 'ctl.sh'}",
            "erts-1/bin/erl": 'echo "answer ${FAKE_ERL:-[]}"',
        }
        for name, body in scripts.items():
            self._write(release / name, f"#!/bin/bash\n{body}\n", 0o755)
        self._write(release / "releases/start_erl.data", "1 1\n")
        for name, text in PRISTINE.items():
            self._write(release / "etc" / name, text)
        for folder in ("run/mongooseim", "var/lib/mongooseim", "var/log/mongooseim", "etc"):
            (root / folder).mkdir(parents=True)
        server_root.lay_out(str(release), Places(str(root)))
        (places / "mongooseim").symlink_to("mongooseim-image")
        (root / "etc/hosts").write_text(f"127.0.0.1 {HOST}\n")
        (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")

    def environment(self, vm: str = "", **variables: str) -> dict[str, str]:
        """Return the environment of a lone member; `vm` is what its VM shall do."""
        return {
            "ENTRYPOINT_ROOT": str(self.root),
            "HOSTNAME": HOST,
            "JOIN_CLUSTER": "false",
            "FAKE_VM": vm,
            "FAKE_STATUS": str(self.status_file),
            **variables,
        }

    def lay_down_schema(self) -> None:
        """Put a schema on the volume, so that nothing is looked for before the VM starts."""
        self._write(self.root / "var/lib/mongooseim" / f"Mnesia.{NODE}" / "schema.DAT", "")

    @staticmethod
    def _write(path: Path, text: str, mode: int = 0o644) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.chmod(path, mode)
