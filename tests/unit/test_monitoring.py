"""deploy/grafana and deploy/prometheus: valid, and about metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import promtool
import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from member_entrypoint import counts, state
from member_entrypoint.health import metrics

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy" / "grafana" / "mongooseim.json"
PROMETHEUS = ROOT / "deploy" / "prometheus"
PAGE = ROOT / "docs" / "metrics.md"
RULES = PROMETHEUS / "alerts.yaml"
NAME = re.compile(rf"\b{metrics.PREFIX}(\w+)")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """Give the dashboard as a JSON value."""
    return dict(json.loads(GRAFANA.read_text(encoding="utf-8")))


def queries(value: object) -> list[str]:
    """Return all queries in a dashboard, of panels and of variables."""
    if isinstance(value, dict):
        own = [value[key] for key in ("expr", "query") if key in value]
        return own + [each for part in value.values() for each in queries(part)]
    return [each for part in value for each in queries(part)] if isinstance(value, list) else []


def missing(given: object, kept: object, path: str = "") -> list[str]:
    """Return the paths of what is in `given`, and not so in `kept`."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            each
            for key, value in given.items()
            for each in missing(value, kept.get(key), f"{path}.{key}")
        ]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return [each for at, pair in pairs for each in missing(*pair, f"{path}[{at}]")]
    return [] if given == kept or given in (None, [], {}) else [path]


def as_grafana_keeps(dashboard: dict[str, Any]) -> object:
    """Return what Grafana's own model keeps of a dashboard: what it does not know is lost."""
    plugins.register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def test_grafana_knows_every_field_of_the_dashboard(dashboard: dict[str, Any]) -> None:
    """None is lost, of panels, queries, options and variables; a wrong one would be."""
    assert missing(dashboard, as_grafana_keeps(dashboard)) == []
    dashboard["panels"][0]["options"]["colourMode"] = "background"
    dashboard["refreshes"] = "30s"
    lost = missing(dashboard, as_grafana_keeps(dashboard))
    assert sorted(lost) == [".panels[0].options.colourMode", ".refreshes"]


