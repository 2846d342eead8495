"""Values with their types."""

from typing import Any

from member_entrypoint.erlang.etf import Identifier


def typed(value: Any) -> Any:
    """Return a value with its types, which `==` does not tell apart."""
    if isinstance(value, list | tuple) and not isinstance(value, Identifier):
        return type(value), [typed(item) for item in value]
    return type(value), repr(value)
