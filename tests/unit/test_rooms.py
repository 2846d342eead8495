"""The rooms of the member and what each may import, as docs/architecture.md draws them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBER, BUILDER = "member_entrypoint", "builder_entrypoint"
ORDER = (
    (
        "",
        "lean_typing",
        "errors",
        "terms",
        "pauses",
        "environment",
        "log",
        "values",
        "settings",
        "programs",
        "printing",
    ),
    ("files.whole", "files.hold"),
    ("state", "counts", "places"),
    ("files.folders", "files.users", "files.mounts", "files.record", "files.termination_log"),
    ("release",),
    ("network",),
    ("erlang",),
    ("cluster",),
    ("pid1",),
    ("health",),
    ("status",),
    ("diagnosis",),
    ("starting", "tasks", "life", "__main__"),
)
"""From the bottom to the top: a module imports from its own line and from those before it."""
BUILDER_IMPORTS = {"", "files.whole"}
"""What the builder's own code takes from the member."""
IDLE = {
    *("", "environment", "errors", "lean_typing", "log", "settings", "values"),
    *("pid1", "pid1.command", "pid1.idle", "pid1.spawning", "pid1.supervisor"),
}
"""What PID 1 of the builder image consists of: the room of PID 1, and what everybody uses."""


def modules(package: str) -> dict[str, Path]:
    """Return the modules of a package by their dotted names, the package itself by its own."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {**modules(MEMBER), **modules(BUILDER)}


def imports(path: Path) -> set[str]:
    """Return the modules of the member that a module imports, at its top, late or for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole}
    return {name for name in found if name.split(".")[0] == MEMBER}


def inside(module: str) -> str:
    """Return a module's name without that of the member's package."""
    return module.removeprefix(MEMBER).removeprefix(".")


def level(module: str) -> int:
    """Return the line of `ORDER` in which a module stands, by its own name or that of its room."""
    name = inside(module)
    names = {name, name.partition(".")[0]}
    if name == "files":
        names = {"files.whole"}
    found = [number for number, line in enumerate(ORDER) if names & set(line)]
    assert len(found) == 1, f"{module} stands in {len(found)} lines of ORDER"
    return found[0]


@pytest.mark.parametrize("module", sorted(modules(MEMBER)))
def test_a_room_imports_only_rooms_before_it(module: str) -> None:
    """Also late, and also what is for types only."""
    upwards = {
        name for name in imports(MODULES[module]) if name != MEMBER and level(name) > level(module)
    }
    assert upwards == set()


def test_no_two_modules_import_each_other() -> None:
    """Nor in a longer circle."""
    waiting = {name: imports(path) - {name, MEMBER} for name, path in modules(MEMBER).items()}
    while waiting:
        free = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"these import each other: {sorted(waiting)}"
        waiting = {name: needs for name, needs in waiting.items() if name not in free}


@pytest.mark.parametrize("module", sorted(modules(BUILDER)))
def test_the_builder_takes_little_from_the_member(module: str) -> None:
    """Its version, and the one way to write a file whole."""
    assert {inside(name) for name in imports(MODULES[module])} <= BUILDER_IMPORTS


def test_the_builders_idle_mode_is_the_room_of_pid_1_and_no_other() -> None:
    """Counted over all that it imports, and what that imports."""
    reached: set[str] = set()
    waiting = {f"{MEMBER}.pid1.idle"}
    while waiting:
        reached |= waiting
        waiting = set().union(*(imports(MODULES[name]) for name in waiting)) - reached
    assert {inside(name) for name in reached} | {"", "pid1"} == IDLE


@pytest.mark.parametrize("module", sorted(MODULES))
def test_each_module_can_be_imported_alone(module: str) -> None:
    """Warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", f"import {module}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_one_module_reads_the_environment() -> None:
    """All else gets it as a value."""
    readers = {
        name
        for name, path in modules(MEMBER).items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}
    }
    assert readers == {f"{MEMBER}.environment"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_and_functions_are_short(module: str) -> None:
    """A module fits on a few screens (350 lines), a function on one (50 lines)."""
    text = MODULES[module].read_text()
    assert len(text.splitlines()) <= 350
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50
    ]
    assert long == []