def test_panels_have_a_place_of_their_own(dashboard: dict[str, Any]) -> None:
    """No two of them overlap, none is wider than the page, each says what it shows."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert max(right for right, _ in cells) < 24
        assert panel["title"]
        assert panel["description"]
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_metric_that_is_asked_for_exists_and_is_explained(dashboard: dict[str, Any]) -> None:
    """By the dashboard and the alerts; each metric there is has its row in the page."""
    asked = NAME.findall("\n".join([*queries(dashboard), RULES.read_text(encoding="utf-8")]))
    assert len(asked) > 20
    assert set(asked) <= metrics.METRICS.keys()
    rows = re.findall(r"^\| `(\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in rows if name in metrics.METRICS] == list(metrics.METRICS)


def test_every_label_value_that_is_asked_for_exists(dashboard: dict[str, Any]) -> None:
    """States and results are those that members have."""
    text = "\n".join([*queries(dashboard), RULES.read_text(encoding="utf-8")])
    found = set(re.findall(r'(?:state|result|reason)!?="(\w+)"', text))
    assert found <= {*state.STATES, *metrics.MEMBER_STATES, *metrics.RESTART_REASONS, "failed"}
    assert len(found) >= 6


def test_every_alert_says_what_to_do() -> None:
    """And has its row in the page."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    rows = re.findall(r"^\| `(MongooseIM\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [rule["alert"] for rule in rules]
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def ran(*arguments: str) -> str:
    """Return what promtool prints; it must succeed."""
    done = subprocess.run(
        [promtool.ensure(), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules_and_the_example() -> None:
    """By its own tool."""
    assert "11 rules found" in ran("check", "rules", str(RULES))
    ran("check", "config", str(PROMETHEUS / "prometheus.yaml"))


def test_prometheus_takes_the_queries_of_the_dashboard(
    dashboard: dict[str, Any], tmp_path: Path
) -> None:
    """As the expressions of rules, with values for Grafana's variables."""
    asked = [query for query in queries(dashboard) if NAME.search(query)]
    expressions = [
        query.replace("$job", "chat").replace("$__rate_interval", "1m")
        for query in asked
        if not query.startswith("label_values(")
    ]
    rules = [{"record": f"query:{at}", "expr": expr} for at, expr in enumerate(expressions)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in ran("check", "rules", str(path))


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """For series of members that are well, wait, are parted, hang: tests of promtool."""
    template = (Path(__file__).parent / "alerts.test.yaml").read_text(encoding="utf-8")
    (tmp_path / "test.yaml").write_text(template.replace("RULES", str(RULES)))
    assert "SUCCESS" in ran("test", "rules", str(tmp_path / "test.yaml"))


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Provide the notes of a member that serves."""
    state.begin(str(tmp_path), 5222)
    node = ("mongooseim@chat-1", "plain", "4369", "0", "-")
    state.note_processes(str(tmp_path), 5222, vm=1, node=node)
    state.note(str(tmp_path), state.STATE_FILE, state.SERVING)
    return str(tmp_path)


IDENTITY = "{{1795600609292389538,-576460752303423342,1},'mongooseim@chat-1'}"


def test_metrics_keep_the_conventions(root: str) -> None:
    """By the official parser, and by the linter of promtool."""
    counts.write(root, counts.CLUSTER, 'with "quotes", \\ and {braces}')
    counts.write_members(root, {"running": 2, "down": 1})
    text = metrics.text(root, state.SERVING, live=True, ready=False)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) == {
        metrics.PREFIX + name.removesuffix("_total") for name in metrics.METRICS
    }
    for name, (kind, meaning) in metrics.METRICS.items():
        family = families[metrics.PREFIX + name.removesuffix("_total")]
        assert (family.type, family.documentation) == (kind, meaning)
        assert name.endswith("_total") == (kind == metrics.COUNTER)
        assert len(family.samples) > 0
    (cluster,) = families[metrics.PREFIX + "cluster_info"].samples
    assert cluster.labels["identity"] == 'with "quotes", \\ and {braces}'
    done = subprocess.run(
        [promtool.ensure(), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_counts_are_those_of_this_life(root: str) -> None:
    """What an earlier life of the container left behind counts for nothing."""
    counts.add(root, counts.JOINS)
    counts.add(root, counts.JOINS)
    counts.write(root, counts.CLUSTER, IDENTITY)
    assert counts.number(root, counts.JOINS) == 2
    assert counts.text(root, counts.CLUSTER) == IDENTITY
    notes = Path(root, state.PROCESSES_FILE)
    notes.write_text(notes.read_text().replace("init ", "init 7"))
    assert counts.number(root, counts.JOINS) == 0
    assert counts.text(root, counts.CLUSTER) == ""
    assert "cluster_info" not in metrics.text(root, state.SERVING, live=True, ready=True)


def test_time_is_counted_by_state(root: str) -> None:
    """All of it belongs to some state, that of now included, and it only grows."""
    assert counts.seconds(root)[state.WAITING] > 0
    counts.enter_state(root, state.SERVING)
    before = counts.seconds(root)
    counts.enter_state(root, state.STOPPING)
    after = counts.seconds(root)
    assert set(after) == set(state.STATES)
    assert after[state.SERVING] >= before[state.SERVING] > 0
    assert after[state.WAITING] == before[state.WAITING] > 0
    assert after[state.STOPPING] >= 0
    assert sum(after.values()) >= sum(before.values())


def test_time_is_counted_once_at_each_moment(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever somebody asks while a state ends; else a counter would fall, which is a reset."""
    counts.enter_state(root, state.SERVING)
    later = time.clock_gettime(time.CLOCK_BOOTTIME) + 864_000
    monkeypatch.setattr(counts, "_now", lambda: later)
    whole = sum(counts.seconds(root).values())
    seen = []
    write = state.note

    def note(*given: str) -> None:
        seen.append(sum(counts.seconds(root).values()))
        write(*given)
        seen.append(sum(counts.seconds(root).values()))

    monkeypatch.setattr(state, "note", note)
    counts.enter_state(root, state.STOPPING)
    assert seen == pytest.approx([whole, whole])
    assert whole > 864_000


def test_a_count_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """There is no folder for it."""
    counts.add(str(tmp_path), counts.JOINS)
    counts.enter_state(str(tmp_path), state.STARTING)
    assert counts.number(str(tmp_path), counts.JOINS) == 0
