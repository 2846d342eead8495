"""Change the code that decides, one place at a time, and see whether the tests notice.

make mutants                                        all modules of tests/mutants.toml
make mutants MODULES=member_entrypoint/values.py    only these, separated by commas

mutmut changes the functions of a copy of the checkout in .cache/mutants, and runs the tests that
reach each changed function. It leaves decorated functions as they are, so in that copy `@property`
above a function becomes `name = property(name)` below it, which means the same.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from console import ROOT, ToolError, ended, run, say, shown, step

TABLE = ROOT / "tests" / "mutants.toml"
"""Which tests belong to which modules, and the mutants that mean the same as the original."""
WORK = ROOT / ".cache" / "mutants"
PROGRAM = str(Path(sys.executable).with_name("mutmut"))
WORKERS = os.environ.get("WORKERS") or "2"
LONGEST = 3600
"""Seconds that the mutants of one group of modules may take."""
ALIVE = {None: "not run", 0: "survived", 5: "no test reaches it", 33: "no test reaches it"}
"""What mutmut notes for mutants that no test killed: statuses of pytest, and one of its own."""
BY_TIME = {-24, 24, 36, 152, 255}
"""What it notes for mutants whose tests took too long, which they do on a busy machine, too."""
CONFIGURATION = """
[tool.mutmut]
source_paths = ["builder_entrypoint", "member_entrypoint"]
only_mutate = {modules}
also_copy = {others}
pytest_add_cli_args = ["-p", "no:cacheprovider", "--hypothesis-seed=0", "-k", {without}]
pytest_add_cli_args_test_selection = {tests}
timeout_constant = 2.0
timeout_multiplier = 5.0
process_isolation = "forkserver"
"""
GENERATED = "__mutmut_"
"""What mutmut puts after the name of a function, before the number of the mutant or `orig`."""
LITERAL = re.compile(r""""[^"]*"|'[^']*'""")


class Mutant(NamedTuple):
    """One change of one function: where it is, what it is, and why it is alive (empty: killed)."""

    module: str
    function: str
    removed: str
    added: str
    alive: str

    @property
    def is_text(self) -> bool:
        """Whether only words for people differ, in a literal with a blank: no test quotes them."""
        for literal in LITERAL.finditer(self.removed):
            begin, end = literal.start() + 1, len(self.removed) - literal.end() + 1
            words = literal[0][1:-1].lower()
            if (
                re.search(r"\S \S", words)
                and self.added.startswith(self.removed[:begin])
                and self.added.endswith(self.removed[-end:])
                and self.added[begin:-end].lower() in {words, f"xx{words}xx"}
            ):
                return True
        return False

    def __str__(self) -> str:
        """Show it as a difference."""
        lines = [f"- {line}" for line in self.removed.splitlines()]
        lines += [f"+ {line}" for line in self.added.splitlines()]
        return "\n".join([f"{self.module} {self.function}: {self.alive}", *lines])


def copy(folder: Path, modules: list[str]) -> None:
    """Make `folder` anew, with what git knows of the checkout; `modules` get no decorators."""
    shutil.rmtree(folder, ignore_errors=True)
    listed = run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], what="git")
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for module in modules:
        path = folder / module
        path.write_text(undecorated(path.read_text()))


def undecorated(source: str) -> str:
    """Return `source` with each decorator of a function applied below the function.

    Those that mutmut understands stay, and what else cannot be moved.
    """
    lines = source.splitlines()
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        names = [ast.unparse(decorator) for decorator in node.decorator_list]
        if len(names) != 1 or names[0] in {"staticmethod", "classmethod", "overload"}:
            continue
        first, end = node.decorator_list[0].lineno - 1, node.end_lineno or node.lineno
        below = f"{' ' * node.col_offset}{node.name} = ({names[0]})({node.name})"
        lines[first:end] = [*lines[node.lineno - 1 : end], below]
    return "\n".join(lines) + "\n"


def mutate(folder: Path, modules: list[str], group: dict[str, Any]) -> None:
    """Let mutmut run in `folder`. Raises ToolError if it cannot, or if the tests fail anyway."""
    copy(folder, modules)
    elsewhere = {"builder_entrypoint", "member_entrypoint", "pyproject.toml", "tests"}
    others = sorted({path.name for path in folder.iterdir()} - elsewhere)
    with (folder / "pyproject.toml").open("a") as file:
        file.write(
            CONFIGURATION.format(
                modules=json.dumps(modules),
                others=json.dumps(others),
                tests=json.dumps(group["tests"]),
                without=json.dumps(f"not ({group.get('without', 'nothing_is_left_out')})"),
            )
        )
    log = folder.with_name(f"{folder.name}.log")
    _run_mutmut(folder, log)
    if slow := ended_by_time(folder, modules):
        _run_mutmut(folder, log.with_suffix(".again.log"), *slow)


