"""What `/metrics` says, in the text format 0.0.4 of Prometheus.

All of it is read when somebody asks: from the notes of PID 1 and of the helpers, and from /proc.
"""

import os
import time
from collections.abc import Iterable, Mapping

from member_entrypoint import VERSION, counts, state

PREFIX = "mongooseim_entrypoint_"
GAUGE, COUNTER = "gauge", "counter"
METRICS = {
    "build_info": (GAUGE, "Always 1; the version of the entrypoint is its label."),
    "live": (GAUGE, "Whether /live says yes."),
    "ready": (GAUGE, "Whether /ready says yes."),
    "state": (GAUGE, "Where the member is in its life: 1 for that state."),
    "state_seconds_total": (COUNTER, "Time in each state since the container started."),
    "cluster_info": (GAUGE, "Always 1; node and identity of its cluster are its labels."),
    "members": (GAUGE, "Members of the cluster by how this one sees them, itself included."),
    "partitioned": (GAUGE, "Whether this node is on the losing side of a partition."),
    "other_cluster": (GAUGE, "Whether a second cluster of its name was seen."),
    "joins_total": (COUNTER, "Joins since the container started, by their result."),
    "vm_restarts_total": (COUNTER, "Restarts of the VM in this container, by their reason."),
    "helper_failing": (GAUGE, "Whether a helper fails again and again."),
    "helper_failures_total": (COUNTER, "Failures of a helper since the container started."),
    "vm_start_time_seconds": (GAUGE, "When the VM started, in Unix time."),
    "vm_cpu_seconds_total": (COUNTER, "CPU time that the VM has used."),
    "vm_resident_memory_bytes": (GAUGE, "Memory of the VM."),
}
"""Each metric: its type, and what it means."""
MEMBER_STATES = ("running", "down", "busy", "elsewhere", "refuses", "silent", "apart")
RESTART_REASONS = ("partition", "join")

Labels = Mapping[str, str]
Sample = tuple[Labels, float]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def text(root: str, now: str, *, live: bool, ready: bool) -> str:
    """Return all metrics of a member in the state `now`; those without a value are left out."""
    samples: dict[str, list[Sample]] = {
        "build_info": [({"version": VERSION}, 1.0)],
        "live": [({}, float(live))],
        "ready": [({}, float(ready))],
        "state": _by("state", {each: float(each == now) for each in state.STATES}),
        "state_seconds_total": _by("state", counts.seconds(root)),
        "partitioned": [({}, _noted(root, state.PARTITION_FILE))],
        "other_cluster": [({}, _noted(root, state.OTHER_CLUSTER_FILE))],
        "joins_total": _by(
            "result",
            {
                "joined": counts.number(root, counts.JOINS),
                "failed": counts.number(root, counts.FAILED_JOINS),
            },
        ),
        "vm_restarts_total": _by("reason", _counted(root, counts.RESTARTS, RESTART_REASONS)),
        "helper_failures_total": _by("helper", _counted(root, counts.FAILURES, state.HELPERS)),
        **_cluster(root, now),
        **_vm(root),
    }
    instant = time.monotonic()
    failing = {each: float(state.is_failing(root, each, instant)) for each in state.HELPERS}
    samples["helper_failing"] = _by("helper", failing)
    return "".join(_lines(name, samples[name]) for name in METRICS if samples.get(name))


def _lines(name: str, samples: Iterable[Sample]) -> str:
    kind, meaning = METRICS[name]
    lines = [f"# HELP {PREFIX}{name} {meaning}", f"# TYPE {PREFIX}{name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{key}="{word.translate(_ESCAPES)}"' for key, word in labels.items())
        lines.append(
            f"{PREFIX}{name}{{{shown}}} {value:.15g}" if shown else f"{PREFIX}{name} {value:.15g}"
        )
    return "\n".join([*lines, ""])


def _by(label: str, values: Mapping[str, float]) -> list[Sample]:
    return [({label: word}, value) for word, value in values.items()]


def _noted(root: str, name: str) -> float:
    return float(bool(state.reason(root, name)))


def _counted(root: str, prefix: str, words: Iterable[str]) -> dict[str, float]:
    return {word: counts.number(root, prefix + word) for word in words}


def _cluster(root: str, now: str) -> dict[str, list[Sample]]:
    """Return what is known of the cluster of a member that serves; nothing of one that is alone."""
    if now != state.SERVING:
        return {}
    found: dict[str, list[Sample]] = {}
    (node, *_) = state.processes(root).get("node", [""])
    identity = counts.text(root, counts.CLUSTER)
    if node and identity.isprintable() and identity:
        found["cluster_info"] = [({"node": node, "identity": identity}, 1.0)]
    if seen := counts.members(root):
        found["members"] = _by("state", {each: float(seen.get(each, 0)) for each in MEMBER_STATES})
    return found


def _vm(root: str) -> dict[str, list[Sample]]:
    """Return what the kernel knows of the VM, while there is one."""
    pid, when = state.processes(root).get("vm", ("0", ""))
    fields = state.process(pid)
    if len(fields) <= 21 or fields[19] != when:  # noqa: PLR2004 - proc_pid_stat(5), from field 3 on
        return {}
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) / ticks
    return {
        "vm_start_time_seconds": [({}, _boot_time() + int(when) / ticks)],
        "vm_cpu_seconds_total": [({}, used)],
        "vm_resident_memory_bytes": [({}, float(int(fields[21]) * os.sysconf("SC_PAGE_SIZE")))],
    }


def _boot_time() -> int:
    with open("/proc/stat", encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("btime ")), 0)
