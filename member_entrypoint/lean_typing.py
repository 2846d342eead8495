"""What this package takes from `typing`, without the time that its import takes.

Type checkers see `typing` itself. At run time the words of our annotations mean nothing, as nobody
reads them, and `NamedTuple` makes classes as that of `typing` does, in a sixth of its time, as it
compiles no code for each. What differs: the texts of errors, the kinds of those of `_make` and
`_replace`, and that only mypy checks the names of fields and the order of those with a default.
"""

import sys

__all__ = ["TYPE_CHECKING", "Any", "NamedTuple", "NoReturn", "Protocol", "Self"]

TYPE_CHECKING = False

if TYPE_CHECKING or sys.version_info >= (3, 14):
    # From Python 3.14 on, annotations are not there yet while their class is made (PEP 649).
    from typing import Any, NamedTuple, NoReturn, Protocol, Self
else:
    from _collections import _tuplegetter

    Any = NoReturn = Protocol = Self = object
    _NONE = object()

    class _Maker(type):
        """Makes the fields of a class from its annotations."""

        def __new__(cls, name: str, bases: tuple, space: dict) -> type:
            if bases != (tuple,) and not hasattr(bases[0], "_fields"):
                fields = tuple(space.get("__annotations__", ()))
                space["_fields"] = space["__match_args__"] = fields
                space["_field_defaults"] = {each: space[each] for each in fields if each in space}
                space["_instead"] = tuple([space.get(each, _NONE) for each in fields])
                space["__slots__"] = ()
                for index, each in enumerate(fields):
                    space[each] = _tuplegetter(index, None)
            return type.__new__(cls, name, bases, space)

    class NamedTuple(tuple, metaclass=_Maker):
        """A tuple whose items have names: the annotations of the class, with its defaults."""

        __slots__ = ()

        def __new__(cls, *values: object, **named: object) -> Self:
            """Take the fields by their order or by name."""
            if named or len(values) != len(cls._fields):
                count = len(values)
                values += tuple(map(named.pop, cls._fields[count:], cls._instead[count:]))
                if named or len(values) != len(cls._fields) or _NONE in values:
                    # Without the values, which may be secret.
                    given = f"{count} values in order, {[*named]} by name too much"
                    raise TypeError(f"{cls.__name__} has {[*cls._fields]}; given are {given}")
            return tuple.__new__(cls, values)

        def __getnewargs__(self) -> tuple:
            """Return what a copy is made of."""
            return tuple(self)

        def __repr__(self) -> str:
            """Return the call that makes it."""
            shown = (f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({', '.join(shown)})"

        @classmethod
        def _make(cls, values: object) -> Self:
            """Return one with a value for each field; raise `ValueError` if there are others."""
            return cls(**dict(zip(cls._fields, values, strict=True)))

        def _asdict(self) -> dict:
            """Return the values by their names."""
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **named: object) -> Self:
            """Return the same with other values for some fields; raise `TypeError` for others."""
            values = tuple(map(named.pop, self._fields, self))
            if named:
                raise TypeError(f"{type(self).__name__} has no {[*named]}")
            return tuple.__new__(type(self), values)