def _run_mutmut(folder: Path, log: Path, *names: str) -> None:
    """Test the mutants of these names, all if there are none."""
    with log.open("w") as file:
        done = subprocess.run(
            ["nice", PROGRAM, "run", "--max-children", WORKERS, *names],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=LONGEST,
            check=False,
        )
    if done.returncode != 0 or "mutations/second" not in log.read_text():
        raise ToolError(
            f"mutmut ended with status {done.returncode}, most likely because a test fails in the "
            f"copy of the checkout; its output is in {shown(log)}"
        )


def _statuses(folder: Path, module: str) -> dict[str, int | None]:
    """Return what mutmut has noted in `folder` for each mutant of a module."""
    noted = folder / "mutants" / f"{module}.meta"
    return json.loads(noted.read_text())["exit_code_by_key"] if noted.exists() else {}


def ended_by_time(folder: Path, modules: list[str]) -> list[str]:
    """Return the names of the mutants that were killed because their tests took too long."""
    return [
        name
        for module in modules
        for name, status in _statuses(folder, module).items()
        if status in BY_TIME
    ]


def mutants(folder: Path, module: str) -> list[Mutant]:
    """Return all mutants of a module after mutmut has run in `folder`."""
    text = (folder / "mutants" / module).read_text()
    lines = text.splitlines()
    functions = {
        node.name: lines[node.lineno - 1 : node.end_lineno]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    found = []
    for key, status in _statuses(folder, module).items():
        name = key.rpartition(".")[2]
        mangled = name.rpartition(GENERATED)[0]
        before, after = functions[f"{mangled}{GENERATED}orig"], functions[name]
        function = mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        # The first lines differ in the names only, but where a default value is the mutant.
        short = function.rpartition(".")[2]
        before = [before[0].replace(f"{mangled}{GENERATED}orig(", f"{short}("), *before[1:]]
        after = [after[0].replace(f"{name}(", f"{short}("), *after[1:]]
        removed, added = (
            "\n".join(line[2:].strip() for line in difflib.ndiff(before, after) if line[0] == sign)
            for sign in "-+"
        )
        found.append(Mutant(module, function, removed, added, ALIVE.get(status, "")))
    return found


def measure(
    group: dict[str, Any], modules: list[str], equivalent: list[dict[str, Any]]
) -> list[str]:
    """Return the rows of some modules of a group, and print what survived.

    `equivalent` are the entries of the table, which get a mark `seen` if there is such a mutant.
    """
    folder = WORK / Path(modules[0]).with_suffix("").as_posix().replace("/", ".")
    rows = []
    with step(", ".join(modules)):
        mutate(folder, modules, group)
        for module in modules:
            counted = [one for one in mutants(folder, module) if not one.is_text]
            same = [one for one in counted if one.alive and _is_known(one, equivalent)]
            alive = [one for one in counted if one.alive and one not in same]
            for one in alive:
                say(f"\n{one}")
            total = len(counted) - len(same)
            share = f"{100 * (total - len(alive)) / total:.1f} %" if total else "-"
            rows.append(f"| `{module}` | {total} | {total - len(alive)} | {share} | {len(same)} |")
    return rows


def _is_known(mutant: Mutant, equivalent: list[dict[str, Any]]) -> bool:
    """Tell whether a mutant is in the table. An entry without `added` means the whole function."""
    for entry in equivalent:
        if (entry["module"], entry["function"]) == (
            mutant.module,
            mutant.function,
        ) and mutant.added in entry.get("added", [mutant.added]):
            entry.setdefault("seen", set()).update({mutant.added, ""})
            return True
    return False


def _main() -> None:
    table = tomllib.loads(TABLE.read_text())
    wanted = [name for name in os.environ.get("MODULES", "").split(",") if name]
    every = [module for group in table["group"] for module in group["modules"]]
    if unknown := sorted(set(wanted) - set(every)):
        raise ToolError(f"{', '.join(unknown)}: no module of {shown(TABLE)}; it has their tests")
    rows = []
    for group in table["group"]:
        if modules := [name for name in group["modules"] if not wanted or name in wanted]:
            rows += measure(group, modules, table["equivalent"])
    say("\n| module | mutants | killed | share | equivalent |\n| --- | --- | --- | --- | --- |")
    say("\n".join(rows))
    stale = [
        f"{entry['module']} {entry['function']} {added}"
        for entry in table["equivalent"]
        if not wanted or entry["module"] in wanted
        for added in entry.get("added", [""])
        if added not in entry.get("seen", ())
    ]
    if stale:
        lines = "\n".join(stale)
        raise ToolError(f"{shown(TABLE)} has entries that no survivor needs: remove them\n{lines}")


if __name__ == "__main__":
    sys.exit(ended(_main))
