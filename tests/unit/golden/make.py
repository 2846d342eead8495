"""Have real Erlang make the golden vectors of this folder again.

    .venv/bin/python tests/unit/golden/make.py

Needs `erl` and `epmd` on the PATH (Debian: `apt-get install --no-install-recommends erlang-base`);
the tests that read the vectors need neither. The terms, and what Erlang reads of ours, go to
terms.json and written.json, a conversation with a node to conversation.json, the answers of an
epmd to epmd.json. Bytes are hexadecimal. Made last with Erlang/OTP 25.2.3 of Debian 12.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import golden_vectors as golden  # noqa: E402 - it is found only now

from member_entrypoint.erlang import epmd  # noqa: E402
from member_entrypoint.erlang.etf import encode  # noqa: E402

LOOPBACK = "127.0.0.1"
PATIENCE = 30.0

_TERMS = r"""
{ok, [Sources]} = file:consult(File),
Say = fun(Bytes, Term) ->
    Hexadecimal = string:lowercase(binary:encode_hex(Bytes)),
    io:put_chars([Hexadecimal, " ", io_lib:format("~w", [Term]), "\n"])
end,
Evaluate = fun(Source) ->
    {ok, Tokens, _} = erl_scan:string(Source ++ "."),
    {ok, Parsed} = erl_parse:parse_exprs(Tokens),
    {value, Term, _} = erl_eval:exprs(Parsed, []),
    Term
