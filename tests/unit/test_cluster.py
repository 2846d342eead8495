"""From what is known to what is done: the cases that are asked for by name, one by one."""

from __future__ import annotations

import re
from pathlib import Path

import decision_table
import pytest
from hypothesis import given
from hypothesis import strategies as st
from knowledge_tools import (
    FIRST,
    ME,
    OF_ME,
    OLD,
    ONE,
    THIRD,
    TWO,
    YOUNG,
    known,
    primary,
    up,
    with_data,
)

from member_entrypoint.cluster.decision import RULES, decide
from member_entrypoint.cluster.inference import clears, has_data
from member_entrypoint.cluster.knowledge import (
    Known,
    Marker,
    Peer,
    Phase,
    Record,
    Silence,
    State,
    Step,
    founded,
    founder,
    is_younger,
)


def left(identity: str = OLD, *members: str) -> Record:
    """Return the marker of a node that has left a cluster in which `members` stayed."""
    return Record(Marker.LEFT, FIRST, identity, frozenset(members))


def alone_primary(**changes: object) -> Known:
    """Return what a primary knows that started a cluster, is alone in it, and may lose it."""
    started = Record(Marker.STARTED, ME, OF_ME, ONE, certain=False)
    own = primary(has_schema=True, identity=OF_ME, members=ONE, record=started, discard=True)
    return own._replace(**changes)  # type: ignore[arg-type]


