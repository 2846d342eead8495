"""The container's log: JSON in what is ours and the start script's; what a hook has said."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from containers import Cluster

THE_SERVERS = re.compile(r"when=|bootstrap: |Running /")
"""What the VM prints, and the bootstrap scripts, those of the sample server."""


def test_every_line_of_ours_is_json_if_that_is_wanted(cluster: Cluster) -> None:
    """From the first to the last, of both starts; no key is without a value."""
    environment = {
        "LOG_FORMAT": "json",
        "BOOTSTRAP_ENABLED": "true",
        "PRINT_CONFIG_FILES_ON_START": "true",
    }
    member = cluster.run("mongooseim-1", env=environment)
    member.wait_for_log("Clustered ")
    member.stop()
    member.start()
    member.wait_for_log("Clustered ", count=2)
    member.kill()
    lines = member.logs().splitlines()
    said = [json.loads(line) for line in lines if not THE_SERVERS.match(line)]
    for event in said:
        assert next(iter(event)) == "timestamp"
        assert event["event"]
        assert event["level"] in {"info", "warning", "error"}
        assert None not in event.values()
        assert "" not in event.values()
    events = [event["event"] for event in said]
    assert len([event for event in events if event.startswith("Root: /usr/lib/")]) == 2
    assert len([event for event in events if event.startswith("Exec: /usr/lib/")]) == 2
    assert events.count("MongooseIM ended") == 1
    shown = [event["path"] for event in said if event["event"] == "configuration file"]
    assert len(shown) == 2 * len(set(shown)) > 4


def test_what_a_hook_said_of_leaving_is_in_the_log_of_the_container(cluster: Cluster) -> None:
    """Success and failure, when the member stops: Kubernetes drops the output of hooks."""
    first, second = (cluster.run(host) for host in ("mongooseim-1", "mongooseim-2"))
    second.wait_for_log("Clustered ")
    first.stop()
    failed = second.exec("member-entrypoint", "leave", timeout=120)
    assert failed.returncode == 2
    assert "could not leave its cluster" in failed.stdout + failed.stderr
    assert "could not leave" not in second.logs()
    second.stop()
    assert second.logs().count("could not leave its cluster") == 1
    assert "said_by='member-entrypoint leave'" in second.logs()

    second.start()
    first.start()
    second.wait_for_log("Clustered ", count=2)
    first.wait_for_cluster(["mongooseim-1", "mongooseim-2"])
    left = second.exec("member-entrypoint", "leave")
    assert left.returncode == 0, left.stderr
    second.stop()
    assert second.logs().count("mongooseim@mongooseim-2 left its cluster, in which") == 1
    assert second.logs().count("could not leave its cluster") == 1
