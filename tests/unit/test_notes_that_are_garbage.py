"""Notes that nobody can have written: cut, of another version, or anything at all."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from member_entrypoint import counts, state
from member_entrypoint.health import metrics, probe
from member_entrypoint.status import document, gathering, verdict
from member_entrypoint.status.survey import Survey

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "deploy" / "status.schema.json").read_text()
)
NODE = "mongooseim@chat-1"
COUNTS = (
    *(counts.JOINS, counts.FAILED_JOINS, counts.CLUSTER, counts.MEMBERS, counts.TIMES),
    *(counts.RESTARTS + "join", counts.FAILURES + "watch"),
)
NOTES = (
    *(state.STATE_FILE, state.PROCESSES_FILE, state.PARTITION_FILE, state.OTHER_CLUSTER_FILE),
    *(state.WAIT_FILE, f"{state.FAILING_FILE}watch", state.LEFT_FILE),
    *(counts.PREFIX + name for name in COUNTS),
)
WORDS = st.sampled_from(
    [
        *("init", "vm", "port", "node", "waiting", "serving", "running", NODE, "x", "", "\t", "\0"),
        *("nan", "inf", "-1", "0", "9", "65536", "1e400", "9" * 400, "\u0663"),
    ]
)
LINES = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=6).map("\n".join)
CONTENTS = st.one_of(st.binary(max_size=300), LINES.map(str.encode))


def write_all(root: str, now: str = state.SERVING) -> None:
    """Write all notes as a member does that serves beside another one."""
    state.begin(root, 5222)
    words = (NODE, "tcp", "0", "0", "-")
    state.note_processes(root, 5222, vm=os.getpid(), node=words)
    counts.enter_state(root, state.STARTING)
    counts.enter_state(root, now)
    counts.add(root, counts.JOINS)
    counts.add(root, counts.FAILURES + "watch")
    counts.write(root, counts.CLUSTER, "{{1795600609292389538,-576460752303423342,1},'a@b'}")
    counts.write_members(root, {"running": 2, "down": 1})
    state.note_failing(root, "watch", 1.0)
    state.note_wait(root, "waiting for a@b", "no epmd", 2.0)
    state.note(root, state.STATE_FILE, now)


def samples(root: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the metrics as Prometheus reads them, by name and labels; each has to be a number."""
    now, not_live, not_ready = probe.examine(root, lambda *_: "")
    text = metrics.text(root, now, live=not not_live, ready=not not_ready)
    found = {
        (sample.name.removeprefix(metrics.PREFIX), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert all(math.isfinite(value) and value >= 0 for value in found.values()), found
    return found


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Provide a root folder with all notes."""
    write_all(str(tmp_path))
    return str(tmp_path)


def test_whole_notes_are_read(root: str) -> None:
    """What the others of this module damage."""
    found = samples(root)
    assert found["members", ("running",)] == 2
    assert found["joins_total", ("joined",)] == 1
    assert found["cluster_info", (NODE, "{{1795600609292389538,-576460752303423342,1},'a@b'}")] == 1
    assert ("vm_start_time_seconds", ()) in found


@pytest.mark.parametrize("name", NOTES)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_note_leaves_the_others_alone(root: str, name: str, data: st.DataObject) -> None:
    """Metrics, probes and status say what they can, and nothing that makes no sense."""
    shutil.rmtree(os.path.join(root, "run"))
    write_all(root, data.draw(st.just(state.SERVING) | st.sampled_from(state.STATES)))
    path = Path(root, name)
    before = path.read_bytes() if path.exists() else b""
    cut = st.integers(0, 120).map(lambda size: before[:size])
    of_this_life = LINES.map(lambda text: before.partition(b"\n")[0] + b"\n" + text.encode())
    path.write_bytes(data.draw(st.one_of(of_this_life, cut, CONTENTS)))
    found = samples(root)
    if not name.startswith((state.PROCESSES_FILE, counts.PREFIX)):
        assert found["joins_total", ("joined",)] == 1
    known = Survey(node=NODE, release="6.8.0", erts="15.2", notes=gathering.read_notes(root))
    printed = document.write(known, verdict.judge(known))
    if known.notes.state in state.STATES:
        jsonschema.validate(json.loads(printed, parse_constant=pytest.fail), SCHEMA)


def test_numbers_that_are_none_are_left_out(root: str) -> None:
    """Nobody counts half a member, or the joins of another version."""
    counts.write(root, counts.MEMBERS, "running x\ndown 1")
    counts.write(root, counts.JOINS, "nan")
    counts.write(root, counts.TIMES, "unheard-of 1.0\nserving inf\nstarting 3")
    found = samples(root)
    assert not [key for key in found if key[0] == "members"]
    assert found["joins_total", ("joined",)] == 0
    assert found["state_seconds_total", ("starting",)] == 3
    assert {key[1][0] for key in found if key[0] == "state_seconds_total"} == set(state.STATES)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no MongooseIM server"), ("init {} {}", "has ended"), ("{all}", "")],
    ids=["nothing", "cut", "without a node"],
)
def test_what_the_probes_say_without_the_processes(root: str, content: str, said: str) -> None:
    """Who does not know the processes of a member cannot call it ready."""
    lines = Path(root, state.PROCESSES_FILE).read_text().splitlines()
    whole = "\n".join(line for line in lines if not line.startswith("node"))
    own = (os.getpid(), state.started(os.getpid()))
    Path(root, state.PROCESSES_FILE).write_text(content.format(*own, all=whole))
    now, not_live, not_ready = probe.examine(root)
    assert (now, bool(not_live)) == (state.SERVING, bool(said))
    assert said in not_live
    assert not_ready == (not_live or f"{root}/{state.PROCESSES_FILE} cannot be understood")