BESIDE = {"phase": Phase.BESIDE}
STARTING = Record(Marker.STARTING, ME)
JOINING = Record(Marker.JOINING, FIRST, OLD)
WAITS_FOR_US = up(OLD, FIRST, ME, running=frozenset({FIRST}), serves=False)
RUN_APART = {
    FIRST: up(OLD, ME, FIRST, THIRD, running=frozenset({FIRST})),
    THIRD: up(OLD, ME, FIRST, THIRD, running=frozenset({THIRD})),
}
CASES = {
    # what is on the disk
    "told to run alone": (known(alone=True), Step.RUN),
    "a member starts at once": (with_data(), Step.RUN),
    "a primary with data starts at once": (with_data(target=None), Step.RUN),
    "the one that remains": (with_data(members=ONE), Step.RUN),
    "the one that remains, of an older image": (
        with_data(members=ONE, record=Record(Marker.JOINED, FIRST)),
        Step.RUN,
    ),
    "the one that remains, without a marker": (with_data(members=ONE, record=Record()), Step.RUN),
    "data of its own": (
        with_data(members=ONE, identity=OF_ME, record=Record()),
        Step.REFUSE,
    ),
    "data of its own under the marker of another cluster": (
        with_data(members=ONE, identity=OF_ME),
        Step.REFUSE,
    ),
    "a node of another name answers where the node to join should be": (
        known(peers={FIRST: Peer(State.OTHER_NAME)}),
        Step.REFUSE,
    ),
    "the same, of one that has its data": (
        with_data(phase=Phase.BESIDE, peers={FIRST: Peer(State.OTHER_NAME)}),
        Step.RUN,
    ),
    "data of its own that may be lost": (
        with_data(members=ONE, identity=OF_ME, record=Record(), discard=True),
        Step.ASK,
    ),
    "a schema that cannot be read": (
        with_data(members=None, identity="", record=Record()),
        Step.EXAMINE,
    ),
    "a marker, and a schema that cannot be read": (with_data(members=None, identity=""), Step.RUN),
    "the same, of one that may lose its data": (
        with_data(members=None, identity="", discard=True),
        Step.RUN,
    ),
    "the same, of a primary": (with_data(target=None, members=None, identity=""), Step.RUN),
    "a join that was cut": (
        with_data(identity=OF_ME, record=Record(Marker.JOINING, FIRST, OLD)),
        Step.ASK,
    ),
    "a join that came through before that was noted": (with_data(record=JOINING), Step.RUN),
    "a join that was cut before it had all tables": (
        with_data(record=JOINING, partial=True),
        Step.ASK,
    ),
    "the same, and those that it joined serve": (
        with_data(record=JOINING, partial=True, peers={FIRST: up(OLD, FIRST, ME)}),
        Step.JOIN,
    ),
    "the same, and nobody else runs": (
        with_data(record=JOINING, partial=True, peers={FIRST: Peer(State.STOPPED)}),
        Step.WAIT,
    ),
    "the same, and those that it joined wait for it": (
        with_data(record=JOINING, partial=True, peers={FIRST: WAITS_FOR_US}),
        Step.JOIN,
    ),
    "the same, and another one joins, too": (
        with_data(
            target=None,
            record=JOINING,
            partial=True,
            peers={THIRD: up(OLD, FIRST, ME, THIRD, record=JOINING)},
        ),
        Step.WAIT,
    ),
    "a farewell that was cut before the others forgot it": (
        with_data(record=Record(Marker.LEAVING, FIRST, OLD, TWO)),
        Step.RUN,
    ),
    "a farewell that was cut after the data were deleted": (
        with_data(identity=OF_ME, members=ONE, record=Record(Marker.LEAVING, FIRST, OLD, TWO)),
        Step.ASK,
    ),
    "its VM has met somebody": (with_data(again=True), Step.ASK),
    "a member that has left runs still": (
        with_data(again=True, peers={FIRST: up(YOUNG, FIRST, record=left(OLD, THIRD))}),
        Step.WAIT,
    ),
    "the same, when the time is over": (
        with_data(
            again=True, time_over=True, peers={FIRST: up(YOUNG, FIRST, record=left(OLD, THIRD))}
        ),
        Step.REFUSE,
    ),
    "a member joins another cluster": (
        with_data(
            again=True,
            peers={FIRST: up(YOUNG, FIRST, record=Record(Marker.JOINING, THIRD, OF_ME))},
        ),
        Step.WAIT,
    ),
    "a member that has left runs still, its VM boots": (
        with_data(**BESIDE, peers={FIRST: up(YOUNG, FIRST, record=left(OLD, THIRD))}),
        Step.RUN,
    ),
    "a member that has left runs still, and this one has left, too": (
        with_data(
            target=None,
            record=left(OLD, FIRST, THIRD),
            peers={FIRST: up(YOUNG, FIRST, record=left(OLD, THIRD)), THIRD: up(OLD, THIRD)},
        ),
        Step.JOIN,
    ),
    "two members run apart": (
        with_data(
            again=True,
            members=frozenset({ME, FIRST, THIRD}),
            peers=RUN_APART,
        ),
        Step.WAIT,
    ),
    "two members run apart, its VM boots": (
        with_data(
            **BESIDE,
            members=frozenset({ME, FIRST, THIRD}),
            peers=RUN_APART,
        ),
        Step.START_AGAIN,
    ),
    "two members run apart, it serves": (
        with_data(phase=Phase.SERVING, members=frozenset({ME, FIRST, THIRD}), peers=RUN_APART),
        Step.WAIT,
    ),
    "two members run apart, it has left them": (
        with_data(
            record=left(OLD, FIRST, THIRD),
            members=frozenset({ME, FIRST, THIRD}),
            peers=RUN_APART,
        ),
        Step.JOIN,
    ),
    "one of them has joined meanwhile": (
        with_data(
            again=True,
            peers=RUN_APART,
        ),
        Step.WAIT,
    ),
    "one was removed, and runs alone": (
        with_data(
            **BESIDE,
            members=frozenset({ME, THIRD}),
            peers={FIRST: up(OLD, FIRST), THIRD: up(OLD, ME, THIRD, running=frozenset({THIRD}))},
        ),
        Step.RUN,
    ),
    "one of them waits for the other": (
        with_data(
            again=True,
            members=frozenset({ME, FIRST, THIRD}),
            peers={
                FIRST: up(OLD, ME, FIRST, THIRD, running=frozenset({FIRST, THIRD})),
                THIRD: up(OLD, ME, FIRST, THIRD, running=frozenset({THIRD}), serves=False),
            },
        ),
        Step.RUN,
    ),
    "one of two sides is left": (
        with_data(
            again=True,
            members=frozenset({ME, FIRST, THIRD}),
            peers={
                FIRST: up(OLD, ME, FIRST, THIRD, running=frozenset({FIRST})),
                THIRD: Peer(State.STOPPED),
            },
        ),
        Step.RUN,
    ),
    "a member that has left has stopped": (
        with_data(again=True, peers={FIRST: Peer(State.STOPPED)}),
        Step.RUN,
    ),
    "a member has joined again": (with_data(again=True, peers={FIRST: up(OLD, *TWO)}), Step.RUN),
    # a fresh node
    "nobody was asked": (known(), Step.ASK),
    "the primary runs": (known(peers={FIRST: up(OLD, FIRST)}), Step.JOIN),
    "the primary does not run": (known(peers={FIRST: Peer(State.STOPPED)}), Step.WAIT),
    "the primary shuts down": (known(peers={FIRST: Peer(State.GOING)}), Step.WAIT),
    "the primary is about to join itself": (
        known(peers={FIRST: up(YOUNG, FIRST, record=Record(Marker.JOINING, THIRD, OLD))}),
        Step.WAIT,
    ),
    "the primary starts a new cluster": (
        known(peers={FIRST: up(YOUNG, FIRST, record=Record(Marker.STARTING, FIRST))}),
        Step.WAIT,
    ),
    "the primary has left": (
        known(peers={FIRST: up(YOUNG, FIRST, record=left(OLD, THIRD))}),
        Step.WAIT,
    ),
    "somebody runs there who was not asked": (
        known(peers={FIRST: up(OLD, FIRST, THIRD)}),
        Step.ASK,
    ),
    "somebody runs there who is not reached": (
        known(peers={FIRST: up(OLD, FIRST, THIRD), THIRD: Peer(State.ABSENT)}),
        Step.WAIT,
    ),
    "all that run there are reached": (
        known(peers={FIRST: up(OLD, FIRST, THIRD), THIRD: Peer(State.REGISTERED)}),
        Step.JOIN,
    ),
    "the primary waits for somebody else": (
        known(peers={FIRST: up(OLD, FIRST, THIRD, serves=False, running=frozenset({FIRST}))}),
        Step.WAIT,
    ),
    "the primary waits for this node, whose data are lost": (
        known(peers={FIRST: up(OLD, FIRST, ME, serves=False, running=frozenset({FIRST}))}),
        Step.JOIN,
    ),
    "its time is over": (known(peers={FIRST: Peer(State.STOPPED)}, time_over=True), Step.REFUSE),
    "it comes back after a farewell": (
        known(
            record=left(OLD, FIRST, THIRD), peers={FIRST: Peer(State.ABSENT), THIRD: up(OLD, THIRD)}
        ),
        Step.JOIN,
    ),
    # a primary without data
    "nobody exists": (primary(), Step.START_CLUSTER),
    "all wait for it": (primary(peers={THIRD: Peer(State.EMPTY)}), Step.START_CLUSTER),
    "a cluster runs": (
        primary(peers={THIRD: up(OLD, THIRD, FIRST), FIRST: Peer(State.REGISTERED)}),
        Step.JOIN,
    ),
    "what remains of a cluster that another node started runs": (
        primary(peers={THIRD: up(OLD, THIRD)}),
        Step.JOIN,
    ),
    "a node runs alone that was told to": (
        primary(peers={FIRST: up(OLD, FIRST)}),
        Step.START_CLUSTER,
    ),
    "two clusters run": (
        primary(
            peers={
                FIRST: up(OLD, FIRST, "mongooseim@m-4"),
                THIRD: up(YOUNG, THIRD, "mongooseim@m-5"),
            }
        ),
        Step.REFUSE,
    ),
    "somebody may have data": (primary(peers={THIRD: Peer(State.SILENT)}), Step.WAIT),
    "somebody refuses our cookie": (primary(peers={THIRD: Peer(State.REFUSES)}), Step.WAIT),
    "somebody leaves": (
        primary(peers={THIRD: up(OLD, THIRD, FIRST, record=Record(Marker.LEAVING, FIRST, OLD))}),
        Step.WAIT,
    ),
    "whom it has left are away": (primary(record=left(OLD, THIRD)), Step.WAIT),
    "whom it has left run": (
        primary(record=left(OLD, THIRD), peers={THIRD: up(OLD, THIRD)}),
        Step.JOIN,
    ),
    "whom it has left have empty disks": (
        primary(record=left(OLD, THIRD), peers={THIRD: Peer(State.EMPTY)}),
        Step.START_CLUSTER,
    ),
    "it has left nobody knows whom": (primary(record=left(OLD)), Step.WAIT),
    "it has left, as an older image notes it": (primary(record=left("")), Step.START_CLUSTER),
    "it was joining a node that runs alone, as an older image notes it": (
        primary(record=Record(Marker.JOINING, THIRD), peers={THIRD: up(OF_ME, THIRD)}),
        Step.JOIN,
    ),
    "NEW_CLUSTER=never": (primary(may_start=False), Step.WAIT),
    "NEW_CLUSTER=never, and the time is over": (
        primary(may_start=False, time_over=True),
        Step.REFUSE,
    ),
    "DNS is silent in a pod": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}, silence=Silence.OUTAGE, patience_over=True),
        Step.WAIT,
    ),
    "DNS is silent, and that may be an outage": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}),
        Step.WAIT,
    ),
    "DNS is silent for longer than patience lasts": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}, patience_over=True),
        Step.START_CLUSTER,
    ),
    "DNS is silent at the end of a short JOIN_TIMEOUT": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}, time_over=True),
        Step.START_CLUSTER,
    ),
    "DNS is silent, and our own name comes back": (
        primary(peers={THIRD: Peer(State.UNKNOWN)}, silence=Silence.NOBODY),
        Step.START_CLUSTER,
    ),
    "a primary with its own cluster, and its schema not read yet": (
        alone_primary(identity="", members=None, peers=None),
        Step.EXAMINE,
    ),
    "a primary with its own cluster, before it asks": (alone_primary(peers=None), Step.ASK),
    "a primary with its own cluster, and another one runs": (
        alone_primary(peers={FIRST: up(OLD, *TWO)}),
        Step.JOIN,
    ),
    "a primary with its own cluster, and no other runs": (alone_primary(), Step.RUN),
    "a primary with its own cluster that it may not lose": (
        alone_primary(peers={FIRST: up(OLD, *TWO)}, discard=False),
        Step.RUN,
    ),
    "a primary with others in its cluster, though it may lose its data": (
        alone_primary(members=TWO, peers={FIRST: up(OLD, *TWO)}),
        Step.RUN,
    ),
    # beside the VM
    "the others run": (with_data(**BESIDE, peers={FIRST: up(OLD, *TWO)}), Step.RUN),
    "nobody else runs": (with_data(**BESIDE, peers={FIRST: Peer(State.ABSENT)}), Step.RUN),
    "it was removed": (with_data(**BESIDE, peers={FIRST: up(OLD, FIRST)}), Step.REFUSE),
    "it was removed, and one that starts does not know that yet": (
        with_data(
            **BESIDE,
            peers={FIRST: up(OLD, FIRST), THIRD: up(OLD, *TWO, THIRD)._replace(serves=False)},
        ),
        Step.REFUSE,
    ),
    "it was removed, and may lose its data": (
        with_data(**BESIDE, peers={FIRST: up(OLD, FIRST)}, discard=True),
        Step.JOIN,
    ),
    "its farewell was cut after the others forgot it": (
        with_data(
            **BESIDE,
            record=Record(Marker.LEAVING, FIRST, OLD, TWO),
            peers={FIRST: up(OLD, FIRST)},
        ),
        Step.JOIN,
    ),
    "two survivors that both believe": (
        with_data(**BESIDE, members=ONE, peers={FIRST: up(OLD, FIRST)}),
        Step.REFUSE,
    ),
    "the primary is in another cluster": (
        with_data(**BESIDE, peers={FIRST: up(YOUNG, FIRST)}),
        Step.REFUSE,
    ),
    "the primary starts in another cluster": (
        with_data(
            **BESIDE,
            peers={FIRST: Peer(State.STARTING, record=Record(Marker.STARTED, FIRST, YOUNG))},
        ),
        Step.REFUSE,
    ),
    "the primary is about to start a cluster": (
        with_data(**BESIDE, peers={FIRST: up(YOUNG, FIRST, record=Record(Marker.STARTING, FIRST))}),
        Step.WAIT,
    ),
    "the primary starts, and does not say in which cluster": (
        with_data(**BESIDE, peers={FIRST: Peer(State.STARTING)}),
        Step.WAIT,
    ),
    "it starts for longer than patience lasts": (
        with_data(**BESIDE, peers={FIRST: Peer(State.STARTING)}, patience_over=True),
        Step.RUN,
    ),
    "a new cluster, still the only one": (
        primary(**BESIDE, has_schema=True, members=ONE, record=STARTING),
        Step.RUN,
    ),
    "a new cluster, and a member with data appears": (
        primary(
            **BESIDE,
            record=STARTING,
            peers={THIRD: Peer(State.STARTING, record=Record(Marker.JOINED, FIRST, OLD))},
        ),
        Step.START_AGAIN,
    ),
    # while it serves
    "in doubt, DNS is silent": (
        primary(phase=Phase.SERVING, peers={THIRD: Peer(State.UNKNOWN)}, patience_over=True),
        Step.WAIT,
    ),
    "in doubt, not for long enough": (primary(phase=Phase.SERVING), Step.WAIT),
    "no doubt is left": (primary(phase=Phase.SERVING, patience_over=True), Step.CERTAIN),
    "in doubt, an older cluster": (
        with_data(
            target=None,
            phase=Phase.SERVING,
            identity=YOUNG,
            members=ONE,
            record=Record(Marker.STARTED, ME, YOUNG, ONE, certain=False),
            peers={THIRD: up(OLD, THIRD, FIRST)},
        ),
        Step.YIELD,
    ),
    "in doubt, a younger cluster": (
        with_data(
            target=None,
            phase=Phase.SERVING,
            members=ONE,
            record=Record(Marker.STARTED, ME, OLD, ONE, certain=False),
            peers={THIRD: up(YOUNG, THIRD, FIRST)},
        ),
        Step.WARN,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_decision(case: str) -> None:
    """The cases by name."""
    what, step = CASES[case]
    decision = decide(what)
    assert decision.step is step, decision


@pytest.mark.parametrize("case", ["two members run apart", "two members run apart, its VM boots"])
def test_who_waits_for_the_end_of_a_partition_says_whose(case: str) -> None:
    """Both sides are named, and nobody else."""
    assert decide(CASES[case][0]).whom == (FIRST, THIRD)


def test_every_rule_decides_a_case() -> None:
    """None is there for nothing."""
    deciding = {decide(what).rule for what, _ in CASES.values()}
    hidden = decide(primary(hidden=True))
    assert (hidden.step, hidden.certain) == (Step.START_CLUSTER, False)
    assert {rule.name for rule in RULES} - deciding - {hidden.rule} == set()


NODES = st.sampled_from([ME, FIRST, THIRD])
IDENTITIES = st.sampled_from(["", OLD, YOUNG, OF_ME, "nonsense"])
SETS = st.frozensets(NODES)
RECORDS = st.builds(
    Record, st.sampled_from(Marker), st.one_of(NODES, st.just("")), IDENTITIES, SETS, st.booleans()
)
PEERS = st.builds(
    Peer, st.sampled_from(State), IDENTITIES, SETS, SETS, SETS, st.booleans(), RECORDS
)
EVERYTHING = st.builds(
    Known,
    node=st.just(ME),
    target=st.sampled_from([None, FIRST]),
    alone=st.booleans(),
    has_schema=st.booleans(),
    identity=IDENTITIES,
    members=st.one_of(st.none(), SETS),
    record=RECORDS,
    partial=st.booleans(),
    again=st.booleans(),
    discard=st.booleans(),
    may_start=st.booleans(),
    phase=st.sampled_from(Phase),
    peers=st.one_of(st.none(), st.dictionaries(NODES, PEERS)),
    silence=st.sampled_from(Silence),
    hidden=st.booleans(),
    patience_over=st.booleans(),
    time_over=st.booleans(),
)


@given(EVERYTHING)
def test_everything_has_a_decision(what: Known) -> None:
    """And what it says about others is about others; nobody joins itself, or over its data."""
    decision = decide(what)
    assert decision.rule in {rule.name for rule in RULES}
    if decision.step is Step.JOIN:
        assert decision.whom[0] != ME
        assert what.discard or what.record.marker is not Marker.JOINED or not has_data(what)
    if decision.step is Step.START_CLUSTER:
        assert not has_data(what)
        assert what.may_start
    if what.time_over and what.phase is Phase.BEFORE:
        assert decision.step is not Step.WAIT


@given(EVERYTHING, st.one_of(st.none(), PEERS))
def test_only_a_schema_that_nobody_has_used_is_deleted(what: Known, target: Peer | None) -> None:
    """What is not known to be such a one is kept, and what the cluster to join has, too."""
    if clears(what, target):
        assert what.record.marker in {
            Marker.STARTING,
            Marker.JOINING,
            Marker.LEAVING,
            Marker.LEFT,
        }
        assert what.identity
        assert what.partial or what.identity != (target.identity if target else "")


def test_an_identity_says_who_started_the_cluster_and_when() -> None:
    """Of OTP 18 and newer, and of older ones; what is not understood says nothing."""
    assert (founder(OLD), founded(OLD)) == (FIRST, 1700000000000000000)
    assert founded("{{1409,327645,12345},a@b}") == 1409327645 * 10**9
    for nonsense in ("", "nonsense", "{a,b}", "{{1,2},a@b}"):
        assert founded(nonsense) is None
    assert founder("nonsense") == ""
    assert is_younger(YOUNG, OLD)
    assert not is_younger(OLD, YOUNG)


def test_the_document_has_the_table_of_the_rules() -> None:
    """`tests/shared/decision_table.py` writes it there."""
    text = (Path(__file__).resolve().parents[2] / "docs/cluster.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- rules -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found is not None
    assert found[1].strip() == decision_table.table().strip()
