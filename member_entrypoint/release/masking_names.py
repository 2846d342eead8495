"""Which names stand before secrets, and which of their values tell nothing.

Names are judged by their words, however these are written: `dbPassword`, `DB_PASSWORD`,
`db.password`. What is in doubt is a secret.
"""

import re
from functools import lru_cache

# Anywhere in a name, once case and separators are gone.
_PARTS = re.compile(
    "passw|passphrase|passcode|kennwort|secret|token|cookie|credential|authorization|bearer"
    "|(?:api|access|private)key|basicauth|proxyauth|userpass|cqerlauth|authplain|s2sshared"
)
# One of these is in every sensitive name, as it is or with separators between its letters.
PARTS = (
    *("auth", "bearer", "cookie", "cred", "hmac", "jwk", "kennwort", "key", "pass", "pin"),
    *("psk", "psw", "pw", "salt", "secret", "shared", "sig", "token"),
)
# Words that also stand in other texts: they count where the syntax says that a value follows.
_WORD_ENDS = re.compile("(?:key|keys|pass|pwd|psk|creds|salt|hmac|signature)$")
_SHORT_WORDS = {"pw", "pin", "cred", "sig", "jwk", "psw"}
_OTHER_WORDS = {"bypass", "compass", "hotkey", "hotkeys", "jockey", "monkey", "monkeys", "turkey"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NO_LETTERS = re.compile(r"[\W_]+")
_HARMLESS = re.compile(
    r"(?:public|username|primary|foreign)[-_.]?keys?|mod_auth_token|pass[-_]?through", re.IGNORECASE
)
_FILE_NAME = re.compile(r"\.(?:cer|crt|csr|der|pem)$", re.IGNORECASE)
_CACHED_LENGTH = 64  # characters; longer names are rare, and would fill the memory

# The last words of names whose values are shown if they look like what the words promise.
_FILES = re.compile("(?:file|filename|path|dir|directory|folder)s?$")
_CHOICES = re.compile("(?:alg|algorithm|backend|format|hash|mechanisms?|methods?|type|unit)$")
_NUMBERS = re.compile(
    "(?:age|cost|count|days|expires|expiry|hours|interval|iterations|length|lifetime|limit|max|min"
    "|minutes|ms|period|rounds|seconds|size|strength|timeout|ttl|validity)$"
)
_LONGEST_HARMLESS = 300  # characters
_PATH = re.compile(r"""["'<]*[\w./~:@${}+-]*["'>]*""")
_CHOICE_VALUES = re.compile(
    r"""[\s"'\[\]{}(),<>]*(?:(?:plain|scram(?:-sha-?\d*)?|sha(?:3?[-_]?(?:1|224|256|384|512))?|md5
    |[hre]s(?:256|384|512)|bcrypt|argon2(?:id?)?|pbkdf2|ram|file|internal|rdbms|mnesia|external
    |seconds|minutes|hours|days)\b[\s"'\[\]{}(),<>]*)+""",
    re.IGNORECASE | re.VERBOSE,
)
_NUMBER_VALUES = re.compile(r"""["'\s]*(?:[0-9_.]{1,12}|infinity)["'\s]*""")
_BOOLEANS = re.compile(r"(?:true|false|undefined)[\s\])}.,]*")


def is_clearly_sensitive(name: str) -> bool:
    """Tell whether a name says that its value is a secret, wherever it stands: `db_password`."""
    return _judge(name)[0]


def is_sensitive(name: str) -> bool:
    """Tell whether a name with a value says that the value is a secret: `key`, or clearer ones."""
    return _judge(name)[1]


def _judge(name: str) -> tuple[bool, bool]:
    return _cached(name) if len(name) <= _CACHED_LENGTH else _uncached(name)


def _uncached(name: str) -> tuple[bool, bool]:
    """Return whether a name is sensitive in any text, and whether it is before a value."""
    name = _HARMLESS.sub(" ", name)
    if _PARTS.search(_NO_LETTERS.sub("", name).lower()):
        return True, True
    before_values = not _FILE_NAME.search(name) and any(
        map(_is_sensitive_word, _WORD.findall(name))
    )
    return False, before_values


_cached = lru_cache(maxsize=2000)(_uncached)


def _is_sensitive_word(word: str) -> bool:
    word = word.lower()
    return word in _SHORT_WORDS or (
        _WORD_ENDS.search(word) is not None and word not in _OTHER_WORDS
    )


def is_harmless(name: str, value: str) -> bool:
    """Tell whether the value of a sensitive name can be shown, as it is written in the file.

    Shown are `true` and `false`, and what tells how a secret is stored, for how long it counts, or
    in which file it is: `password.format = "scram"`, `token_ttl = 60`, `secret_file = "/x"`.
    """
    if len(value) > _LONGEST_HARMLESS:
        return False
    value = value.strip()
    if _BOOLEANS.fullmatch(value):
        return True
    value = value.rstrip(",}]). \t")
    words = _WORD.findall(name[-_CACHED_LENGTH:])
    last = words[-1].lower() if words else ""
    return (
        (_FILES.search(last) is not None and _PATH.fullmatch(value) is not None)
        or (_CHOICES.match(last) is not None and _CHOICE_VALUES.fullmatch(value) is not None)
        or (_NUMBERS.match(last) is not None and _NUMBER_VALUES.fullmatch(value) is not None)
    )
