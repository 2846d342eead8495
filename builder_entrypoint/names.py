"""Names that are safe in a file name, and never the same for two different things.

The rule, for PROJECT and COMMIT: each run of characters other than letters and digits of ASCII and
`.` `_` `+` `-` becomes one `-`; dots and hyphens at the beginning go; all after the 80th goes.
If that changed anything, or if the name ends like a changed one, `-` and the first 10 hexadecimal
digits of the name's SHA-256 follow: `feature/x` becomes `feature-x-217d2bf51f`, while `feature-x`
stays as it is.
"""

import hashlib
import re

LONGEST = 80  # characters
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LIKE_CHANGED = re.compile(r"-[0-9a-f]{10}$")


def safe_name(name: str) -> str:
    """Return `name` as it stands in file names, by the rule above."""
    safe = _UNSAFE.sub("-", name).lstrip(".-")[:LONGEST]
    if safe == name and not _LIKE_CHANGED.search(name):
        return safe
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:10]
    return f"{safe.rstrip('-') or 'name'}-{digest}"


def printable(name: str) -> str:
    """Return a file name as it can be printed on one line, whatever characters it has."""
    return name.encode("unicode_escape").decode() if not name.isprintable() else name
