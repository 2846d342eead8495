"""Each decision in full: with or for whom, and whether it is certain, as messages name it."""

from __future__ import annotations

import pytest
from knowledge_tools import (
    FIRST,
    ME,
    OF_ME,
    OLD,
    ONE,
    THIRD,
    YOUNG,
    known,
    primary,
    up,
    with_data,
)

from member_entrypoint.cluster.decision import decide
from member_entrypoint.cluster.knowledge import (
    Decision,
    Known,
    Marker,
    Peer,
    Phase,
    Record,
    Silence,
    State,
    Step,
)

FOURTH = "mongooseim@m-4"
BESIDE, SERVING = {"phase": Phase.BESIDE}, {"phase": Phase.SERVING}
STARTING = Record(Marker.STARTING, ME)


def in_doubt(**changes: object) -> Known:
    """Return what a primary knows that serves in a cluster that may be the second one."""
    record = Record(Marker.STARTED, ME, OF_ME, ONE, certain=False)
    return with_data(
        **SERVING, target=None, identity=OF_ME, members=ONE, record=record, patience_over=True
    )._replace(**changes)  # type: ignore[arg-type]


def joining(other: str, identity: str = "") -> Record:
    """Return the marker of a node that is about to join another one."""
    return Record(Marker.JOINING, other, identity)


def leaving(*members: str) -> Record:
    """Return the marker of a node whose farewell from these members was begun."""
    return Record(Marker.LEAVING, FIRST, OLD, frozenset(members))


BOTH = {FIRST: up(OLD, FIRST, THIRD), THIRD: up(OLD, FIRST, THIRD)}

