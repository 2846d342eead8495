"""What does a node say? One question to any node; and what its schema on the disk says."""

import os
import re
import time

from member_entrypoint import terms
from member_entrypoint.erlang import distribution
from member_entrypoint.erlang.distribution import Call
from member_entrypoint.erlang.epmd import NotRegisteredError
from member_entrypoint.erlang.reach import FIXED_PORT, app_config_of, flags_of, reach
from member_entrypoint.erlang.way import Way
from member_entrypoint.lean_typing import TYPE_CHECKING, Any
from member_entrypoint.log import counted
from member_entrypoint.places import Places
from member_entrypoint.release.active import Release
from member_entrypoint.settings import Settings
from member_entrypoint.terms import Atom, TermError

if TYPE_CHECKING:
    from member_entrypoint.network import names

ONCE = ("proto_dist", "epmd_module", "start_epmd", "erl_epmd_port", "ssl_dist_optfile")
EACH = ("ssl_dist_opt", "kernel", "pa", "pz", "epmd_port")
"""Flags that a VM that asks needs, too: those of which the last counts, all of the others."""

# The question comes as plain arguments, that is, as data; the cookie comes from vm.args and not
# from the command line, where everybody could read it.
_ASK = r"""
[N, C, File, Time] = init:get_plain_arguments(),
{ok, Text} = file:read_file(File),
{match, [Cookie]} = re:run(Text, "^-setcookie (\\S+)", [multiline, {capture, [1], list}]),
true = erlang:set_cookie(node(), list_to_atom(Cookie)),
{ok, Tokens, _} = erl_scan:string(C ++ "."),
{ok, Calls} = erl_parse:parse_term(Tokens),
Node = list_to_atom(N),
Answer = case net_kernel:connect_node(Node) of
    true -> [rpc:call(Node, M, F, A, list_to_integer(Time)) || {M, F, A} <- Calls];
    _ -> [{badrpc, nodedown} || _ <- Calls]
end,
io:format("answer ~w~n", [Answer]),
halt(0).
"""

_READ_SCHEMA = r"""
[File] = init:get_plain_arguments(),
{ok, Table} = dets:open_file(schema_copy, [{file, File}, {keypos, 2}, {ram_file, true}]),
[{schema, schema, Properties}] = dets:lookup(Table, schema),
Kinds = [ram_copies, disc_copies, disc_only_copies],
Nodes = lists:append([Ns || {Kind, Ns} <- Properties, lists:member(Kind, Kinds)]),
io:format("answer ~w~n", [{proplists:get_value(cookie, Properties), lists:usort(Nodes)}]),
halt(0).
"""
COPIES = ("ram_copies", "disc_copies", "disc_only_copies")


NO_FLAGS = dict.fromkeys(("ERL_AFLAGS", "ERL_FLAGS", "ERL_ZFLAGS"), "")
"""What a VM that asks gets of them it gets as words of its command line."""


class RpcError(Exception):
    """A question to a node that got no answer; the text says why."""


class NodeDownError(RpcError):
    """The node is down, or refuses our cookie."""


class RefusesError(NodeDownError):
    """The node is there, and refuses us; `certificate`: over a certificate, as the text says.

    Else it has another cookie, most likely.
    """

    def __init__(self, text: str, *, certificate: bool = False) -> None:
        """Take what is said."""
        super().__init__(text)
        self.certificate = certificate


class OtherNameError(RpcError):
    """Another node answers where this one was to be; `name` is its name."""

    def __init__(self, node: str, name: str) -> None:
        """Take the node that was meant, and the one that answers."""
        super().__init__(f"{node}: what answers there is not {node} but {name}")
        self.name = name


