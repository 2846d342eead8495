"""What `status` says of each state: verdicts as a table, and the text in a narrow terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from member_entrypoint.cluster.knowledge import Marker, Peer, Record, State
from member_entrypoint.release.active import otp_of
from member_entrypoint.status import asking, command, document, members, text, verdict
from member_entrypoint.status.survey import CetsNodes, Disk, Notes, Survey, Wait
from member_entrypoint.status.verdict import Kind
from member_entrypoint.terms import Atom

SCHEMA = Path(__file__).resolve().parents[2] / "deploy" / "status.schema.json"
ONE, TWO, THREE = (f"mongooseim@chat-{number}" for number in (1, 2, 3))
ALL = frozenset({ONE, TWO, THREE})
OURS = f"{{{{1795600609292389538,-576460752303423342,1}},'{ONE}'}}"
OTHERS = f"{{{{1795600609392389538,-576460752303423342,1}},'{THREE}'}}"
NO_EPMD = "no epmd on 10.0.0.3 port 4369 (Connection refused)"
STOPPED = Peer(State.STOPPED, why=NO_EPMD)
SILENT = Peer(State.SILENT, why="no answer from 10.0.0.3 port 4369 (epmd) within 0.9 s")
SERVING = Notes(state="serving", since=1_795_600_600.0)
NOT_THERE = Notes(state="waiting", why_not_live="no MongooseIM server runs in this container")
WAITING = Notes(
    state="waiting",
    since=1_795_600_600.0,
    why_not_ready=f"MongooseIM is not started yet: waiting for {ONE} ({NO_EPMD})",
    wait=Wait(f"waiting for {ONE}", NO_EPMD, 287.4),
)


def runs(*with_whom: str, lists: frozenset[str] = ALL, downs: str = "", of: str = OURS) -> Peer:
    """Return what a node says that runs with these."""
    gone = frozenset({downs} - {""})
    return Peer(State.UP, of, lists, frozenset(with_whom), gone)


def survey(one: Peer | None, two: Peer, three: Peer, **known: Any) -> Survey:
    """Return what the first of three members knows."""
    peers = {ONE: one, TWO: two, THREE: three}
    given: dict[str, Any] = {
        "node": ONE,
        "release": "6.8.0",
        "erts": "15.2.1",
        "notes": SERVING,
        "disk": Disk("/var/lib/mongooseim/Mnesia.x", 2_500_000, OURS, ALL, noted=1_795_600_610.0),
        "peers": {node: peer for node, peer in peers.items() if peer},
        "at": 1_795_604_200.0,
        **known,
    }
    return Survey(**given)


WELL = runs(ONE, TWO, THREE)
TWO_RUN = runs(ONE, TWO)
ALONE = runs(ONE, lists=frozenset({ONE}))
NOBODY = Peer(State.ABSENT)
WITHOUT_US = runs(TWO, THREE, downs=ONE)
CASES: dict[str, tuple[Survey, Kind, str]] = {
    "well": (survey(WELL, WELL, WELL), Kind.TOGETHER, "3 of 3 members run together"),
    "no server": (Survey(notes=NOT_THERE), Kind.NO_SERVER, NOT_THERE.why_not_live),
    "dead": (
        survey(None, WELL, WELL, notes=SERVING._replace(why_not_live="the Erlang VM has ended")),
        Kind.NOT_LIVE,
        f"{ONE} is dead: the Erlang VM has ended",
    ),
    "hangs": (
        survey(Peer(State.BUSY, why=f"{ONE}: no answer within 0.9 s"), TWO_RUN, SILENT),
        Kind.NO_ANSWER,
        f"{ONE} does not answer: no answer within 0.9 s",
    ),
    "shuts down": (
        survey(Peer(State.GOING, why=f"{ONE} shuts down"), WELL, WELL),
        Kind.STOPPING,
        f"{ONE} shuts down",
    ),
    "stops": (
        survey(WELL, WELL, WELL, notes=SERVING._replace(state="stopping")),
        Kind.STOPPING,
        f"{ONE} stops",
    ),
    "waits": (
        survey(None, NOBODY, STOPPED, notes=WAITING, disk=Disk()),
        Kind.WAITING,
        f"{ONE} waits for {ONE}: {NO_EPMD}",
    ),
    "starts": (
        survey(None, WELL, WELL, notes=Notes(state="starting")),
        Kind.STARTING,
        f"{ONE} starts",
    ),
    "prepares": (
        survey(None, NOBODY, NOBODY, notes=Notes(state="waiting")),
        Kind.STARTING,
        f"{ONE} prepares its start",
    ),
    "waits for Mnesia": (
        survey(runs(ONE)._replace(serves=False), STOPPED, SILENT, notes=Notes(state="starting")),
        Kind.WAITING,
        f"{ONE} waits for {TWO} and {THREE}, which may have gone down after it",
    ),
    "one stopped": (
        survey(TWO_RUN, TWO_RUN, STOPPED),
        Kind.MISSING,
        f"2 of 3 members run together; {THREE} does not run",
    ),
    "two stopped": (
        survey(runs(ONE), STOPPED, STOPPED),
        Kind.MISSING,
        f"1 of 3 members runs; {TWO} and {THREE} do not run",
    ),
    "stopped and cut off": (
        survey(runs(ONE), STOPPED, SILENT),
        Kind.MISSING,
        f"1 of 3 members runs; {TWO} does not run, {THREE} cannot be reached",
    ),
    "another cookie": (
        survey(TWO_RUN, TWO_RUN, Peer(State.REFUSES)),
        Kind.MISSING,
        f"2 of 3 members run together; {THREE} refuses the connection",
    ),
    "another cluster": (
        survey(TWO_RUN, TWO_RUN, runs(THREE, lists=frozenset({THREE}), of=OTHERS)),
        Kind.OTHER_CLUSTER,
        f"2 of 3 members run together; {THREE} runs in another cluster",
    ),
    "a second cluster was seen": (
        survey(WELL, WELL, WELL, notes=SERVING._replace(other_cluster="x is in another one")),
        Kind.OTHER_CLUSTER,
        "3 of 3 members run together, but there is a second cluster",
    ),
    "gives way to a second cluster": (
        survey(ALONE, NOBODY, NOBODY, notes=SERVING._replace(second="another one, which is older")),
        Kind.OTHER_CLUSTER,
        (
            f"{ONE} runs, the only member of its cluster, but there is a second cluster, so this "
            "node is not ready"
        ),
    ),
    "cut off, and loses": (
        survey(runs(ONE), SILENT, SILENT, notes=SERVING._replace(partition="on the losing side")),
        Kind.LOSING,
        (
            f"{ONE} is on the losing side of a partition, without {TWO} and {THREE}, which cannot "
            "be reached"
        ),
    ),
    "apart, and loses": (
        survey(runs(ONE), WITHOUT_US, WITHOUT_US),
        Kind.LOSING,
        f"{ONE} is on the losing side of a partition, without {TWO} and {THREE}: start it anew",
    ),
    "apart, and wins": (
        survey(TWO_RUN, TWO_RUN, runs(THREE, downs=ONE)),
        Kind.SPLIT,
        f"the cluster is split, and {ONE} is on the side that stays: start {THREE} anew",
    ),
    "left": (
        survey(ALONE, WELL, WELL, notes=SERVING._replace(left="its members have forgotten it")),
        Kind.LEFT,
        f"{ONE} has left its cluster: its members have forgotten it",
    ),
    "one does not agree": (
        survey(WELL, WELL, TWO_RUN),
        Kind.DISAGREE,
        f"the 3 members do not agree who runs: look at {THREE}",
    ),
    "one still starts": (
        survey(WELL, WELL, WELL._replace(serves=False)),
        Kind.MISSING,
        f"2 of 3 members serve; {THREE} still to start",
    ),
    "one was not heard": (
        survey(WELL, WELL, SILENT),
        Kind.DISAGREE,
        f"the 3 members were not all heard: look at {THREE}",
    ),
    "nothing listens": (
        survey(WELL, WELL, WELL, notes=SERVING._replace(why_not_ready="nothing listens")),
        Kind.NOT_READY,
        f"3 of 3 members run together, but {ONE} is not ready: nothing listens",
    ),
    "a helper fails": (
        survey(WELL, WELL, WELL, notes=SERVING._replace(failing=("watch",))),
        Kind.HELPER_FAILS,
        f"3 of 3 members run together, but a helper of {ONE} fails: watch",
    ),
    "alone": (
        survey(ALONE, NOBODY, NOBODY, alone=True),
        Kind.ALONE,
        f"{ONE} runs alone, as JOIN_CLUSTER=false says",
    ),
    "the only member": (
        survey(ALONE, NOBODY, NOBODY),
        Kind.TOGETHER,
        f"{ONE} runs, the only member of its cluster",
    ),
    "nobody may be asked": (
        survey(None, NOBODY, NOBODY, peers={}, cannot_ask="the members are not asked"),
        Kind.NOT_ASKED,
        f"{ONE} is ready; the members are not asked",
    ),
}
NO_MNESIA = Peer(State.STARTING, why="its Mnesia does not run yet")


def with_cets(
    listed: tuple[str, ...], in_dns: tuple[str, ...] | None, *connected: str, why: str = ""
) -> Survey:
    """Return what a node knows that runs CETS without Mnesia."""
    cets = CetsNodes(True, "/run/nodes", listed, "chat.example.com", in_dns, why)  # noqa: FBT003
    peers = dict.fromkeys((ONE, TWO), NO_MNESIA)
    known = {"alone": True, "cets": cets, "connected": frozenset(connected), "disk": Disk()}
    return survey(None, NOBODY, NOBODY, **known)._replace(peers=peers)


CASES |= {
    "CETS": (
        with_cets((ONE, TWO), (ONE, TWO), TWO),
        Kind.CETS,
        f"{ONE} runs with CETS, and is connected to all of the 2 nodes in its file",
    ),
    "CETS, DNS has another": (
        with_cets((ONE, TWO), (ONE,), TWO),
        Kind.DISAGREE,
        f"/run/nodes and DNS do not name the same nodes: look at {TWO}",
    ),
    "CETS, DNS is silent": (
        with_cets((ONE, TWO), None, TWO, why="silent"),
        Kind.DISAGREE,
        f"{ONE} runs with CETS, but DNS does not name the nodes of chat.example.com: silent",
    ),
    "CETS, no file": (
        survey(
            None,
            NOBODY,
            NOBODY,
            peers={ONE: NO_MNESIA},
            cets=CetsNodes(only=True, file="/run/nodes", listed=None),
        ),
        Kind.DISAGREE,
        "/run/nodes, which lists the nodes for CETS, is not there, or cannot be read",
    ),
    "CETS, not connected": (
        with_cets((ONE, TWO), (ONE, TWO)),
        Kind.MISSING,
        f"{ONE} has no connection to {TWO}, which /run/nodes lists",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_one_sentence(name: str) -> None:
    """What it is, in the first line; only three kinds mean that all is well."""
    known, kind, said = CASES[name]
    found = verdict.judge(known)
    assert (found.kind, found.text) == (kind, said)
    assert found.well == (kind in {Kind.TOGETHER, Kind.ALONE, Kind.CETS})


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed_is_as_the_schema_says(name: str) -> None:
    """With no field that it does not have."""
    known, *_ = CASES[name]
    schema = strict(json.loads(SCHEMA.read_text()))
    printed = json.loads(document.write(known, verdict.judge(known)))
    jsonschema.validate(printed, schema)
    assert printed["version"] == document.VERSION


def test_the_schema_knows_each_kind_state_and_reason() -> None:
    """So that a new one is not forgotten there."""
    schema = json.loads(SCHEMA.read_text())
    assert schema["properties"]["kind"]["enum"] == [kind.value for kind in Kind]
    states = schema["$defs"]["member"]["properties"]["state"]["enum"]
    assert set(states) == {*members.STATES.values(), "apart", "elsewhere"}
    reasons = schema["properties"]["missing"]["items"]["properties"]["reason"]["enum"]
    assert reasons == [why.name.lower() for why in verdict.PHRASES]


def strict(schema: Any) -> Any:
    """Return a schema that allows no field that it does not name."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    return inner | {"additionalProperties": False} if "required" in inner else inner


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
def test_lines_are_no_longer_than_the_terminal(name: str, *, colour: bool) -> None:
    """But where a single word is; colour is no part of a line."""
    known, *_ = CASES[name]
    shown = text.show(known, verdict.judge(known), 80, colour=colour)
    assert ("\033[" in shown) == colour
    for line in re.sub(r"\033\[\d+m", "", shown).splitlines():
        assert len(line) <= 80, line
        assert line == line.rstrip()


