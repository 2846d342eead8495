"""docs/check.md shows what `check` says: its commands are run, and its output is compared."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

from console import ROOT
from documents import commands

if TYPE_CHECKING:
    from pathlib import Path

    from containers import Cluster

PAGE = (ROOT / "docs/check.md").read_text(encoding="utf-8")
KEYS = {"schema_version", "verdict", "status", "node", "user", "plan", "findings"}
CHANGES = ((r"\d+ MiB", "N MiB"), (r"release [\w.]+", "release V"), (r"ERTS [\w.]+", "ERTS V"))
ADDRESS = (r"\d+\.\d+\.\d+\.\d+", "ADDRESS")


def does(cluster: Cluster, folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page, with names that nobody else has."""
    for name, instead in (
        (" mongooseim check", f" {cluster.image} check"),
        ("--network chat", f"--network {cluster.network}"),
        ("mim-2:", f"{cluster.prefix}-mim-2:"),
    ):
        command = command.replace(name, instead)
    return subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def blocks() -> list[str]:
    """Return what the page shows as output."""
    return re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def same(text: str) -> str:
    """Return a text without what differs from run to run."""
    for pattern, instead in (*CHANGES, ADDRESS):
        text = re.sub(pattern, instead, text)
    return text.strip()


def test_the_page_shows_a_member_that_would_join(cluster: Cluster, tmp_path: Path) -> None:
    """With a primary that runs, and a cookie of its own in /member/vm.args."""
    member = tmp_path / "member"
    member.mkdir()
    (member / "vm.args").write_text("-setcookie 5fd924625f6ab16a19cc9807c7c506ae\n")
    volumes = [f"{member}:/member:ro"]
    primary = cluster.run("mongooseim-1", volumes=volumes)
    primary.wait_for_log("Clustered ")
    cluster.make_volume("mim-2")
    (command,) = commands("check.md", "test_the_page_shows_a_member_that_would_join")
    done = does(cluster, tmp_path, command)
    assert (done.returncode, done.stderr) == (0, "")
    assert same(done.stdout) == same(blocks()[0])


def test_the_page_shows_a_member_with_mistakes(cluster: Cluster, tmp_path: Path) -> None:
    """All of them, and the status that the page gives."""
    member = tmp_path / "member"
    member.mkdir()
    (member / "mongooseim.toml").write_text('[general]\n  loglevel = "notice\n')
    (member / "vm.arg").write_text("")
    wrong = cluster.run(
        "mongooseim",
        "check",
        volumes=[f"{member}:/member:ro"],
        env={"HEALTH_PORT": "tcp://10.0.0.7:80", "CLUSTER_COOKIE_FIL": "/run/secrets/cookie"},
    )
    assert wrong.wait_exit() == 78
    assert same(wrong.logs()) == same(blocks()[1])


def test_the_command_of_the_page_for_ci(cluster: Cluster, tmp_path: Path) -> None:
    """Without a network; the JSON has the keys that the page lists."""
    (tmp_path / "member").mkdir()
    (command,) = commands("check.md", "test_the_command_of_the_page_for_ci")
    done = does(cluster, tmp_path, f"{command} --json")
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert shown.keys() == KEYS
    assert "there is no network but the loopback" in done.stdout
    listed = PAGE.partition("## As JSON")[2].partition("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE)) == KEYS
    words = set(re.findall(r"`([\w-]+)`", PAGE.partition("| about |")[2].partition("\n\n")[0]))
    assert {each["about"] for each in shown["findings"]} <= words
    for each in shown["findings"]:
        assert each.keys() <= {"level", "about", "text", "what_to_do", "status"}
        assert all(each.values())