class Erlang:
    """Asks nodes, as a hidden node on the host of `own_node`, with the cookie of the release.

    `boots_vms`: whether a VM may ask where we do not speak what nodes speak. `known_addresses` are
    those of nodes that need not be looked up.
    """

    boots_vms = True

    def __init__(self, release: Release, places: Places, settings: Settings, own_node: str) -> None:
        """Take cookie and distribution flags from the release's run-time `etc` and `settings`."""
        self._release = release
        self._places = places
        self._own_node = own_node
        self._own_host = own_node.partition("@")[2]
        self._vm_args = os.path.join(release.etc, "vm.args")
        self._flags = flags_of(release, settings)
        self.reach = reach(self._flags, settings, app_config_of(release))
        self.way = Way(self.reach, self._flags, release.server, self._own_host)
        self.known_addresses: dict[str, tuple[str, ...]] = {}

    def rpc(
        self, node: str, module: str, function: str, arguments: list[Any], timeout: float = 10.0
    ) -> Any:
        """Return what `module:function(arguments)` gives on `node`.

        Terms are those of `terms` (strings come back as lists of integers). `timeout` is in seconds
        and holds for the connection, and again for the answer. Where the distribution is TCP, plain
        or with TLS, the node is asked directly, in milliseconds; else, or where its protocol is not
        understood, by a short-lived VM of the release (0.3 s of CPU) with the flags of the other.
        Raises `NodeDownError` or `RpcError`.
        """
        (value,) = self.ask(node, [(module, function, arguments)], timeout)
        if isinstance(value, tuple) and value[:1] == (Atom("badrpc"),):
            raise RpcError(f"{node} could not answer: {terms.show(value[1])[:300]}")
        return value

    def ask(self, node: str, calls: list[Call], timeout: float) -> list[Any]:
        """Return what several calls give on `node`, over one connection; as `rpc` does.

        What a call gives may be `{badrpc, Reason}`.
        """
        values, why = None, f"{node} can only be asked by a VM, as its distribution is"
        if self.reach.direct:
            try:
                values = self._ask_directly(node, calls, timeout)
            except distribution.DistributionError as error:
                why = str(error)
        if values is None:
            if not self.boots_vms:
                raise RpcError(why)
            values = self._ask_by_vm(node, calls, timeout)
        if (Atom("badrpc"), Atom("nodedown")) in values:
            raise NodeDownError(f"{node} is down, or refuses the cookie")
        if len(values) != len(calls):
            answers, questions = counted(len(values), "answer"), counted(len(calls), "question")
            raise RpcError(f"{node} gave {answers} to {questions}")
        return values

    def connect(self, node: str, timeout: float) -> distribution.Connection:
        """Return a connection to a node that is reached directly, within `timeout` seconds in all.

        Raises `NodeDownError` or `distribution.DistributionError`.
        """
        deadline = time.monotonic() + timeout
        addresses, reason = self._addresses(node, timeout)
        failure: distribution.DistributionError | None = None
        for number, address in enumerate(addresses):
            # They share the time that is left: a silent one must not use up that of the others.
            left = (deadline - time.monotonic()) / (len(addresses) - number)
            if left <= 0:
                break
            try:
                return self.way.open(address, node, self._flags.get("setcookie"), left)
            except NotRegisteredError as error:
                reason = str(error)
            except distribution.WaitsEmptyError as error:
                raise NodeDownError(str(error)) from None
            except distribution.RefusedError as error:
                certificate = isinstance(error, distribution.CertificateError)
                text = str(error) if certificate else f"{node} refuses us: {error}"
                raise RefusesError(text, certificate=certificate) from None
            except distribution.NotListeningError as error:
                reason = str(error)
                # An epmd that knows the node contradicts that: a VM may see more.
                failure = None if self.reach.node_port else error
            except distribution.DistributionError as error:
                failure = error
        if failure is not None:
            raise failure
        raise NodeDownError(f"{node} is down: {reason}")

    def _addresses(self, node: str, timeout: float) -> tuple[tuple[str, ...], str]:
        """Return the addresses at which a node may be, or none and the reason why."""
        if node == self._own_node:
            # Nothing else: its address may go away, and DNS with it, as when it is taken out of
            # its network.
            return self.reach.own, ""
        if known := self.known_addresses.get(node):
            return known, ""
        host = node.partition("@")[2]
        answer = self.look_up(node, timeout)
        reason = f"no address for {host}: {answer.reason or self.reach.why_unusable(host)}"
        return self.reach.usable(answer.addresses), reason

    def look_up(self, node: str, timeout: float) -> "names.Answer":
        """Return the addresses of the host of `node`, after at most `timeout` seconds."""
        from member_entrypoint.network import names  # not for those whose addresses are known

        host = node.partition("@")[2]
        if known := self.known_addresses.get(node):
            return names.Answer(known, host, "", from_hosts=True)
        return names.look_up(host, self._places, timeout)

    def _ask_directly(self, node: str, calls: list[Call], timeout: float) -> list[Any]:
        """Return the answers; raises `DistributionError` where a VM may get them."""
        try:
            with self.connect(node, timeout) as connection:
                return connection.call_all(calls, timeout)
        except distribution.OtherNodeError as error:
            raise OtherNameError(node, error.node) from None
        except (distribution.NoAnswerError, TermError) as error:
            raise RpcError(f"{node}: {str(error).removeprefix(f'{node}: ')}") from None

    def _ask_by_vm(self, node: str, calls: list[Call], timeout: float) -> list[Any]:
        name_flag = "-name" if "name" in self._flags else "-sname"
        options = [
            *("-hidden", "-connect_all", "false", "-setcookie", "none"),
            *(name_flag, f"entrypoint-{os.getpid()}@{self._own_host}"),
        ]
        # Not as files: a flag that OTP finds twice it ignores. It must not want the node's port.
        options += ["-dist_listen", "false"]
        for name in ONCE:
            if name in self._flags:
                options += [f"-{name}", self._flags.get(name)]
        for name in EACH:
            for values in self._flags.all(name):
                options += [f"-{name}", *values]
        if self.reach.node_port and "erl_epmd_port" not in self._flags:
            options += ["-kernel", FIXED_PORT, str(self.reach.node_port)]
        if self.reach.epmd_module and "epmd_module" not in self._flags:
            options += ["-epmd_module", self.reach.epmd_module]
        milliseconds = str(max(1, int(timeout * 1000)))
        wanted = [(Atom(module), Atom(function), given) for module, function, given in calls]
        data = [node, terms.write(wanted), self._vm_args, milliseconds]
        longest = (1 + len(calls)) * timeout + 2
        return list(_evaluate(self._release, _ASK, options, data, longest))


