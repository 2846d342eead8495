"""The cookie of a running cluster is changed as docs/security.md says, without downtime."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from console import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster

PROGRAM = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def test_the_cookie_is_changed_without_downtime(cluster: Cluster, tmp_path: Path) -> None:
    """One member serves at each moment, and what clients wrote meanwhile is on both."""
    cookie = tmp_path / "cookie"
    cookie.write_text("old\n")
    first, second = (
        cluster.run(
            f"mongooseim-{number}",
            env={"CLUSTER_COOKIE_FILE": "/secret/cookie"},
            volumes=[f"{tmp_path}:/secret:ro"],
        )
        for number in (1, 2)
    )
    both = ("mongooseim-1", "mongooseim-2")
    second.wait_for_log("Clustered ")
    first.wait_for_cluster(both)

    cookie.write_text("new\n")
    (program,) = PROGRAM.findall((ROOT / "docs/security.md").read_text(encoding="utf-8"))
    program = program.replace(" mongooseim-1 ", f" {first.name} ")
    done = subprocess.run(
        ["sh", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "{[true,true],[]}", done.stderr
    for count, (member, other) in enumerate(((second, first), (first, second)), start=2):
        member.stop()
        assert other.exec("member-entrypoint", "health", "ready").returncode == 0, other.logs()
        member.start()
        member.wait_for_cluster(both)
        member.wait_for_log("Clustered ", count=2)
        member.ctl("sample", "write", f"key{count}", "value")
    for member in (first, second):
        assert member.ctl("sample", "read", "key3") == "value"
        assert member.ctl("sample", "read", "key2") == "value"
        vm_args = member.exec("cat", "/run/mongooseim/etc/vm.args").stdout
        assert "-setcookie new" in vm_args
