"""Lines of the log: one for each event, JSON where that is asked for, and plain words."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from member_entrypoint.log import FORMATS, Log, counted

ROOT = Path(__file__).resolve().parents[2]
AS_MEMBER = ROOT / "member_entrypoint" / "release" / "as-member.sh"
AT_LEAST_TWO = {
    ("builder_entrypoint/mirror.py", "candidates"),  # an ambiguous hash
    ("builder_entrypoint/settings.py", "positional"),  # more than are allowed
    ("member_entrypoint/erlang/etf.py", "name"),  # more than an atom may have
    ("member_entrypoint/erlang/etf.py", "token"),
    ("member_entrypoint/terms.py", "token.text"),  # too many digits
}
"""Numbers in messages that are never 1: the file, and what is counted."""


def written(log_format: str, event: str, **values: Any) -> str:
    """Return what a log writes for one event."""
    reading, writing = os.pipe()
    Log(log_format, descriptor=writing).info(event, **values)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("log_format", FORMATS)
def test_an_event_is_one_line_without_empty_values(log_format: str) -> None:
    """Whatever is said of it: a key without a value is left out, a line break is none."""
    said = written(log_format, "two\nlines", gone="", peak=None, zero=0, no=False, new="a\nb c")
    assert said.count("\n") == 1
    assert "two lines" in said
    assert "gone" not in said
    assert "peak" not in said
    assert "zero" in said
    assert "no=" in said or '"no"' in said


def test_a_failure_that_was_not_foreseen_is_one_line_too() -> None:
    """With where it was."""
    environment = {**os.environ, "LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "member_entrypoint.tasks", "full-name"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (70, "")
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert said["event"].startswith("the helper 'full-name' failed: TypeError")
    assert "tasks.py" in said["traceback"]


@pytest.mark.parametrize(("number", "text"), [(0, "0 nodes"), (1, "1 node"), (2, "2 nodes")])
def test_one_node_is_no_nodes(number: int, text: str) -> None:
    """As people say it."""
    assert counted(number, "node") == text


def test_every_number_of_things_in_a_message_is_said_by_counted() -> None:
    """A message with `{len(nodes)} nodes` says `1 nodes` some day."""
    found = set()
    for path in [
        path
        for package in ("member", "builder")
        for path in ROOT.glob(f"{package}_entrypoint/**/*.py")
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            for value, after in zip(node.values, node.values[1:], strict=False):
                if (
                    isinstance(value, ast.FormattedValue)
                    and isinstance(value.value, ast.Call)
                    and getattr(value.value.func, "id", "") == "len"
                    and isinstance(after, ast.Constant)
                    and re.match(r" [a-z]+s\b", str(after.value))
                ):
                    (argument,) = value.value.args
                    found.add((str(path.relative_to(ROOT)), ast.unparse(argument)))
    assert found <= AT_LEAST_TWO


SCRIPT = """\
. {as_member}
exec_echo() {{ echo "Exec: $@"; }}
echo "Root: $1"
exec_echo erlexec -config "$2"
echo "Execute $3"
echo -n not; echo " ours"
echo "Usage: Exec: no"
"""
ARGUMENTS = ("/usr/lib/mongooseim", 'a "quoted" \\ and\ta\nline', "ünïcode ☃")


def printed(log_format: str, shell: str = "bash") -> list[str]:
    """Return the lines that a script of a release prints, which reads ours first."""
    environment = {"PATH": os.environ["PATH"], "LOG_FORMAT": log_format, "LC_ALL": "C.UTF-8"}
    script = SCRIPT.format(as_member=AS_MEMBER)
    return subprocess.run(
        [shell, "-c", script, "/nowhere/mongooseim", *ARGUMENTS],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()


@pytest.mark.parametrize("log_format", ["json", "JSON"])
def test_the_lines_of_the_start_script_are_json(log_format: str) -> None:
    """Whatever stands in them; other lines of the script are left as they are."""
    *ours, other, usage = printed(log_format)
    events = [json.loads(line) for line in ours]
    assert [event["event"] for event in events] == [
        "Root: /usr/lib/mongooseim",
        'Exec: erlexec -config a "quoted" \\ and a line',
        "Execute ünïcode ☃",
    ]
    for event in events:
        assert list(event) == ["timestamp", "event", "level"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["timestamp"])
        assert event["level"] == "info"
    ours_too = json.loads(written("json", "ours"))
    assert set(ours_too) == {"timestamp", "event", "level"}
    assert abs(seconds(events[0]["timestamp"]) - seconds(ours_too["timestamp"])) % 86400 < 600
    assert (other, usage) == ("not ours", "Usage: Exec: no")


def seconds(timestamp: str) -> int:
    """Return the seconds since midnight."""
    hours, minutes, rest = timestamp.partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest[:2])


@pytest.mark.parametrize("log_format", ["", "console", "logfmt"])
def test_the_lines_of_the_start_script_are_as_they_were_otherwise(log_format: str) -> None:
    """People search for them."""
    assert printed(log_format)[0] == "Root: /usr/lib/mongooseim"
