"""vm.args with the container's node name and cookie, all else kept as it was."""

import re
from collections.abc import Mapping

from member_entrypoint.errors import ConfigurationError
from member_entrypoint.release.flags import Flag, flags, words
from member_entrypoint.values import is_cookie

DEFAULT_COOKIE = "mongooseim"
OURS = ("-name", "-sname", "-setcookie")
_CUT = "\0"  # no vm.args has one: it would end there for erlexec
_AROUND = f" \t\r\f\v{_CUT}"


def vm_args(text: str, node_type: str, node: str, cookie: str | None) -> str:
    """Return vm.args for `node`: one name line and one cookie line, all else as it was.

    The two lines have the one form that the release's scripts find with grep, and cut at the
    first blank. Without `cookie`, it is the last one in `text`, else `DEFAULT_COOKIE`. Raises
    `ConfigurationError` for a cookie in `text` that the scripts cannot use, and for quotes that
    swallow the two lines. Of two cookies OTP takes neither, hence the one line.
    """
    text = text.partition(_CUT)[0]
    if "\r" in text:
        text = re.sub(r"\r+(?=\n|\Z)", "", text)
    found = list(words(text))
    extra = next((word.start for word in found if word.text == "-extra"), len(text))
    given = list(flags(found))
    if cookie is None:
        cookie = _cookie(given)
    cuts = [cut for flag in given for cut in _cuts(flag)]
    head = _without(text[:extra], cuts)
    ours = f"-{node_type} {node}\n-setcookie {cookie}\n"
    result = f"{head}{ours}{text[extra:].rstrip()}".rstrip("\n") + "\n"
    _check(result, [(f"-{node_type}", (node,)), ("-setcookie", (cookie,))])
    return result


def check_environment(variables: Mapping[str, str]) -> None:
    """Refuse flags in the environment that would be a second name, cookie or Mnesia folder.

    `variables` are those that OTP reads flags from. Of two cookies OTP takes neither, and of two
    names none is certain. Raises `ConfigurationError` that names the variable to use instead.
    """
    instead = {
        "-name": "NODE_TYPE=name, NODE_NAME or NODE_HOST",
        "-sname": "NODE_NAME or NODE_HOST",
        "-setcookie": "CLUSTER_COOKIE or CLUSTER_COOKIE_FILE",
        "-mnesia": "the volume /var/lib/mongooseim for its dir",
    }
    errors = [
        f"{variable} has the flag {flag.name}, which the container sets itself: remove it, and use "
        f"{instead[flag.name]}"
        for variable, value in variables.items()
        for flag in flags(words(value, comments=False))
        if flag.name in OURS or (flag.name == "-mnesia" and "dir" in flag.texts[::2])
    ]
    if errors:
        raise ConfigurationError("\n".join(errors))


def _cookie(given: list[Flag]) -> str:
    cookies = [flag.texts[0] for flag in given if flag.name == "-setcookie" and flag.values]
    cookie = cookies[-1] if cookies else DEFAULT_COOKIE
    if not is_cookie(cookie):
        raise ConfigurationError(
            "the cookie in vm.args has characters that the release's scripts cannot use "
            "(blanks, quotes, *, ? and such); change it there, or set CLUSTER_COOKIE"
        )
    return cookie


def _cuts(flag: Flag) -> list[tuple[int, int]]:
    """Return what of a flag is the container's, as places in the text: start and end."""
    if flag.name in OURS:
        return [(flag.word.start, flag.end)]
    if flag.name != "-mnesia":
        return []
    # -mnesia PARAMETER VALUE PARAMETER VALUE: only the folder is ours.
    pairs = [flag.values[at : at + 2] for at in range(0, len(flag.values), 2)]
    ours = [(pair[0].start, pair[-1].end) for pair in pairs if pair[0].text == "dir"]
    return [(flag.word.start, flag.end)] if pairs and len(ours) == len(pairs) else ours


def _without(text: str, cuts: list[tuple[int, int]]) -> str:
    """Return `text` without the parts that are cut, and without the lines that this empties."""
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + _CUT + text[end:]
    kept = []
    for line in text.rstrip("\n").split("\n"):
        rest = line
        if _CUT in line:
            left, right = line.lstrip(_AROUND), line.rstrip(_AROUND)
            begin = len(line) - len(left) if _CUT in line[: len(line) - len(left)] else 0
            end = len(right) if _CUT in line[len(right) :] else len(line)
            rest = line[begin:end]
            if _CUT in rest:
                rest = re.sub(rf"[{_AROUND}]*{_CUT}[{_AROUND}]*", " ", rest)
        if rest or _CUT not in line:
            kept.append(rest)
    return "".join(f"{line}\n" for line in kept) if any(kept) else ""


def _check(result: str, wanted: list[tuple[str, tuple[str, ...]]]) -> None:
    """See that the VM and the scripts find our two lines, and no others of their kind."""
    taken = [(flag.name, flag.texts) for flag in flags(words(result)) if flag.name in OURS]
    lines = [line for line in result.split("\n") if line[:1] == "-" and line.split()[0] in OURS]
    if taken != wanted or len(lines) != len(wanted):
        raise ConfigurationError(
            "vm.args has a quote or a backslash that hides where its flags end; close each quote "
            "on its line"
        )
