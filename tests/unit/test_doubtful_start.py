"""A primary without data whose DNS is silent, or whose join an older image began."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from members import make_member

from member_entrypoint.cluster import doubt, facts, looking
from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.knowledge import Known, Marker, Peer, Record, Silence, State, Step

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "mongooseim@m-2"


def test_a_primary_waits_before_it_starts_a_cluster_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as a DNS that has just been started may take; it asks again meanwhile."""
    clock, asked = [0.0], list[float]()

    class Paused:
        def __init__(self, _deadline: float) -> None: ...

        def over(self) -> bool:
            return False

        def time_to_speak(self, _about: str) -> bool:
            return False

        def pause(self, **_: object) -> None:
            clock[0] += 1.0

    def ask(_member: object, known: Known, _whom: object = ()) -> Known:
        asked.append(clock[0])
        peers = {OTHER: Peer(State.UNKNOWN)}
        return known._replace(peers=peers, silence=Silence.DOUBT)

    monkeypatch.setattr(looking, "Pauses", Paused)
    monkeypatch.setattr(looking, "ask", ask)
    monkeypatch.setattr(looking, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    _, decision = looking.decide_before(make_member(tmp_path, "m-1"), 1000.0)
    assert (decision.step, decision.certain) == (Step.START_CLUSTER, False)
    assert asked == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_member_waits_for_one_that_has_left_and_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its VM has met that one, and would be ended by it again; it says so, and what ends it."""
    member = make_member(tmp_path, "m-1")
    both = frozenset({member.node, OTHER})
    mine = Known(member.node, None, has_schema=True, identity="ours", members=both)
    gone = Record(Marker.LEFT, member.node, "ours", frozenset({member.node}))
    runs = Peer(State.UP, "another", frozenset({OTHER}), frozenset({OTHER}), record=gone)
    answers = [runs, runs, Peer(State.STOPPED)]

    def ask(_member: object, known: Known, _whom: object = ()) -> Known:
        return known._replace(peers={OTHER: answers.pop(0)})

    monkeypatch.setattr(facts, "read_known", lambda *_, **__: mine)
    monkeypatch.setattr(looking, "ask", ask)
    assert looking.decide_before(member, time.monotonic() + 60.0)[1].step is Step.RUN
    assert len(answers) == 3
    _, decision = looking.decide_before(member, time.monotonic() + 60.0, again=True)
    assert decision.step is Step.RUN
    assert not answers
    said = capfd.readouterr().out
    assert said.count(f"waiting until {OTHER} stops, or joins") == 1
    assert "its own" in said


def test_a_join_that_an_older_image_began_is_gone_on_with() -> None:
    """Its marker has no identity; the node that it names runs, alone."""
    peer = Peer(State.UP, "i", frozenset({OTHER}), frozenset({OTHER}))
    known = Known("mongooseim@m-1", None, peers={OTHER: peer})
    began = decide(known._replace(record=Record(Marker.JOINING, OTHER)))
    assert (began.step, began.whom) == (Step.JOIN, (OTHER,))
    assert decide(known).step is Step.START_CLUSTER


@pytest.mark.parametrize("state", [State.STOPPED, State.SILENT, State.STARTING, State.BUSY])
def test_a_primary_without_data_waits_for_who_may_have_them(state: State) -> None:
    """A node whose host answers, and that does not run, may have the cluster's data, too."""
    known = Known("mongooseim@m-1", None, peers={OTHER: Peer(state)})
    assert decide(known).step is Step.WAIT


def test_a_primary_that_nobody_can_find_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its own name is not in DNS for a long time: a wrong serviceName, for example."""
    member = make_member(tmp_path, "m-1")
    facts.write_marker(member.places, member.node, Record(Marker.STARTED, certain=False))
    clock, hidden = [0.0], [True]
    monkeypatch.setattr(doubt, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def ask(_member: object, known: Known, _whom: object = ()) -> Known:
        return known._replace(peers={}, silence=Silence.NOBODY, hidden=hidden[0])

    monkeypatch.setattr(looking, "ask", ask)
    watched = doubt.Doubt(member)
    said = []
    for clock[0] in (1.0, 60.0, 130.0, 200.0, 300.0):
        watched.look_if_due()
        said.append(capfd.readouterr().out.count("m-1 is still not in DNS"))
    assert said == [0, 0, 1, 0, 0]
    hidden[0] = False
    clock[0] = 400.0
    watched.look_if_due()
    assert "is in the only cluster of its name" in capfd.readouterr().out
