"""Node names, ordinals, and who joins whom."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint import settings
from member_entrypoint.cluster import node
from member_entrypoint.cluster.node import Role
from member_entrypoint.errors import ConfigurationError


def nobody(_host: str) -> str | None:
    """Know no full name."""
    return None


def known(full: str) -> Callable[[str], str | None]:
    """Know one full name, for whatever host."""
    return lambda _host: full


def derive(
    environment: dict[str, str],
    host: str,
    full_name: Callable[[str], str | None] = nobody,
) -> tuple[str, Role]:
    """Return node name and role of a machine with this host name."""
    options = settings.read(environment)
    own = node.own_node(options, host, full_name)
    return own, node.role_of(options, host, own)


LONG = {"NODE_TYPE": "name"}
KUBERNETES = {"NODE_TYPE": "name", "MASTER_ORDINAL": "0"}
POD = "mongooseim-12.mim.default.svc.cluster.local"


@pytest.mark.parametrize(
    ("environment", "host", "own", "target"),
    [
        ({}, "mongooseim-1", "mongooseim@mongooseim-1", None),
        ({}, "mongooseim-2", "mongooseim@mongooseim-2", "mongooseim@mongooseim-1"),
        ({}, "mongooseim-12", "mongooseim@mongooseim-12", "mongooseim@mongooseim-1"),
        ({}, "mongooseim-2.example.com", "mongooseim@mongooseim-2", "mongooseim@mongooseim-1"),
        ({}, "chat-eu-1-3", "mongooseim@chat-eu-1-3", "mongooseim@chat-eu-1-1"),
        ({}, "foo-0-bar-1", "mongooseim@foo-0-bar-1", None),
        ({}, "foo--0-bar--2", "mongooseim@foo--0-bar--2", "mongooseim@foo--0-bar--1"),
        ({"MASTER_ORDINAL": "0"}, "m-0", "mongooseim@m-0", None),
        ({"MASTER_ORDINAL": "0"}, "m-10", "mongooseim@m-10", "mongooseim@m-0"),
        ({"MASTER_ORDINAL": "01"}, "m-01", "mongooseim@m-01", None),
        ({}, "m-01", "mongooseim@m-01", "mongooseim@m-1"),
        ({"NODE_NAME": "chat"}, "m-2", "chat@m-2", "chat@m-1"),
        ({"HOSTNAME": "m-3"}, "other", "mongooseim@m-3", "mongooseim@m-1"),
        ({"NODE_HOST": "x-2"}, "m-9", "mongooseim@x-2", "mongooseim@x-1"),
        ({"CLUSTER_WITH": "a@b"}, "lonely", "mongooseim@lonely", "a@b"),
        ({"CLUSTER_WITH": "mongooseim@me"}, "me", "mongooseim@me", None),
        (LONG, "m-2.example.com", "mongooseim@m-2.example.com", "mongooseim@m-1.example.com"),
        (
            KUBERNETES,
            POD,
            f"mongooseim@{POD}",
            "mongooseim@mongooseim-0.mim.default.svc.cluster.local",
        ),
        (
            {**LONG, "NODE_HOST": "10.0.0.7", "CLUSTER_WITH": "mongooseim@10.0.0.6"},
            "m-2",
            "mongooseim@10.0.0.7",
            "mongooseim@10.0.0.6",
        ),
        ({**LONG, "NODE_HOST": "fd00::7"}, "m-1", "mongooseim@fd00::7", None),
    ],
)
def test_names_and_targets(
    environment: dict[str, str], host: str, own: str, target: str | None
) -> None:
    """A host name and the variables give the node name and the node to join."""
    assert derive(environment, host) == (own, Role(target, primary=target is None))


def test_a_node_told_to_run_alone_joins_nobody_and_is_no_primary() -> None:
    """JOIN_CLUSTER=false needs no ordinal in the host name."""
    assert derive({"JOIN_CLUSTER": "false"}, "lonely") == (
        "mongooseim@lonely",
        Role(None, primary=False),
    )


def test_a_full_name_from_elsewhere_makes_a_long_name() -> None:
    """In Kubernetes the host name is short, and the hosts file or DNS has the domain."""
    own, role = derive(KUBERNETES, "mongooseim-12", known(POD))
    assert own == f"mongooseim@{POD}"
    assert role.target == "mongooseim@mongooseim-0.mim.default.svc.cluster.local"


@pytest.mark.parametrize(
    ("environment", "host", "said"),
    [
        ({}, "lonely", "does not end in -N"),
        ({}, "3f2a1b4c5d6e", "CLUSTER_WITH=NAME@HOST"),
        ({}, "-5", "cannot be part of a node name"),
        ({}, "m-", "cannot be part of a node name"),
        (LONG, "m-1", "NODE_TYPE=sname"),
        ({**LONG, "NODE_HOST": "10.0.0.7"}, "m-2", "NODE_HOST is '10.0.0.7'"),
        # m-01 is not the primary m-1: hosts are compared as text
        ({**LONG, "NODE_HOST": "10.0.0.7"}, "m-01", "NODE_HOST is '10.0.0.7'"),
        ({**LONG, "NODE_HOST": "fd00::7"}, "m-01", "NODE_HOST is 'fd00::7'"),
        ({}, "a b-1", "cannot be part of a node name"),
    ],
)
def test_a_host_that_says_too_little_is_refused_with_the_ways_out(
    environment: dict[str, str], host: str, said: str
) -> None:
    """Erlang would refuse it later, or the node would run on its own."""
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        derive(environment, host)


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DOMAIN = st.lists(LABEL, max_size=4).map(lambda labels: "".join(f".{label}" for label in labels))
ORDINAL = st.integers(0, 10**9).map(str)


@given(LABEL, ORDINAL, ORDINAL, DOMAIN, st.sampled_from(["sname", "name"]))
def test_every_member_and_the_primary_itself_agree_on_the_primary(
    base: str, ordinal: str, primary: str, domain: str, node_type: str
) -> None:
    """From any member's name comes the same primary as from the primary's own."""
    if node_type == "name" and not domain:
        domain = ".local"
    environment = {"NODE_TYPE": node_type, "MASTER_ORDINAL": primary}
    first, role = derive(environment, f"{base}-{primary}{domain}")
    assert role == Role(None, primary=True)
    own, other = derive(environment, f"{base}-{ordinal}{domain}")
    assert (other.target or own) == first
