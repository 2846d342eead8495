"""app.config with the container's folders: Erlang's application settings, all else kept."""

from member_entrypoint import terms
from member_entrypoint.errors import ConfigurationError


def app_config(text: str, mnesia_dir: str, log_dir: str) -> str:
    """Return app.config with these folders for Mnesia and for lager's `log_root`.

    A `{mnesia, [...]}` of the user keeps all but its `dir`; where there is none, one is added.
    Raises `ConfigurationError` if `text` does not begin as a list, the form that Erlang reads.
    """
    stream = list(terms.tokens(text))
    if not stream or stream[0].text != "[":
        raise ConfigurationError("app.config should be an Erlang list, [...], but is not")
    _check_closed(stream, text)
    edits: list[tuple[int, int, str]] = []
    options = None
    for at in range(len(stream) - 3):
        first, name, comma, value = stream[at : at + 4]
        if first.text != "{" or comma.text != ",":
            continue
        if name.text == "log_root" and value.kind == "string":
            edits.append((value.start, value.end, terms.string(log_dir)))
        if name.text == "mnesia" and first.depth == 1 and value.text == "[":
            options = at + 3
    directory = terms.string(mnesia_dir)
    if options is None:
        empty = stream[1].text == "]"
        place = stream[0].end
        edits.append((place, place, f"\n {{mnesia, [{{dir, {directory}}}]}}{'' if empty else ','}"))
    else:
        edits.append(_mnesia_dir(stream, options, directory))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _check_closed(stream: list[terms.Token], text: str) -> None:
    """See that each bracket and each quote is closed: else no place in the list is certain."""
    depth = 0
    for token in stream:
        depth += (token.text in terms.OPEN) - (token.text in terms.CLOSE)
        if depth < 0 or token.kind == "unfinished":
            break
    if depth != 0 or token.kind == "unfinished":
        # Not what stands there: behind a quote that is not closed may be a password.
        line = text.count("\n", 0, token.start) + 1
        raise ConfigurationError(
            f"app.config has a bracket or a quote that is not closed, in line {line} or before it; "
            "close it"
        )


def _mnesia_dir(stream: list[terms.Token], options: int, directory: str) -> tuple[int, int, str]:
    """Return the edit that sets `dir` in the option list that begins at `stream[options]`."""
    depth = stream[options].depth
    for at in range(options + 1, len(stream)):
        token = stream[at]
        if token.depth == depth:
            break
        named = [each.text for each in stream[at : at + 3]]
        if named == ["{", "dir", ","] and token.depth == depth + 1:
            last = next(t for t in stream[at + 1 :] if t.text == "}" and t.depth == token.depth)
            return stream[at + 3].start, last.start, directory
    empty = stream[options + 1].text == "]"
    place = stream[options].end
    return place, place, f"{{dir, {directory}}}{'' if empty else ', '}"