def read_schema(records: list[Any]) -> tuple[str, frozenset[str]]:
    """Return identity and members of the cluster, from the records of a schema file.

    Raises `TermError` if they are not those of one schema.
    """
    found = [record[2] for record in records if record[:2] == (Atom("schema"), Atom("schema"))]
    if len(found) != 1:
        raise TermError("not the records of one schema")
    return terms.show(_named(found[0])["cookie"]), _holders(found[0])


def holders_of_all(records: list[Any]) -> frozenset[str]:
    """Return the nodes that have a copy of each table, from the records of a schema file.

    Raises `TermError` if they are none.
    """
    holders = [_holders(record[2]) for record in records if record[0] == Atom("schema")]
    if not holders:
        raise TermError("not the records of a schema")
    return holders[0].intersection(*holders)


def _holders(properties: list[Any]) -> frozenset[str]:
    """Return the nodes that have a copy of a table, of whatever kind."""
    found = _named(properties)
    return frozenset(str(node) for kind in COPIES for node in found.get(kind, []))


def _named(properties: list[Any]) -> dict[Any, Any]:
    """Return properties by their names; raises LookupError or TypeError if they make no sense."""
    return {item[0]: item[1] for item in properties}


def ask_vm_for_schema(release: Release, schema: str) -> tuple[str, frozenset[str]]:
    """Return identity and members of the cluster of a schema file; it is opened, and repaired.

    Give it a copy. Raises `RpcError`. Source: Mnesia keeps the schema in a dets table of
    `{schema, Table, Properties}`; the nodes of the table `schema` itself are the cluster's.
    """
    cookie, nodes = _evaluate(release, _READ_SCHEMA, [], [schema], timeout=30.0)
    return terms.show(cookie), frozenset(map(str, nodes))


def _evaluate(
    release: Release, expression: str, flags: list[str], data: list[str], timeout: float
) -> Any:
    """Return the term that an expression prints in a VM of its own after the word `answer`."""
    from member_entrypoint import programs  # most questions need no VM

    command = [
        release.erl,
        *("+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "-noinput"),
        *flags,
        *("-eval", " ".join(expression.split("\n")), "-extra"),
        *data,
    ]
    try:
        output = programs.run(command, timeout, NO_FLAGS)
    except programs.ProgramError as error:
        raise RpcError(f"the VM that asks failed: {error}") from None
    answer = re.search(r"^answer (.*)$", output, re.MULTILINE)
    if answer is None:
        raise RpcError(f"the VM that asks gave no answer: {' '.join(output.split())[:300]}")
    try:
        return terms.read(answer[1])
    except TermError as error:
        raise RpcError(f"an answer that is not understood: {error}") from None