def test_long_names_have_their_domain_once_in_a_narrow_terminal() -> None:
    """In the table, where a member takes two lines, and in what people copy; nothing is cut."""
    domain = ".mongooseim.production-europe-west.svc.cluster.local"
    names = [f"mongooseim@mongooseim-{number}{domain}" for number in range(3)]
    everybody = frozenset(names)
    peers = dict.fromkeys(names, runs(names[0], names[1], lists=everybody))
    peers[names[2]] = STOPPED
    known = survey(None, NOBODY, NOBODY, node=names[0], target=names[1])._replace(peers=peers)
    shown = text.show(known, verdict.judge(known), 80, colour=False)
    first = "2 of 3 members run together; mongooseim@mongooseim-2 does not run\n"
    assert shown.startswith(first)
    assert f"remove_from_cluster -f\n            {names[2]}\n" in shown
    assert f"node        {names[0]}\nrole        joins mongooseim@mongooseim-1\n" in shown
    assert f" 1  {names[0]}\n    runs     1 2 3  1 2 -      yes     (this)\n" in shown
    assert f" 3  {names[2]}\n    stopped  -" in shown
    assert f"\n  mongooseim@mongooseim-2: {NO_EPMD}\n" in shown
    for line in shown.splitlines():
        assert len(line) <= 80 or domain in line.split()[-1], line


