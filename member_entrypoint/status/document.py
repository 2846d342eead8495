"""What `status --json` prints: one object, as deploy/status.schema.json describes it."""

import json
import time

from member_entrypoint.cluster.knowledge import Marker, Nodes, founded, founder, short_identity
from member_entrypoint.lean_typing import Any
from member_entrypoint.release.active import otp_of
from member_entrypoint.status.members import rows
from member_entrypoint.status.survey import Survey
from member_entrypoint.status.verdict import Kind, Verdict, may_restart

VERSION = 1
"""Of the schema. Fields may be added without a new version; none is taken away, or changes."""


def write(survey: Survey, verdict: Verdict) -> str:
    """Return the object in one line."""
    return json.dumps(document(survey, verdict), ensure_ascii=False) + "\n"


def document(survey: Survey, verdict: Verdict) -> dict[str, Any]:
    """Return all that is known, as the schema has it."""
    there = verdict.kind is not Kind.NO_SERVER and bool(survey.release)
    notes = survey.notes
    found = rows(survey) if there else []
    return {
        "version": VERSION,
        "well": verdict.well,
        "kind": verdict.kind.value,
        "verdict": verdict.text,
        "to_do": verdict.to_do or None,
        "at": _time(survey.at),
        "took_seconds": round(survey.took, 4),
        "node": _node(survey) if there else None,
        "cluster": _cluster(survey) if there and survey.identity else None,
        "members": [
            {
                "number": number,
                "name": row.node,
                "this": row.own,
                "member": row.member,
                "state": row.state,
                "why": row.why or None,
                "identity": row.identity or None,
                "lists": _names(row.lists),
                "runs_with": _names(row.runs_with),
                "agrees": row.agrees,
            }
            for number, row in enumerate(found, 1)
        ],
        "missing": [
            {"name": row.node, "reason": row.missing.name.lower(), "text": row.missing.value}
            for row in found
            if row.missing
        ],
        "partition": notes.partition or None,
        "other_cluster": notes.other_cluster or None,
        "waiting": {
            "text": notes.wait.text,
            "why": notes.wait.reason or None,
            "seconds_left": round(notes.wait.seconds_left, 1),
        }
        if notes.wait.text
        else None,
        "failing_helpers": list(notes.failing),
        "cets": _cets(survey),
    }


def _node(survey: Survey) -> dict[str, Any]:
    notes, disk = survey.notes, survey.disk
    restart = may_restart(survey)
    return {
        "name": survey.node,
        "role": "alone" if survey.alone else "joins" if survey.target else "primary",
        "joins": survey.target,
        "state": notes.state,
        "since": _time(notes.since),
        "live": not notes.why_not_live,
        "ready": not notes.why_not_ready,
        "why_not": notes.why_not_live or notes.why_not_ready or None,
        "release": survey.release,
        "erts": survey.erts,
        "otp": otp_of(survey.erts) or None,
        "data": {"folder": disk.folder, "bytes": disk.size},
        "marker": {
            "word": disk.record.marker.value,
            "other": disk.record.other or None,
            "noted": _time(disk.noted),
        }
        if disk.record.marker is not Marker.NONE
        else None,
        "restart": {"costs_service": not restart[0], "why": restart[1]} if restart else None,
    }


def _cluster(survey: Survey) -> dict[str, Any]:
    identity = survey.identity
    when = founded(identity)
    return {
        "identity": identity,
        "short": short_identity(identity),
        "started_by": founder(identity).strip("'") or None,
        "started": _time(when / 1e9) if when is not None else None,
        "certain": survey.disk.record.certain,
    }


def _cets(survey: Survey) -> dict[str, Any] | None:
    cets = survey.cets
    if cets is None:
        return None
    return {
        "only": cets.only,
        "file": cets.file or None,
        "listed": _names(cets.listed),
        "discovery_name": cets.name or None,
        "in_dns": _names(cets.in_dns),
        "why_not_in_dns": cets.why or None,
        "connected": sorted(survey.connected),
    }


def _names(nodes: Nodes | tuple[str, ...] | None) -> list[str] | None:
    return None if nodes is None else sorted(nodes)


def _time(when: float | None) -> str | None:
    """Return an instant as RFC 3339 has it, in UTC, to the second."""
    return None if when is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
