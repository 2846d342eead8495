"""What the tests of whole clusters ask of all members at once, by Erlang's own means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from docker_cli import DockerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from containers import Cluster, Container

HOSTS = ("mongooseim-1", "mongooseim-2", "mongooseim-3")
COOKIE = "mongooseim"
_ASK = r"""
[Key | Nodes] = init:get_plain_arguments(),
Names = fun(Node, What) ->
    case rpc:call(Node, mnesia, system_info, [What], 10000) of
        List when is_list(List) -> lists:join(",", ["\"" ++ atom_to_list(N) ++ "\"" || N <- List]);
        _ -> []
    end
end,
[begin
    Node = list_to_atom(Text),
    Value = case rpc:call(Node, mongooseim_store, read, [sample, Key], 10000) of
        {atomic, [Found]} -> Found;
        _ -> ""
    end,
    io:format("{\"node\":\"~s\",\"db_nodes\":[~s],\"running\":[~s],\"value\":\"~s\"}~n",
              [Text, Names(Node, db_nodes), Names(Node, running_db_nodes), Value])
 end || Text <- Nodes],
halt().
"""


class View(NamedTuple):
    """What a member knows: the members, those that run, and the value of a key."""

    db_nodes: frozenset[str]
    running: frozenset[str]
    value: str


def node_of(member: Container) -> str:
    """Return a member's node name, of those that NODE_NAME does not change."""
    return f"mongooseim@{member.host}"


def views(members: Sequence[Container], key: str = "key") -> dict[str, View]:
    """Return what each member knows; one that does not answer knows nothing."""
    nodes = " ".join(node_of(member) for member in members)
    found = {}
    for line in evaluate(members[0], _ASK, key, nodes).splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            known = View(frozenset(said["db_nodes"]), frozenset(said["running"]), said["value"])
            found[said["node"]] = known
    return found


def evaluate(member: Container, expression: str, key: str = "", nodes: str = "") -> str:
    """Run an Erlang expression in a VM of its own beside a member's; return what it prints."""
    kind = "-name" if "." in member.host else "-sname"
    expression = " ".join(expression.split("\n"))
    command = (
        'exec /usr/lib/mongooseim/erts-*/bin/erl -noinput -hidden "$1" "probe-$$@$2" -setcookie '
        f'{COOKIE} -eval "$3" -extra "$4" $5'
    )
    done = member.exec("sh", "-c", command, "ask", kind, member.host, expression, key, nodes)
    return done.stdout


def write(member: Container, value: str, key: str = "key") -> None:
    """Write a value to the table that is on the disks of all members."""
    member.ctl("sample", "write", key, value)


def assert_one_cluster(members: Sequence[Container], value: str = "", timeout: float = 60) -> None:
    """See each member list all as known and as running, and read the same value."""
    nodes = frozenset(node_of(member) for member in members)
    expected = dict.fromkeys(nodes, View(nodes, nodes, value))

    last: dict[str, View] = {}

    def seen() -> bool:
        last.clear()
        last.update(views(members))
        return last == expected

    what = f"one cluster of {sorted(nodes)} with {value!r}"
    try:
        members[0].wait_for(seen, timeout, what=what)
    except DockerError as error:
        raise AssertionError(f"{what}; last seen: {last}") from error


def start_three(cluster: Cluster, value: str, *volumes: str) -> list[Container]:
    """Start three members at once, see them form a cluster, and write a value."""
    members = [cluster.run(host, volumes=volumes) for host in HOSTS]
    for member in members:
        member.wait_for_log("Clustered ", timeout=90)
    write(members[0], value)
    assert_one_cluster(members, value)
    return members