def test_addresses_are_no_domain() -> None:
    """Nodes that are named by their addresses keep them."""
    names = [f"mongooseim@10.0.0.{number}" for number in (1, 2)]
    peers = {names[0]: runs(names[0], lists=frozenset(names)), names[1]: STOPPED}
    known = survey(None, NOBODY, NOBODY, node=names[0])._replace(peers=peers)
    shown = text.show(known, verdict.judge(known), 80, colour=False)
    assert shown.startswith(f"1 of 2 members runs; {names[1]} does not run\n")


def test_many_members_are_shown_by_ranges() -> None:
    """In the order of their ordinals: 10 comes after 9."""
    names = [f"mongooseim@chat-{number}" for number in range(1, 13)]
    everybody = frozenset(names)
    most = everybody - {names[6]}
    peers: dict[str, Peer] = dict.fromkeys(names, runs(*most, lists=everybody))
    peers[names[6]] = STOPPED
    known = survey(None, NOBODY, NOBODY)._replace(peers=peers)
    found = verdict.judge(known)
    assert found.text == f"11 of 12 members run together; {names[6]} does not run"
    shown = text.show(known, found, 80, colour=False)
    assert "  1  mongooseim@chat-1 (this)  runs     1-12   1-6 8-12   yes\n" in shown
    assert [row.node for row in members.rows(known)] == names


