"""What does a node say? One question to any node, and the names that an epmd has."""

import os
import re
import socket
import subprocess
from typing import Any, NamedTuple

from member_entrypoint import terms
from member_entrypoint.release import Release
from member_entrypoint.terms import Atom

EPMD_PORT = 4369
NAMES_REQUEST = b"\x00\x01n"
LONGEST_NAMES_ANSWER = 1 << 20

# The question comes as plain arguments, that is, as data; the cookie comes from vm.args and not
# from the command line, where everybody could read it.
_ASK = r"""
[N, M, F, A, File, Time] = init:get_plain_arguments(),
{ok, Text} = file:read_file(File),
{match, [Cookie]} = re:run(Text, "^-setcookie (\\S+)", [multiline, {capture, [1], list}]),
true = erlang:set_cookie(node(), list_to_atom(Cookie)),
{ok, Tokens, _} = erl_scan:string(A ++ "."),
{ok, Arguments} = erl_parse:parse_term(Tokens),
Node = list_to_atom(N),
Answer = case net_kernel:connect_node(Node) of
    true -> rpc:call(Node, list_to_atom(M), list_to_atom(F), Arguments, list_to_integer(Time));
    _ -> {badrpc, nodedown}
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
io:format("answer ~w~n", [lists:usort(Nodes)]),
halt(0).
"""


class RpcError(Exception):
    """A question to a node that got no answer; the text says why."""


class NodeDownError(RpcError):
    """The node cannot be connected to: it is down, or refuses our cookie."""


class Epmd(NamedTuple):
    """What an epmd said: the names registered there, or None and the reason."""

    names: tuple[str, ...] | None
    reason: str


def rpc(  # noqa: PLR0913, PLR0917 - a node, a call, and the time it may take
    release: Release,
    own_node: str,
    node: str,
    module: str,
    function: str,
    arguments: list[Any],
    timeout: float = 10.0,
) -> Any:
    """Return what `module:function(arguments)` gives on `node`, as `terms.read` reads it.

    Asked by a short-lived hidden VM of the release with the cookie, the name type and the
    distribution flags of the run-time `etc`; it takes 0.3 s. `timeout` is in seconds and holds for
    the connection and for the answer. Raises `NodeDownError` or `RpcError`.
    """
    vm_args = os.path.join(release.etc, "vm.args")
    text = _read(vm_args)
    name_flag = "-name" if re.search(r"^-name ", text, re.MULTILINE) else "-sname"
    flags = [
        *("-hidden", "-connect_all", "false", "-setcookie", "none"),
        *(name_flag, f"entrypoint-{os.getpid()}@{own_node.partition('@')[2]}"),
        *_distribution_flags(release, text),
    ]
    data = [node, module, function, terms.write(arguments), vm_args]
    data.append(str(max(1, int(timeout * 1000))))
    value = _evaluate(release, _ASK, flags, data, timeout + 2)
    if isinstance(value, tuple) and value[:1] == (Atom("badrpc"),):
        if value == (Atom("badrpc"), Atom("nodedown")):
            raise NodeDownError(f"{node} is down, or refuses the cookie")
        raise RpcError(f"{node} could not answer: {terms.show(value[1])[:300]}")
    return value


def schema_nodes(release: Release, schema: str) -> list[str]:
    """Return the members that a schema file lists; it is opened, and repaired if need be.

    Give it a copy. Raises `RpcError`. Source: Mnesia keeps the schema in a dets table of
    `{schema, Table, Properties}`; the nodes of the table `schema` itself are the cluster's.
    """
    nodes = _evaluate(release, _READ_SCHEMA, [], [schema], timeout=30.0)
    return [str(node) for node in nodes]


def _evaluate(
    release: Release, expression: str, flags: list[str], data: list[str], timeout: float
) -> Any:
    """Return the term that an expression prints in a VM of its own after the word `answer`."""
    command = [
        release.erl,
        *("+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "-noinput"),
        *flags,
        *("-eval", " ".join(expression.split("\n")), "-extra"),
        *data,
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise RpcError(f"no answer within {timeout:g} s") from None
    except OSError as error:
        raise RpcError(f"{release.erl} cannot be run ({error.strerror})") from None
    answer = re.search(r"^answer (.*)$", done.stdout, re.MULTILINE)
    if answer is None:
        said = " ".join(done.stdout.split())[:300]
        raise RpcError(f"the VM that asks failed with status {done.returncode}: {said}")
    return terms.read(answer[1])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _distribution_flags(release: Release, vm_args: str) -> list[str]:
    """Return the flags that decide how nodes connect: all of vm.dist.args, some of vm.args."""
    flags = []
    for name in ("proto_dist", "epmd_module", "start_epmd"):
        found = re.search(rf"^-{name}[ \t]+(\S+)", vm_args, re.MULTILINE)
        if found:
            flags += [f"-{name}", found[1]]
    path = os.path.join(release.etc, "vm.dist.args")
    return [*flags, "-args_file", path] if os.path.exists(path) else flags


def epmd_names(address: str, timeout: float = 3.0, port: int = EPMD_PORT) -> Epmd:
    """Return the names that the epmd at `address` knows, without booting a VM.

    Never raises for what the network does; the reason says it. Source: "Distribution Protocol" in
    the ERTS manual, NAMES_REQ: two bytes of length, `n`; the answer is a port number in 4 bytes,
    then a line `name NAME at port PORT` for each node.
    """
    answer = b""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.sendall(NAMES_REQUEST)
            while part := connection.recv(65536):
                answer += part
                if len(answer) > LONGEST_NAMES_ANSWER:
                    return Epmd(None, f"what answers on port {port} of {address} is no epmd")
    except TimeoutError:
        return Epmd(None, f"no answer from {address} port {port} (epmd) within {timeout:g} s")
    except OSError as error:
        return Epmd(None, f"no epmd on {address} port {port} ({error.strerror or error})")
    names = re.findall(rb"^name (\S+) at port \d+$", answer[4:], re.MULTILINE)
    return Epmd(tuple(name.decode(errors="replace") for name in names), "")