WITH_DATA = {
    "data of its own, to join another": (
        with_data(members=ONE, identity=OF_ME, record=Record()),
        Decision(Step.REFUSE, (FIRST,)),
    ),
    "a primary whose schema only a VM can read": (
        with_data(target=None, identity="", members=None, record=Record()),
        Decision(Step.RUN),
    ),
    "a primary whose farewell was cut, whose schema only a VM can read": (
        with_data(target=None, identity="", members=None, record=leaving(ME, FIRST)),
        Decision(Step.EXAMINE),
    ),
    "it was removed by two": (
        with_data(**BESIDE, peers=BOTH),
        Decision(Step.REFUSE, (FIRST, THIRD)),
    ),
    "it was removed by two, and may lose its data": (
        with_data(**BESIDE, peers=BOTH, discard=True),
        Decision(Step.JOIN, (FIRST,)),
    ),
    "it was removed, and does not know from which cluster": (
        with_data(**BESIDE, identity="", members=None, peers=BOTH),
        Decision(Step.REFUSE, (FIRST, THIRD)),
    ),
    "it does not know of which cluster it is, and another one is alone": (
        with_data(**BESIDE, identity="", members=None, peers={THIRD: up(OLD, THIRD)}),
        Decision(Step.RUN),
    ),
    "the one that it joins is in another cluster": (
        with_data(**BESIDE, peers={FIRST: up(YOUNG, FIRST)}),
        Decision(Step.REFUSE, (FIRST,)),
    ),
    "a node runs alone that it has nothing to do with": (
        with_data(
            **BESIDE, peers={THIRD: up("{{1800000000000000000,-1,1},mongooseim@m-3}", THIRD)}
        ),
        Decision(Step.RUN),
    ),
    "the one that it joins is about to start a cluster": (
        with_data(**BESIDE, peers={FIRST: up(YOUNG, FIRST, record=Record(Marker.STARTING, FIRST))}),
        Decision(Step.WAIT, (FIRST,)),
    ),
    "nobody else is there": (
        with_data(**BESIDE, peers={FIRST: Peer(State.ABSENT)}),
        Decision(Step.RUN),
    ),
    "nobody else is there, as far as a node can see that is not in DNS": (
        with_data(**BESIDE, peers={FIRST: Peer(State.ABSENT)}, hidden=True),
        Decision(Step.RUN, certain=False),
    ),
    "DNS does not say whether a member is there": (
        with_data(**BESIDE, peers={FIRST: Peer(State.UNKNOWN)}),
        Decision(Step.RUN, certain=False),
    ),
    "DNS does not say whether somebody else is there": (
        with_data(**BESIDE, peers={FIRST: Peer(State.ABSENT), FOURTH: Peer(State.UNKNOWN)}),
        Decision(Step.RUN),
    ),
}
SERVES = {
    "in doubt, and two older clusters are there": (
        in_doubt(peers={THIRD: up(OLD, THIRD, FIRST), FIRST: up(OLD, THIRD, FIRST)}),
        Decision(Step.YIELD, (FIRST, THIRD)),
    ),
    "in doubt, and a younger cluster is there": (
        in_doubt(peers={THIRD: up(YOUNG, THIRD, FIRST)}),
        Decision(Step.WARN, (THIRD,)),
    ),
    "in doubt, and not for long enough": (
        in_doubt(peers={}, patience_over=False),
        Decision(Step.WAIT, certain=False),
    ),
    "in doubt, and somebody is on its way into a cluster": (
        in_doubt(peers={THIRD: up(YOUNG, THIRD, record=joining(FIRST, OLD))}),
        Decision(Step.WAIT, certain=False),
    ),
    "in doubt, and somebody runs alone": (
        in_doubt(peers={FIRST: up(YOUNG, FIRST)}),
        Decision(Step.CERTAIN),
    ),
}
NEW_CLUSTER = {
    "nobody has appeared": (primary(**BESIDE, record=STARTING), Decision(Step.RUN)),
    "a cluster has appeared": (
        primary(**BESIDE, record=STARTING, peers={THIRD: up(OLD, THIRD)}),
        Decision(Step.START_AGAIN, (THIRD,)),
    ),
    "a member with data starts": (
        primary(
            **BESIDE,
            record=STARTING,
            peers={FIRST: Peer(State.BUSY, record=Record(Marker.JOINED, THIRD, OLD))},
        ),
        Decision(Step.START_AGAIN, (FIRST,)),
    ),
    "a member with data does not run": (
        primary(
            **BESIDE,
            record=STARTING,
            peers={FIRST: Peer(State.STOPPED, record=Record(Marker.JOINED, THIRD, OLD))},
        ),
        Decision(Step.RUN),
    ),
    "two start, and do not say with what": (
        primary(
            **BESIDE,
            record=STARTING,
            peers={THIRD: Peer(State.STARTING), FIRST: Peer(State.BUSY), FOURTH: Peer(State.GOING)},
        ),
        Decision(Step.WAIT, (FIRST, THIRD)),
    ),
    "one starts to join": (
        primary(
            **BESIDE, record=STARTING, peers={FIRST: up(YOUNG, FIRST, record=joining(ME, OF_ME))}
        ),
        Decision(Step.RUN),
    ),
    "one runs alone that was told to": (
        primary(**BESIDE, record=STARTING, peers={FIRST: up(YOUNG, FIRST)}),
        Decision(Step.RUN),
    ),
    "a start that was cut, and somebody is there again": (
        primary(record=STARTING, peers={THIRD: Peer(State.STARTING)}),
        Decision(Step.WAIT, (THIRD,)),
    ),
}
WITHOUT_DATA = {
    "beside its VM, the one that it joins runs": (
        known(**BESIDE, record=joining(FIRST, OLD), peers=BOTH),
        Decision(Step.JOIN, (FIRST,)),
    ),
    "beside its VM, the one that it joins runs with others, and it has no marker": (
        known(**BESIDE, peers=BOTH),
        Decision(Step.JOIN, (FIRST,)),
    ),
    "beside its VM, the one that it joins has stopped": (
        known(**BESIDE, record=joining(FIRST, OLD), peers={FIRST: Peer(State.STOPPED)}),
        Decision(Step.WAIT, (FIRST,)),
    ),
    "the one that it joins counts before the one that it was joining": (
        known(record=joining(THIRD), peers={FIRST: up(OLD, FIRST), THIRD: up(YOUNG, THIRD)}),
        Decision(Step.JOIN, (FIRST,)),
    ),
    "of its cluster, it joins the one that it is to join": (
        known(target=THIRD, record=joining(FIRST, OLD), peers=BOTH),
        Decision(Step.JOIN, (THIRD,)),
    ),
    "of its cluster, it joins the first one": (
        primary(record=joining(THIRD, OLD), peers=BOTH),
        Decision(Step.JOIN, (FIRST,)),
    ),
    "the one that it joins does not serve yet": (
        known(peers={FIRST: up(OLD, FIRST, THIRD, serves=False, running=frozenset({FIRST}))}),
        Decision(Step.WAIT, (FIRST,)),
    ),
    "somebody runs there who was not asked": (
        known(peers={FIRST: up(OLD, FIRST, THIRD, FOURTH)}),
        Decision(Step.ASK, (THIRD, FOURTH)),
    ),
    "two run there who are not reached": (
        known(
            peers={
                FIRST: up(OLD, FIRST, THIRD, FOURTH),
                THIRD: Peer(State.ABSENT),
                FOURTH: Peer(State.SILENT),
            }
        ),
        Decision(Step.WAIT, (THIRD, FOURTH)),
    ),
    "the one that it joins does not run": (
        known(peers={FIRST: Peer(State.STOPPED)}),
        Decision(Step.WAIT, (FIRST,)),
    ),
    "the one that it joins has another name": (
        known(peers={FIRST: Peer(State.OTHER_NAME)}),
        Decision(Step.REFUSE, (FIRST,)),
    ),
}
PRIMARY = {
    "two clusters run": (
        primary(peers={THIRD: up(OLD, THIRD, FOURTH), FIRST: up(YOUNG, FIRST, ME)}),
        Decision(Step.REFUSE, (FIRST, THIRD)),
    ),
    "those whom it has left are away": (
        primary(record=Record(Marker.LEFT, FIRST, OLD, frozenset({ME, THIRD, FIRST}))),
        Decision(Step.WAIT, (FIRST, THIRD)),
    ),
    "two may have data": (
        primary(peers={THIRD: Peer(State.SILENT), FIRST: Peer(State.REFUSES)}),
        Decision(Step.WAIT, (FIRST, THIRD)),
    ),
    "one has left a cluster": (
        primary(peers={THIRD: up(YOUNG, THIRD, record=Record(Marker.LEFT, FIRST, OLD))}),
        Decision(Step.WAIT, (THIRD,)),
    ),
    "one that left a cluster does not exist any more": (
        primary(peers={THIRD: Peer(State.ABSENT, record=Record(Marker.LEFT, FIRST, OLD))}),
        Decision(Step.START_CLUSTER),
    ),
    "NEW_CLUSTER=never": (primary(may_start=False), Decision(Step.WAIT, (FIRST, THIRD))),
    "DNS is silent in a pod": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}, silence=Silence.OUTAGE),
        Decision(Step.WAIT, (THIRD,)),
    ),
    "DNS is silent, and that may be an outage": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}),
        Decision(Step.WAIT, (THIRD,), certain=False),
    ),
    "DNS is silent for longer than patience lasts": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}, patience_over=True),
        Decision(Step.START_CLUSTER, (THIRD,), certain=False),
    ),
    "nobody exists": (primary(), Decision(Step.START_CLUSTER)),
}
CASES = {**WITH_DATA, **SERVES, **NEW_CLUSTER, **WITHOUT_DATA, **PRIMARY}


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_whole_decision(case: str) -> None:
    """But for the name of its rule, which `docs/cluster.md` has."""
    what, decision = CASES[case]
    assert decide(what)._replace(rule="") == decision


def test_the_cases_have_names_of_their_own() -> None:
    """None hides another."""
    assert len(CASES) == sum(map(len, (WITH_DATA, SERVES, NEW_CLUSTER, WITHOUT_DATA, PRIMARY)))
