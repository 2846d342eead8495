"""Fixtures that run our programs as PID 1 and as plain processes, with a fake release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from processes import BUILDER, MEMBER, Machine, Mode, Program, lean_python
from releases import FakeRelease

from member_entrypoint.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide an interpreter that finds our packages and theirs without an import hook."""
    return lean_python(tmp_path_factory.mktemp("python"))


@pytest.fixture
def machine(python: Path, tmp_path: Path) -> Iterator[Machine]:
    """Provide what starts our programs; all that was started is ended afterwards."""
    made = Machine(python, tmp_path)
    try:
        yield made
    finally:
        made.clean()


MODES = [
    pytest.param(Program(MEMBER, Mode.PID_1), id="pid1"),
    pytest.param(Program(MEMBER, Mode.SUBREAPER), id="subreaper"),
]
BUILDER_TOO = [*MODES, pytest.param(Program(BUILDER, Mode.PID_1), id="builder-pid1")]


@pytest.fixture(params=MODES)
def member(request: pytest.FixtureRequest) -> Program:
    """Multiply a test of the member's program over the modes."""
    program: Program = request.param
    return program


@pytest.fixture(params=BUILDER_TOO)
def init(request: pytest.FixtureRequest) -> Program:
    """Multiply a test of a command over the modes, and the two programs that run commands."""
    program: Program = request.param
    return program


@pytest.fixture
def release(tmp_path: Path, python: Path) -> FakeRelease:
    """Provide the root folder of an image with a release whose VM does as it is told."""
    return FakeRelease(tmp_path / "root", python)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Provide places with an empty hosts file."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("")
    return Places(str(tmp_path))
