"""Real nodes with real Mnesia on one machine: does one thing after the other, says what came of it.

Runs in a container of the member image: `python3 -I - ERL NODES STEPS`, the steps as JSON, each a
word and the numbers of nodes. Prints a line of JSON for each step: what each node is then.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time

COOKIE = "model"
FOLDER = "/tmp/model"  # noqa: S108 - in a container of its own
LIMIT = 30.0  # seconds for anything
SETTLING = 1.5  # seconds until nodes that met have loaded their tables
ASK = """
[N, C] = init:get_plain_arguments(),
{ok, T, _} = erl_scan:string(C), {ok, E} = erl_parse:parse_exprs(T),
io:format("answer ~w~n", [rpc:call(list_to_atom(N), erl_eval, exprs, [E, []], 20000)]), halt().
"""
STATE = """
S = fun(F) -> try F() catch _:_ -> [] end end,
{mnesia:system_info(is_running), S(fun() -> mnesia:table_info(schema, cookie) end),
S(fun() -> mnesia:system_info(db_nodes) end), S(fun() -> mnesia:table_info(t, where_to_read) end),
S(fun() -> mnesia_recover:get_mnesia_downs() end), S(fun() -> mnesia:dirty_all_keys(t) end)}.
"""
# What the sample server and MongooseIM do: mongooseim_store.erl, mongooseim_cluster.erl.
START = """
mnesia:start(), mnesia:change_table_copy_type(schema, node(), disc_copies),
case lists:member(t, mnesia:system_info(tables)) of
true -> case mnesia:add_table_copy(t, node(), disc_copies) of
{aborted, Reason} when element(1, Reason) =/= already_exists -> halt(1); _ -> ok end;
false -> mnesia:create_table(t, [{disc_copies, [node()]}]) end.
"""
JOIN_WITHOUT_TABLES = """
mnesia:stop(), file:del_dir_r(mnesia:system_info(directory)), mnesia:start(),
{ok, [_]} = mnesia:change_config(extra_db_nodes, [OTHER]),
mnesia:change_table_copy_type(schema, node(), disc_copies)
"""
JOIN = f"{JOIN_WITHOUT_TABLES}, mnesia:add_table_copy(t, node(), disc_copies)."
LEAVE = """
mnesia:stop(), rpc:multicall(OTHERS, mnesia, del_table_copy, [schema, node()]),
file:del_dir_r(mnesia:system_info(directory)).
"""
numbers = itertools.count()


class Node:
    """A node: its folder, and its VM while that runs."""

    def __init__(self, erl: str, number: int, host: str) -> None:
        """Begin without a VM and with an empty disk."""
        self.erl = erl
        self.short = f"n{number}"
        self.name = f"{self.short}@{host}"
        self.folder = f"{FOLDER}/{self.short}"
        self.vm: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start the VM, and Mnesia with its tables in it."""
        os.makedirs(self.folder, exist_ok=True)
        options = ["-mnesia", "dir", f'"{self.folder}"', "-kernel", "logger_level", "none"]
        command = [self.erl, "-noinput", "-sname", self.short, "-setcookie", COOKIE, *options]
        self.vm = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + LIMIT
        while "yes" not in self.ask("yes."):
            if time.monotonic() > end:
                sys.exit(f"{self.name} does not start")
        self.ask(START)

    def ask(self, expression: str) -> str:
        """Return what an Erlang expression gives on the node."""
        name = f"asking{next(numbers)}"
        options = ["-noinput", "-hidden", "-sname", name, "-setcookie", COOKIE]
        data = [self.name, " ".join(expression.split())]
        done = subprocess.run(
            [self.erl, *options, "-eval", " ".join(ASK.split("\n")), "-extra", *data],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return done.stdout

    def end(self, how: str) -> None:
        """Stop the VM, or kill it."""
        assert self.vm is not None
        if how == "stop":
            self.ask("init:stop().")
        else:
            self.vm.kill()
        self.vm.wait(LIMIT)
        self.vm = None

    def state(self) -> dict[str, object]:
        """Return what the node is; `where` is `nowhere` while its Mnesia waits for others."""
        if self.vm is None:
            return {"vm": "none"}
        if self.vm.poll() is not None:
            return {"vm": "died"}
        said = " ".join(self.ask(STATE).split())
        pattern = (
            r"answer \{value, ?\{(\w+),(\[\]|\{\{.*?\},.*?\}),\[(.*?)\],(.*?),\[(.*?)\],\[(.*?)\]\}"
        )
        found = re.search(pattern, said)
        if found is None or found[1] != "yes":
            return {"vm": "died"}
        lists = {
            key: sorted(re.findall(r"n(\d)@", found[group]))
            for key, group in (("members", 3), ("downs", 5))
        }
        return {
            "vm": "waiting" if found[4] == "nowhere" else "running",
            "identity": found[2],
            "data": sorted(re.findall(r"\d+", found[6])),
            **lists,
        }


def do(nodes: list[Node], word: str, me: int, other: int) -> None:
    """Do one thing."""
    node = nodes[me]
    if word == "start":
        node.boot()
    elif word in {"stop", "kill"}:
        node.end(word)
    elif word == "wipe":
        shutil.rmtree(node.folder, ignore_errors=True)
    elif word == "join":
        node.ask(JOIN.replace("OTHER", f"'{nodes[other].name}'"))
    elif word == "join cut":
        node.ask(f"{JOIN_WITHOUT_TABLES}.".replace("OTHER", f"'{nodes[other].name}'"))
    elif word == "remove":
        node.ask(f"mnesia:del_table_copy(schema, '{nodes[other].name}').")
    elif word == "write":
        node.ask(f"mnesia:sync_transaction(fun() -> mnesia:write({{t, {other}, x}}) end).")
    elif word == "leave":
        others = ",".join(f"'{each.name}'" for each in nodes if each is not node and each.vm)
        node.ask(LEAVE.replace("OTHERS", f"[{others}]"))
        node.ask(START)


def main() -> None:
    """Do all steps."""
    erl, count, steps = sys.argv[1:]
    shutil.rmtree(FOLDER, ignore_errors=True)
    nodes = [Node(erl, number, os.uname().nodename) for number in range(int(count))]
    try:
        for word, me, other in json.loads(steps):
            do(nodes, word, me, other)
            time.sleep(SETTLING)
            sys.stdout.write(json.dumps([node.state() for node in nodes]) + "\n")
            sys.stdout.flush()
    finally:
        for node in nodes:
            if node.vm is not None:
                node.vm.kill()


if __name__ == "__main__":
    main()
