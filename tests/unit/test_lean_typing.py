"""Classes of tuples without `typing` are those of `typing`: each case is tried with both."""

import copy
import pickle
import re
import subprocess
import sys
import typing
from collections.abc import Callable
from typing import Any

import pytest

from member_entrypoint import lean_typing

LARGE = 10


def ours() -> Any:
    """Return a class of ours."""

    class Row(lean_typing.NamedTuple):
        """A row."""

        name: str
        size: int = 0
        parts: tuple[str, ...] = ()

        @property
        def large(self) -> bool:
            return self.size > LARGE

        def longer(self, by: int) -> "Row":
            return self._replace(size=self.size + by)

        @classmethod
        def empty(cls) -> "Row":
            return cls("", 0)

    return Row


def theirs() -> Any:
    """Return the same class of `typing`."""

    class Row(typing.NamedTuple):
        """A row."""

        name: str
        size: int = 0
        parts: tuple[str, ...] = ()

        @property
        def large(self) -> bool:
            return self.size > LARGE

        def longer(self, by: int) -> "Row":
            return self._replace(size=self.size + by)

        @classmethod
        def empty(cls) -> "Row":
            return cls("", 0)

    return Row


class Kept(lean_typing.NamedTuple):
    """Found again by pickle, as it is that of a module."""

    name: str
    size: int = 0


def matched(row: Any) -> object:
    """Return what a pattern takes out of it."""
    match row:
        case (name, size, _) if size > 1:
            return name, size
        case _:
            return None


def by_order(row: Any) -> object:
    """Return what a pattern of the class takes out of it, by order and by name."""
    kind: Any = type(row)
    match row:
        case kind(name, parts=parts):
            return name, parts
    return None


def inherited(row: Any) -> Any:
    """Return one of a class that is made from the class of the row."""
    base: Any = type(row)
    return type("Longer", (base,), {"twice": lambda self: self.size * 2})(*row)


CASES: dict[str, Callable[[Any], object]] = {
    "by order": lambda row: tuple(row("a", 1, ("b",))),
    "by name": lambda row: tuple(row(parts=("b",), size=1, name="a")),
    "both": lambda row: tuple(row("a", parts=("b",))),
    "defaults": lambda row: tuple(row("a")),
    "fields": lambda row: (row._fields, row._field_defaults, row.__match_args__),
    "attributes": lambda row: (row("a", 2).name, row("a", 2).size, row("a").parts),
    "repr": lambda row: repr(row("a", 1)),
    "equal to a tuple": lambda row: (row("a") == ("a", 0, ()), row("a") == row("a", 1)),
    "order": lambda row: (
        sorted([row("b"), row("a", 1), row("a")]) == [("a", 0, ()), *[row("a", 1)], row("b")]
    ),
    "hash": lambda row: hash(row("a")) == hash(("a", 0, ())),
    "items": lambda row: (row("a")[0], row("a", 5)[1:], len(row("a")), *row("a", 3)),
    "_asdict": lambda row: row("a", 1)._asdict(),
    "_replace": lambda row: (row("a", 1)._replace(name="b", parts=("c",)), row("a")._replace()),
    "_make": lambda row: repr(row._make(iter(["a", 1, ("b",)]))),
    "property": lambda row: (row("a", 11).large, row("a").large),
    "method": lambda row: repr(row("a", 1).longer(2)),
    "class method": lambda row: repr(row.empty()),
    "docstring": lambda row: row.__doc__,
    "name": lambda row: (row.__name__, row.__module__, row.__annotations__.keys()),
    "bases": lambda row: (issubclass(row, tuple), isinstance(row("a"), row)),
    "no dictionary": lambda row: hasattr(row("a"), "__dict__"),
    "size": lambda row: sys.getsizeof(row("a")),
    "pattern of a sequence": lambda row: (matched(row("a", 2)), matched(row("a"))),
    "pattern of the class": lambda row: by_order(row("a", 2, ("b",))),
    "copy": lambda row: (repr(copy.copy(row("a", 1))), repr(copy.deepcopy(row("a", 1)))),
    "a class made from it": lambda row: (
        repr(inherited(row("a", 2))),
        inherited(row("a", 2)).twice(),
        inherited(row("a", 2))._replace(size=3).twice(),
        inherited(row("a"))._fields,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_does_what_that_of_typing_does(case: Callable[[Any], object]) -> None:
    """What is made, and what is read from it."""
    assert case(ours()) == case(theirs())


def assigned(row: Any, name: str) -> None:
    """Set an attribute of a row."""
    setattr(row("a"), name, 1)


WRONG: dict[str, Callable[[Any], object]] = {
    "nothing": lambda row: row(),
    "too many": lambda row: row("a", 1, (), 2),
    "too many with the rest by name": lambda row: row("a", 1, (), 2, size=1),
    "all and one by name": lambda row: row("a", 1, (), size=2),
    "a missing one": lambda row: row(size=1),
    "an unknown one": lambda row: row("a", colour="red"),
    "an unknown one instead": lambda row: row(colour="red", size=1, parts=()),
    "one twice": lambda row: row("a", name="b"),
    "set a field": lambda row: assigned(row, "size"),
    "set anything": lambda row: assigned(row, "colour"),
    "add": lambda row: row("a") + 1,
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_it_refuses_what_that_of_typing_refuses(case: Callable[[Any], object]) -> None:
    """With an error of the same kind."""
    with pytest.raises((TypeError, AttributeError)) as refused:
        case(theirs())
    with pytest.raises(refused.type):
        case(ours())


def test_what_is_wrong_is_said_without_the_values() -> None:
    """A traceback may be read by more people than a cookie."""
    with pytest.raises(TypeError) as error:
        ours()("secret", colour="red")
    assert "Row" in str(error.value)
    assert "colour" in str(error.value)
    assert not {"secret", "red"} & set(re.findall(r"\w+", str(error.value)))


def test_nothing_unknown_is_replaced() -> None:
    """Python 3.13 has changed the kind of the error; ours is that of newer ones."""
    with pytest.raises((TypeError, ValueError)):
        theirs()("a")._replace(colour="red")
    with pytest.raises(TypeError, match="colour"):
        ours()("a")._replace(colour="red")


def test_a_wrong_number_of_values_makes_none() -> None:
    """Also where the rest has defaults."""
    for values in (["a"], ["a", 1, (), 2]):
        with pytest.raises((TypeError, ValueError)):
            ours()._make(values)
        with pytest.raises(TypeError):
            theirs()._make(values)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_found_again_by_pickle(protocol: int) -> None:
    """What comes back is of the class."""
    found = pickle.loads(pickle.dumps(Kept("a", 1), protocol))  # noqa: S301 - our own
    assert (found, type(found)) == (("a", 1), Kept)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there it takes them from typing itself")
def test_typing_is_not_imported() -> None:
    """That is what the module is for."""
    script = "import sys, member_entrypoint.lean_typing; print({'typing'} & sys.modules.keys())"
    command = [sys.executable, "-IS", "-c", f"import sys; sys.path.append('.'); {script}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
