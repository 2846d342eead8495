"""Where a name is: the hosts file, then real DNS servers on loopback."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from dns import rcode
from dns_server import Zone, name_servers

from member_entrypoint.network import names
from member_entrypoint.network.dns_queries import Queries
from member_entrypoint.places import Places

POD = "m-0.mim.ns.svc.cluster.local."


def records(*lines: str) -> Callable[[str, str], list[str] | int]:
    """Return a zone of these records: no such name gives NXDOMAIN, no such type an empty answer."""

    def zone(name: str, kind: str) -> list[str] | int:
        named = [line for line in lines if line.split()[0].lower() == name]
        if not named:
            return int(rcode.NXDOMAIN)
        if named[0].split()[1] == "CNAME":
            target = zone(named[0].split()[2].lower(), kind)
            return named[:1] + (target if isinstance(target, list) else [])
        return [line for line in named if line.split()[1] == kind]

    return zone


def dns(places: Places, *zones: Zone, options: str = "") -> AbstractContextManager[None]:
    """Serve each zone by a server of its own, in this order in resolv.conf."""
    return name_servers(Path(places.root), *zones, options=options)


def look_up(places: Places, name: str = "m-0", timeout: float = 20.0) -> names.Answer:
    """Look a name up with a generous time."""
    return names.look_up(name, places, timeout)


def test_an_address_is_its_own_answer(places: Places) -> None:
    """NODE_HOST and CLUSTER_WITH may hold addresses; nobody is asked."""
    for address in ("10.0.0.1", "fd00::1"):
        assert look_up(places, address).addresses == (address,)


def test_the_hosts_file_wins_over_dns(places: Places) -> None:
    """As nsswitch.conf has it everywhere."""
    Path(places.hosts).write_text("10.9.9.9 other m-0 # m-1\n::9 M-0\nnonsense m-0\n")
    with dns(places, records("m-0. A 10.0.0.1")):
        assert look_up(places).addresses == ("10.9.9.9", "::9")
        assert look_up(places).canonical == "other"


def test_a_name_in_dns_is_found(places: Places) -> None:
    """The plain case, both families, with the case of letters ignored."""
    with dns(places, records("m-0. A 10.0.0.1", "m-0. A 10.0.0.2", "m-0. AAAA fd00::1")):
        assert sorted(look_up(places).addresses) == ["10.0.0.1", "10.0.0.2", "fd00::1"]
        assert sorted(look_up(places, "M-0").addresses) == ["10.0.0.1", "10.0.0.2", "fd00::1"]


def test_a_name_with_only_ipv6_is_found(places: Places) -> None:
    """The A answer is empty then, which is no failure."""
    with dns(places, records("m-0. AAAA fd00::1")):
        assert look_up(places).addresses == ("fd00::1",)


def test_a_cname_is_followed(places: Places) -> None:
    """And its target is the canonical name."""
    with dns(places, records("m-0. CNAME x.y.", "x.y. A 10.0.0.1")):
        assert look_up(places) == names.Answer(("10.0.0.1",), "x.y", "")


def test_a_name_that_exists_only_through_a_search_domain_is_found(places: Places) -> None:
    """As Kubernetes has it: search list and ndots from resolv.conf."""
    search = "search ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5"
    with dns(places, records(f"{POD} A 10.0.0.1"), options=search):
        found = look_up(places, "m-0.mim")
        assert found == names.Answer(("10.0.0.1",), POD.rstrip("."), "")


def test_what_dns_says_is_the_whole_answer(places: Places) -> None:
    """Addresses, the name that they belong to as it is written there, and no reason."""
    with dns(places, records("m-0. CNAME BOX.", "box. A 10.0.0.1")):
        assert look_up(places) == names.Answer(("10.0.0.1",), "BOX", "")
        queries = Queries(places.resolv_conf, 20.0)
        assert queries.ask("box", "A") == (("10.0.0.1",), "box", "", True)
        assert queries.ask("none", "A") == ((), "", "the name does not exist in DNS", True)
    Path(places.resolv_conf).unlink()
    assert Queries(places.resolv_conf, 20.0).ask("box", "A") == (
        (),
        "",
        "No such file or directory",
        False,
    )


def test_a_query_that_fails_has_no_records(places: Places) -> None:
    """Whether no server answers, or one says that it cannot; the reason is one line."""
    with dns(places, lambda *_: None):
        asked = Queries(places.resolv_conf, 0.3).ask("m-0", "A")
        assert asked == ((), "", "no DNS answer within 0.3 s", False)
    with dns(places, lambda *_: int(rcode.SERVFAIL)):
        asked = Queries(places.resolv_conf, 20.0).ask("m-0", "A")
        assert (asked.records, asked.canonical, asked.absent) == ((), "", False)
        assert " answered SERVFAIL" in asked.reason


def test_the_targets_of_a_service_are_its_records(places: Places) -> None:
    """As they are written there, but for the last dot."""
    with dns(places, records("svc. SRV 0 1 5222 m-0.BOX.")):
        asked = Queries(places.resolv_conf, 20.0).ask("svc", "SRV")
    assert asked == (("m-0.BOX",), "svc", "", True)


def test_a_name_that_does_not_exist_says_so(places: Places) -> None:
    """At once, without waiting for anything."""
    with dns(places, records("other. A 10.0.0.1")):
        assert look_up(places) == names.Answer(
            (), "", "the name does not exist in DNS", absent=True
        )


def test_a_name_without_addresses_says_so(places: Places) -> None:
    """An empty answer is not an address."""
    with dns(places, records("m-0. TXT x")):
        found = look_up(places)
        assert found.addresses == ()
        assert found.reason == "the name has no address in DNS"
        assert found.absent


def test_a_server_that_fails_is_an_answer_without_addresses(places: Places) -> None:
    """SERVFAIL from all of them is said in the reason, and nothing is raised."""
    with dns(places, lambda _name, _kind: dns_rcode("SERVFAIL")):
        found = look_up(places, timeout=3.0)
        assert found.addresses == ()
        assert "SERVFAIL" in found.reason
        assert not found.absent


def test_one_family_may_fail(places: Places) -> None:
    """There are servers that answer SERVFAIL for AAAA, and clusters without IPv4."""
    for broken, kind, address in (("AAAA", "A", "10.0.0.1"), ("A", "AAAA", "fd00::1")):

        def zone(name: str, asked: str, broken: str = broken, kind: str = kind) -> list[str] | int:
            known = records(f"m-0. {kind} {address}")  # noqa: B023 - asked at once
            return dns_rcode("SERVFAIL") if asked == broken else known(name, asked)

        with dns(places, zone):
            assert look_up(places).addresses == (address,)


def test_silence_ends_at_the_timeout(places: Places) -> None:
    """A server that never answers costs the time that was given, and no more."""
    with dns(places, lambda _name, _kind: None):
        began = time.monotonic()
        found = look_up(places, timeout=1.0)
        assert time.monotonic() - began >= 1.0
        assert found == names.Answer((), "", "no DNS answer within 1 s")


@pytest.mark.parametrize("lame", ["SERVFAIL", "REFUSED", None])
def test_a_lame_first_server_is_passed_over(places: Places, lame: str | None) -> None:
    """The second one is asked when the first refuses, fails or is silent."""

    def first(_name: str, _kind: str) -> int | None:
        return None if lame is None else dns_rcode(lame)

    with dns(places, first, records("m-0. A 10.0.0.1")):
        assert look_up(places).addresses == ("10.0.0.1",)


@pytest.mark.parametrize("servers", ["one is down", "one packet is lost"])
def test_a_silence_does_not_use_up_the_time_of_the_next_try(places: Places, servers: str) -> None:
    """Though `options` of resolv.conf would give each try all of it."""
    asked = []

    def first(name: str, kind: str) -> list[str] | int | None:
        asked.append(kind)
        again = servers == "one packet is lost" and len(asked) > 1
        return records("m-0. A 10.0.0.1")(name, kind) if again else None

    more = [records("m-0. A 10.0.0.1")] if servers == "one is down" else []
    with dns(places, first, *more, options="options timeout:60"):
        assert look_up(places, timeout=12.0).addresses == ("10.0.0.1",)
    assert asked


def test_no_name_server_at_all_is_an_answer(places: Places) -> None:
    """A resolv.conf that is missing or names nobody."""
    assert look_up(places, timeout=1.0).addresses == ()
    Path(places.resolv_conf).write_text("# nothing\n")
    assert look_up(places, timeout=1.0).reason


def test_a_name_that_appears_later_is_found_when_asked_again(places: Places) -> None:
    """Nothing remembers that it did not exist."""
    known: list[str] = []

    def growing(name: str, kind: str) -> list[str] | int:
        return records(*known)(name, kind)

    with dns(places, growing):
        assert look_up(places).addresses == ()
        known.append("m-0. A 10.0.0.1")
        assert look_up(places).addresses == ("10.0.0.1",)


def test_all_queries_for_a_name_share_one_deadline(places: Places) -> None:
    """The query for AAAA does not get the time that the one for A has used up."""
    clock = [0.0]
    asked: list[str] = []

    def zone(_name: str, kind: str) -> list[str] | None:
        asked.append(kind)
        if kind == "A":
            clock[0] += 1000.0
            return []
        # The answer to a query that is sent again, after 2 s: nobody waits for it any more.
        return ["m-0. AAAA fd00::1"] if asked.count(kind) > 1 else None

    with dns(places, zone):
        found = names.in_dns("m-0.", Queries(places.resolv_conf, 1000.0, lambda: clock[0]))
        assert found == names.Answer((), "m-0", "no DNS answer within 1000 s")
        assert asked == ["A", "AAAA"]


def dns_rcode(name: str) -> int:
    """Return a response code by its name."""
    return int(rcode.from_text(name))


@pytest.mark.parametrize("broken", ["A", "AAAA"])
def test_a_name_is_absent_only_if_both_families_say_so(places: Places, broken: str) -> None:
    """One empty answer beside one failure leaves open whether the name has an address."""

    def zone(name: str, asked: str) -> list[str] | int:
        return dns_rcode("SERVFAIL") if asked == broken else records("m-0. TXT x")(name, asked)

    with dns(places, zone):
        found = look_up(places, timeout=3.0)
        assert found.addresses == ()
        assert not found.absent
