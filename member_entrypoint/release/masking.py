"""Showing configuration files without the secrets in them."""

import os
import re

MASK = "***"
_SENSITIVE = (
    r"[\w.-]*(?:password|passwd|passphrase|secret|token|cookie|credential"
    r"|(?:api|access|private)_?key)[\w.-]*"
)
_STRING = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_RULES = (
    # vm.args
    (re.compile(r"(-setcookie\s+)\S+"), rf"\1{MASK}"),
    # assignments of TOML files, on lines of their own or inline
    (re.compile(rf"""(?im)^(\s*["']?{_SENSITIVE}["']?\s*=\s*).+$"""), rf'\1"{MASK}"'),
    (re.compile(rf"""(?i)([{{,]\s*["']?{_SENSITIVE}["']?\s*=\s*){_STRING}"""), rf'\1"{MASK}"'),
    # options of Erlang files, in tuples or maps
    (
        re.compile(rf"""(?i)({{\s*'?{_SENSITIVE}'?\s*,\s*(?:<<)?){_STRING}"""),
        rf'\1"{MASK}"',
    ),
    (re.compile(rf"(?i)({_SENSITIVE}'?\s*=>\s*(?:<<)?){_STRING}"), rf'\1"{MASK}"'),
    # the database of mongooseim.cfg, whose last element is the password
    (
        re.compile(
            rf"({{\s*(?:pgsql|mysql)\s*,\s*{_STRING}\s*,(?:\s*\d+\s*,)?\s*{_STRING}\s*,"
            rf"\s*{_STRING}\s*,\s*){_STRING}"
        ),
        rf'\1"{MASK}"',
    ),
    # anywhere: scheme://user:password@host, and connection strings of ODBC
    (re.compile(r"(\w+://[^\s/:@\"']*:)[^\s/@\"']+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(PWD=)[^;\"'\s]+"), rf"\1{MASK}"),
)


def mask(text: str) -> str:
    """Return `text` with the values of all that looks like a secret replaced by `***`."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def show_files(folder: str) -> str:
    """Return all files of a folder for the log, each under its path, without secrets."""
    shown = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8", errors="replace") as file:
            shown.append(f"==> {path} <==\n{mask(file.read()).rstrip()}\n")
    return "".join(shown)
