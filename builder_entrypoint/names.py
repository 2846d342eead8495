"""Turns names into safe parts of file names, different names into different ones.

The rule for PROJECT and COMMIT: each run of characters other than ASCII letters, ASCII digits and
`.` `_` `+` `-` becomes one `-`; dots and hyphens at the beginning are removed, and so is everything
after 80 characters. If that changes the name, or if the name already ends like a changed one, `-`
and the first 10 hexadecimal digits of its SHA-256 are added: `feature/x` becomes
`feature-x-217d2bf51f`, but `feature-x` stays the same.
"""

import hashlib
import re

LONGEST = 80  # characters
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LIKE_CHANGED = re.compile(r"-[0-9a-f]{10}$")


def safe_name(name: str) -> str:
    """Return `name` in the form that file names contain, by the rule above."""
    safe = _UNSAFE.sub("-", name).lstrip(".-")[:LONGEST]
    if safe == name and not _LIKE_CHANGED.search(name):
        return safe
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:10]
    return f"{safe.rstrip('-') or 'name'}-{digest}"


def printable(name: str) -> str:
    """Return `name` with its control characters as escapes, so that it fits on one line."""
    return name.encode("unicode_escape").decode() if not name.isprintable() else name