@pytest.mark.parametrize(
    ("name", "costs"),
    [
        ("well", False),
        ("one stopped", False),
        ("two stopped", True),
        ("apart, and loses", False),
        ("cut off, and loses", True),
    ],
)
def test_whether_a_restart_costs_service_is_said(name: str, *, costs: bool) -> None:
    """It does where no other member serves, or nobody can know that one does."""
    found = verdict.may_restart(CASES[name][0])
    assert found is not None
    assert found[0] != costs


def test_what_the_marker_and_the_wait_say_is_shown() -> None:
    """The last join, and for how long the node still waits."""
    disk = Disk("/data", 2_500_000, record=Record(Marker.JOINED, ONE), noted=1_795_600_610.0)
    known = survey(None, NOBODY, STOPPED, notes=WAITING, disk=disk)
    shown = text.show(known, verdict.judge(known), 80, colour=False)
    assert f"membership  joined {ONE} (noted 2026-11-25 09:56:50Z, 59 min ago)" in shown
    assert "gives up    in 287 s" in shown
    assert "data        /data, 2.38 MiB" in shown


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], command.Options()),
        (["--json"], command.Options(json=True)),
        (["--watch"], command.Options(interval=2.0)),
        (["--watch", "0.5", "--json"], command.Options(json=True, interval=0.5)),
        (["--watch", "--json"], command.Options(json=True, interval=2.0)),
        (["--watch=10"], command.Options(interval=10.0)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_words_of_the_command_line(words: list[str], options: command.Options) -> None:
    """In any order."""
    assert command.parse(words) == options


@pytest.mark.parametrize("words", [["--yaml"], ["--watch", "soon"], ["--watch=0"], ["--watch=nan"]])
def test_other_words_are_refused(words: list[str]) -> None:
    """With the word in the text."""
    with pytest.raises(command.UsageError, match=words[-1].rpartition("=")[2]):
        command.parse(words)


@pytest.mark.parametrize(
    ("erts", "otp"), [("11.0", "23"), ("13.1.5", "25"), ("15.2.7.1", "27"), ("10.7", ""), ("x", "")]
)
def test_the_vm_tells_its_otp(erts: str, otp: str) -> None:
    """From OTP 23 on; before that they went out of step."""
    assert otp_of(erts) == otp


def test_a_node_says_where_the_others_are() -> None:
    """What `net_kernel:nodes_info` gives, IPv4 and IPv6; hidden nodes and nonsense do not count."""

    def info(address: Any, kind: str = "normal") -> list[Any]:
        net = (Atom("net_address"), (address, 32810), [104], Atom("tcp"), Atom("inet"))
        return [(Atom("state"), Atom("up")), (Atom("address"), net), (Atom("type"), Atom(kind))]

    told = [
        (Atom(ONE), info((10, 0, 0, 1))),
        (Atom(TWO), info((0xFD00, 0x88, 0, 0, 0, 0, 0, 2))),
        (Atom(THREE), info(Atom("undefined"))),
        (Atom("probe@chat-1"), info((10, 0, 0, 1), "hidden")),
        Atom("nonsense"),
    ]
    assert asking.addresses_in((Atom("ok"), told)) == {
        ONE: ("10.0.0.1",),
        TWO: ("fd00:88:0:0:0:0:0:2",),
        THREE: (),
    }
    assert asking.addresses_in((Atom("badrpc"), Atom("nodedown"))) == {}


@pytest.mark.parametrize("colour", [True, False])
def test_no_text_commands_the_terminal(*, colour: bool) -> None:
    """What other nodes say, and notes that the member's user can write, are shown, not obeyed."""
    evil = "\x1b]0;x\x07\x9b2J"
    notes = SERVING._replace(other_cluster=f"see {evil}")
    known = survey(TWO_RUN, TWO_RUN, Peer(State.SILENT, why=f"silent {evil}"), notes=notes)
    known = known._replace(disk=known.disk._replace(folder=f"/data/{evil}"))
    shown = text.show(known, verdict.judge(known), 80, colour=colour)
    assert shown.count("?]0;x??2J") == 3
    assert re.sub(r"\x1b\[\d*m", "", shown).replace("\n", "").isprintable()
