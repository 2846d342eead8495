"""Masks credentials, so that they never reach a terminal, a log or a file.

Everything that looks like credentials in a URL is masked. The credentials in REPO are also masked
outside of URLs, because programs print them in other forms.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

MASK = b"***"
SHORTEST_SECRET = 4  # bytes; a shorter secret is likely to be a part of ordinary words
LONGEST_PREFIX = len("?private_token=")  # bytes; the longest text before a secret in a URL
HELD_BACK = 4096  # bytes at the end of an endless line, where a secret may begin

# Credentials end at the last "@" before a slash, as for curl and git. A user name alone is a secret
# only in http, where it may be a token, but not in ssh://git@host.
_CREDENTIALS = re.compile(
    rb"(?i:(?<=https://)|(?<=http://))[^\s/?#'\"<>]+(?=@)"
    rb"|(?<=://)[^\s/?#'\"<>:@]*:[^\s/?#'\"<>]+(?=@)"
    rb"|(?i:(?<=[?&]token=)|(?<=[?&]access_token=)|(?<=[?&]private_token=))[^\s&#'\"<>]+"
)
_WHITESPACE = re.compile(rb"\s")
_USER_INFORMATION = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]+)@", re.DOTALL)
# Scheme, user information, and the rest up to the path.
_SERVER = re.compile(rb"^([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]+@)([^/?#@]+/)", re.DOTALL)


class Mask:
    """Masks the secrets of one build."""

    def __init__(self, repository: str = "") -> None:
        """Take the repository, whose credentials are masked if it is a URL with credentials."""
        secrets = [re.escape(secret) for secret in _secrets(_encode(repository))]
        alternatives = [*secrets, _CREDENTIALS.pattern]
        self._pattern = re.compile(b"|".join(alternatives))

    def data(self, data: bytes) -> bytes:
        """Return `data` with every credential in it replaced by asterisks."""
        return self._pattern.sub(MASK, data)

    def text(self, text: str) -> str:
        """Return `text` with every credential in it replaced by asterisks."""
        return self.data(_encode(text)).decode(errors="surrogateescape")

    def safe_cut(self, data: bytes) -> int:
        """Return the offset, in bytes, where an endless line can be cut outside of credentials.

        The line has more than `HELD_BACK` bytes.
        """
        cut = len(data) - HELD_BACK
        for match in self._pattern.finditer(data):
            # `<=`, because the "@" right after the credentials must not be cut off either.
            if match.start() - LONGEST_PREFIX < cut <= match.end():
                return max(0, match.start() - LONGEST_PREFIX)
        return cut


class MaskedStream:
    """Masks output that arrives in pieces, also credentials that are in two pieces."""

    def __init__(self, mask: Mask) -> None:
        """Begin with no data."""
        self._mask = mask
        self._pending = b""

    @property
    def pending(self) -> bool:
        """Whether data is held back."""
        return bool(self._pending)

    def feed(self, data: bytes) -> bytes:
        """Add a piece; return the complete lines, masked."""
        self._pending += data
        cut = self._pending.rfind(b"\n") + 1
        if len(self._pending) - cut > 2 * HELD_BACK:
            cut += self._mask.safe_cut(self._pending[cut:])
        return self._take(cut)

    def idle(self) -> bytes:
        """Return the complete words of an unfinished line, masked, after a pause of the output."""
        ends = [match.end() for match in _WHITESPACE.finditer(self._pending)]
        return self._take(ends[-1] if ends else 0)

    def end(self) -> bytes:
        """Return all data that was held back, masked, after the end of the output."""
        return self._take(len(self._pending))

    def _take(self, cut: int) -> bytes:
        taken, self._pending = self._pending[:cut], self._pending[cut:]
        return self._mask.data(taken)


def without_credentials(repository: str) -> str:
    """Return the URL without user name and password; a path is returned unchanged."""
    data = _encode(repository)
    match = _USER_INFORMATION.match(data)
    if match:
        data = data[: match.start(1)] + data[match.end(1) + 1 :]
    return data.decode(errors="surrogateescape")


def with_credentials(address: str, repository: str) -> str:
    """Return `address` with the credentials of `repository`, if it is on the same server."""
    match = _SERVER.match(_encode(repository))
    if match is None:
        return address
    data = _encode(address)
    server = match[1] + match[3]
    return (match[0] + data.removeprefix(server) if data.startswith(server) else data).decode(
        errors="surrogateescape"
    )


def _secrets(repository: bytes) -> Iterator[bytes]:
    """Yield the credentials in the URL: with and without the user name, as written and decoded.

    The first form that matches is masked, so no form may begin with one that comes before it. All
    but one come after longer ones: the password as written may be longer than the decoded
    `USER:PASSWORD`. But it cannot begin with that: after `USER:` it would have to begin with its
    own decoded rest, which begins with a user name and a colon again, and so on without end.
    """
    match = _USER_INFORMATION.match(repository)
    if not match:
        return
    user, colon, password = match[1].partition(b":")
    scheme = repository.partition(b":")[0].lower()
    if colon:
        yield match[1]
        yield unquote_to_bytes(match[1])
    secret = password if colon else user
    if colon or scheme in {b"http", b"https"}:
        for form in (secret, unquote_to_bytes(secret)):
            if len(form) >= SHORTEST_SECRET:
                yield form


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