end,
lists:foreach(fun
    ("compressed") ->
        Term = lists:duplicate(1000, compressed),
        Say(term_to_binary(Term, [compressed]), short);
    (Source) when is_list(Source) ->
        Term = Evaluate(Source),
        Say(term_to_binary(Term), Term);
    (Bytes) ->
        Say(Bytes, binary_to_term(Bytes))
end, Sources),
halt(0).
"""


def main() -> None:
    """Make all the files."""
    entries = golden.READ.items()
    made = erlang_reads([source for _, (source, _) in entries])
    save("terms", dict(zip((name for name, _ in entries), made, strict=True)))
    ours = [(name, value) for name, values in golden.WRITTEN.items() for value in values]
    read = erlang_reads([b"\x83" + encode(value) for _, value in ours])
    written: dict[str, list[dict[str, str]]] = {name: [] for name, _ in ours}
    for (name, _), entry in zip(ours, read, strict=True):
        written[name].append(entry)
    save("written", written)
    with running_epmd() as epmd_port:
        save("epmd", epmd_answers(epmd_port))
        with running_node(epmd_port):
            save("conversation", record(epmd_port))


def erlang_reads(sources: list[str | bytes]) -> list[dict[str, str]]:
    """Return the bytes of each term, made by Erlang where it is an expression, and its text."""
    literals = ",".join(
        json.dumps(source)
        if isinstance(source, str)
        else "<<" + ",".join(map(str, source if source[:1] == b"\x83" else b"\x83" + source)) + ">>"
        for source in sources
    )
    with tempfile.NamedTemporaryFile("w", suffix=".terms") as file:
        file.write(f"[{literals}].\n")
        file.flush()
        expression = f'File = "{file.name}",' + " ".join(_TERMS.split("\n"))
        command = ["erl", "-noinput", "-eval", f"io:setopts([{{encoding, unicode}}]), {expression}"]
        said = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60
        ).stdout
    lines = said.splitlines()
    if len(lines) != len(sources):
        raise ValueError(said[-2000:])
    pairs = [line.partition(" ") for line in lines]
    # A long text says no more than a short one.
    return [{"bytes": data, "text": text if len(text) < 2000 else ""} for data, _, text in pairs]


@contextlib.contextmanager
def running_epmd() -> Iterator[int]:
    """Run an epmd on a free port, which is given."""
    with socket.create_server((LOOPBACK, 0)) as free:
        port: int = free.getsockname()[1]
    with subprocess.Popen(["epmd", "-port", str(port), "-address", LOOPBACK]) as process:
        try:
            wait(lambda: epmd.names(LOOPBACK, port=port).names is not None)
            yield port
        finally:
            process.terminate()


@contextlib.contextmanager
def running_node(epmd_port: int) -> Iterator[None]:
    """Run the node that `golden.talk` talks with; it sends a tick each second."""
    flags = ["-name", golden.TARGET, "-setcookie", golden.COOKIE, "-start_epmd", "false"]
    flags += ["-kernel", "net_ticktime", "4", "-eval", golden.EVALUATED]
    environment = {**os.environ, "ERL_EPMD_PORT": str(epmd_port)}
    command = ["erl", "-noinput", *flags]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise ChildProcessError
            yield
        finally:
            process.kill()


def wait(condition: Any) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)


def epmd_answers(port: int) -> dict[str, str]:
    """Return what an epmd answers to each of our requests, in hexadecimal."""

    def ask(request: bytes) -> str:
        with socket.create_connection((LOOPBACK, port)) as connection:
            connection.sendall(struct.pack("!H", len(request)) + request)
            return b"".join(iter(lambda: connection.recv(1000), b"")).hex()

    def register(highest: int) -> tuple[socket.socket, str]:
        request = struct.pack("!sHBBHHH", b"x", 4321, 72, 0, highest, 5, 4) + b"chat\0\0"
        connection = socket.create_connection((LOOPBACK, port))
        connection.sendall(struct.pack("!H", len(request)) + request)
        return connection, connection.recv(1000).hex()

    answers = {"names of none": ask(b"n"), "port of none": ask(b"zchat")}
    old, answers["registered with protocol 5"] = register(5)
    with old:
        answers["port of a node with protocol 5"] = ask(b"zchat")
    wait(lambda: epmd.names(LOOPBACK, port=port).names == ())
    new, answers["registered with protocol 6"] = register(6)
    with new:
        twice, answers["registered twice"] = register(6)
        twice.close()
        answers["names"] = ask(b"n")
        answers["port of a node with protocol 6"] = ask(b"zchat")
    wait(lambda: epmd.names(LOOPBACK, port=port).names == ())
    return answers


def record(epmd_port: int) -> list[list[str]]:
    """Hold the conversation through a proxy; return what each side sent, in order."""
    answer = struct.pack("!cBHBBHHH", b"w", 0, 0, 77, 0, 6, 5, len(golden.NAME))
    port, _ = epmd.node_port(LOOPBACK, golden.NAME, port=epmd_port)
    steps: list[list[str]] = []
    with (
        socket.create_server((LOOPBACK, 0)) as false_epmd,
        socket.create_server((LOOPBACK, 0)) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        answer = answer[:2] + struct.pack("!H", proxy.getsockname()[1]) + answer[4:]

        def relay() -> None:
            connection, _ = false_epmd.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer + golden.NAME.encode() + b"\0\0")
            ours, _ = proxy.accept()
            node = socket.create_connection((LOOPBACK, port))
            other = threading.Thread(target=pass_on, args=(node, ours, "node", steps))
            other.start()
            pass_on(ours, node, "us", steps)
            other.join()
            ours.close()
            node.close()

        thread = threading.Thread(target=relay)
        thread.start()
        golden.make_predictable(patch)
        said = golden.talk(LOOPBACK, false_epmd.getsockname()[1])
        thread.join()
    if said != golden.SAID:
        raise ValueError(said)
    return steps


def pass_on(source: socket.socket, target: socket.socket, who: str, steps: list[list[str]]) -> None:
    """Send on what comes, and note it."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if steps and steps[-1][0] == who:
                steps[-1][1] += data.hex()
            else:
                steps.append([who, data.hex()])
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def save(name: str, vectors: Any) -> None:
    """Write one file."""
    (HERE / f"{name}.json").write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
