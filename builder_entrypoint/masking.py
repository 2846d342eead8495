"""Credentials in URLs never reach a terminal, a log or a file: here they are taken out.

Two ways, because output is not ours: whatever looks like credentials in a URL is masked, and the
credentials that we were given are masked wherever and however they turn up.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

MASK = b"***"
SHORTEST_SECRET = 4  # characters; a shorter password alone would mask ordinary words
LONGEST_LEAD = len("?private_token=")  # what tells that a secret follows
HELD_BACK = 4096  # bytes at the end of an endless line that may be the beginning of a secret

# Up to the last "@" before a slash, as curl and git read it. A user name alone is a secret only in
# http, where it may be a token: in ssh://git@host it is not.
_CREDENTIALS = re.compile(
    rb"(?i:(?<=https://)|(?<=http://))[^\s/?#'\"<>]+(?=@)"
    rb"|(?<=://)[^\s/?#'\"<>:@]*:[^\s/?#'\"<>]+(?=@)"
    rb"|(?i:(?<=[?&]token=)|(?<=[?&]access_token=)|(?<=[?&]private_token=))[^\s&#'\"<>]+"
)
_WHITESPACE = re.compile(rb"\s")
_USER_INFORMATION = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]+)@", re.DOTALL)


class Mask:
    """Knows the secrets of one build and takes them out of what it is given."""

    def __init__(self, repository: str = "") -> None:
        """Learn the credentials in the URL `repository`, if there are any."""
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
        """Return where an endless line can be cut so that no credential is cut in two."""
        cut = max(0, len(data) - HELD_BACK)
        for match in self._pattern.finditer(data):
            # The end counts too: only the "@" after it tells that it is one.
            if match.start() - LONGEST_LEAD < cut <= match.end():
                return max(0, match.start() - LONGEST_LEAD)
        return cut


class MaskedStream:
    """Masks output that arrives in pieces: a credential may begin in one and end in the next."""

    def __init__(self, mask: Mask) -> None:
        """Begin with nothing held back."""
        self._mask = mask
        self._pending = b""

    @property
    def pending(self) -> bool:
        """Whether something is held back."""
        return bool(self._pending)

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return, masked, the lines that are complete now."""
        self._pending += data
        cut = self._pending.rfind(b"\n") + 1
        if len(self._pending) - cut > 2 * HELD_BACK:
            cut += self._mask.safe_cut(self._pending[cut:])
        return self._take(cut)

    def idle(self) -> bytes:
        """Return the words of an unfinished line that are complete: nothing came for a while."""
        ends = [match.end() for match in _WHITESPACE.finditer(self._pending)]
        return self._take(ends[-1] if ends else 0)

    def end(self) -> bytes:
        """Return all that was held back: nothing more comes."""
        return self._take(len(self._pending))

    def _take(self, cut: int) -> bytes:
        taken, self._pending = self._pending[:cut], self._pending[cut:]
        return self._mask.data(taken)


def without_credentials(repository: str) -> str:
    """Return the URL without user name and password, for names and keys; a path stays as it is."""
    data = _encode(repository)
    match = _USER_INFORMATION.match(data)
    if match:
        data = data[: match.start(1)] + data[match.end(1) + 1 :]
    return data.decode(errors="surrogateescape")


def _secrets(repository: bytes) -> Iterator[bytes]:
    """Return the credentials in the URL, as written and decoded, alone and with the user's name.

    None begins with one that is returned before it, so the first that matches masks the most. For
    the decoded pair `U:P` before a password `p`, of which `P` is the decoded form: if `p` began
    with `U:P`, `p` would be `U:r` where `r` begins with the decoded `r`, and so on without end.
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
