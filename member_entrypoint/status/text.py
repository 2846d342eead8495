"""What `status` prints: the verdict first, then what it is made of, in lines of some width."""

import time
from collections.abc import Callable, Iterable, Iterator

from member_entrypoint import state
from member_entrypoint.cluster.knowledge import Marker, Nodes, founded, founder, short_identity
from member_entrypoint.cluster.partition_rule import Missing
from member_entrypoint.log import printable
from member_entrypoint.network.addresses import is_address
from member_entrypoint.release.active import otp_of
from member_entrypoint.status.members import Row, rows
from member_entrypoint.status.survey import Survey
from member_entrypoint.status.verdict import UNDER_WAY, Verdict, may_restart

BOLD, RED, GREEN, YELLOW, OFF = "\033[1m", "\033[31m", "\033[32m", "\033[33m", "\033[0m"
NO_NAME = "\0"
"""What no text has."""
MOST_IN_PLACES = 9
"""Members up to this number have a place of their own in a cell: `1 - 3`."""
MARKERS = {
    Marker.STARTING: "starts a new cluster",
    Marker.STARTED: "started this cluster",
    Marker.JOINING: "joins {}",
    Marker.JOINED: "joined {}",
    Marker.LEAVING: "leaves {}",
    Marker.LEFT: "left {}",
}
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
STATES = {
    state.WAITING: "waits",
    state.STARTING: "starts",
    state.SERVING: "serves",
    state.STOPPING: "stops",
}
Paint = Callable[[str, str], str]


def show(survey: Survey, verdict: Verdict, width: int, *, colour: bool) -> str:
    """Return all lines; `width` is that of the terminal, in columns."""

    def paint(text: str, how: str) -> str:
        text = printable(text)
        return f"{how}{text}{OFF}" if colour and text.strip() else text

    found = rows(survey) if survey.release else []
    domain = _domain(row.node for row in found)
    tint = GREEN if verdict.well else YELLOW if verdict.kind in UNDER_WAY else RED
    said = wrapped(verdict.text.replace(domain, ""), width)
    lines = [paint(line, BOLD + tint) for line in said]
    if verdict.to_do:
        lines += _labelled("to do", verdict.to_do, width)
    if not survey.release:
        return "\n".join(lines) + "\n"
    lines.append("")
    for label, text in _this_node(survey):
        whole = label in {"node", "data"}
        lines += _labelled(label, text if whole else text.replace(domain, ""), width)
    lines += ["", *_table(found, width, paint)]
    seen = [f"{row.node}: {text}".replace(domain, "") for row in found if (text := _seen(row))]
    for label, texts in (("what was seen", seen), *_more(survey)):
        if texts:
            lines += ["", paint(label, BOLD)]
            lines += [line for text in texts for line in wrapped(text, width, "  ", "    ")]
    return "\n".join(lines) + "\n"


def _domain(nodes: Iterable[str]) -> str:
    """Return the domain that all nodes are in, with its dot; `NO_NAME` if there is none.

    Where the names are long, only the table, and what people copy, has it.
    """
    hosts = [node.partition("@")[2] for node in nodes]
    domains = {host.partition(".")[2] for host in hosts}
    if len(domains) != 1 or any(map(is_address, hosts)) or not (domain := domains.pop()):
        return NO_NAME
    return f".{domain}"


def _this_node(survey: Survey) -> Iterator[tuple[str, str]]:
    """Yield what is known of this node: a label, and a text."""
    notes, disk = survey.notes, survey.disk
    role = "primary" if survey.target is None else f"joins {survey.target}"
    if survey.alone:
        role = "joins nobody"
    yield "node", survey.node
    yield "role", role
    ready = "not ready" if notes.why_not_ready else "ready"
    since = f" since {_instant(notes.since, survey.at)}" if notes.since else ""
    word = STATES.get(notes.state, notes.state)
    yield "state", f"{word}{since}" + (f", {ready}" if notes.state == state.SERVING else "")
    if notes.wait.text:
        yield "gives up", f"in {notes.wait.seconds_left:.0f} s"
    otp = otp_of(survey.erts)
    erlang = f"Erlang/OTP {otp} (erts {survey.erts})" if otp else f"erts {survey.erts}"
    yield "release", f"{survey.release}, {erlang}"
    if survey.identity:
        yield "cluster", _cluster(survey)
    size = "not there yet" if disk.size is None else _bytes(disk.size)
    yield "data", f"{disk.folder}, {size}"
    if disk.record.marker is not Marker.NONE:
        did = MARKERS[disk.record.marker].format(disk.record.other)
        noted = f" (noted {_instant(disk.noted, survey.at)})" if disk.noted else ""
        yield "membership", did + noted
    restart = may_restart(survey)
    if restart:
        yield "restart", f"{'costs no service' if restart[0] else 'costs service'}: {restart[1]}"


def _cluster(survey: Survey) -> str:
    """Return this node's cluster in words."""
    text = _in_words(survey.identity)
    if not survey.disk.record.certain:
        text += "; another one may exist, it is looked for"
    return text


def _in_words(identity: str) -> str:
    """Return an identity: short, and what it tells."""
    text, when = short_identity(identity), founded(identity)
    if who := founder(identity).strip("'"):
        text += f", started by {who}"
    return text + (f" on {_stamp(when / 1e9)}" if when is not None else "")


def _more(survey: Survey) -> Iterator[tuple[str, list[str]]]:
    """Yield sections that only some nodes have."""
    if survey.notes.other_cluster:
        yield "a second cluster", [survey.notes.other_cluster]
    cets = survey.cets
    if cets is None:
        return
    texts = []
    if cets.file:
        listed = ", ".join(cets.listed or ()) or ("nobody" if cets.listed == () else "not there")
        texts.append(f"{cets.file} lists: {listed}")
    if cets.name:
        texts.append(f"DNS has for {cets.name}: {', '.join(cets.in_dns or ()) or cets.why}")
    texts.append(f"connected to: {', '.join(sorted(survey.connected)) or 'nobody'}")
    yield "nodes for CETS", texts


def _table(found: list[Row], width: int, paint: Paint) -> list[str]:
    """Return the table of members; where it is too wide, each has two lines."""
    order = [row.node for row in found]
    names = [row.node + (" (this)" if row.own else "") for row in found]
    head = ["state", "lists", "runs with", "agrees"]
    cells = [
        [
            row.state + ("" if row.member or row.state == "elsewhere" else ", no member"),
            _numbers(row.lists, order),
            _numbers(row.runs_with, order),
            {True: "yes", False: "no", None: "-"}[row.agrees],
        ]
        for row in found
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    digits = len(str(len(found)))
    name = max(len("member"), *map(len, names))
    wide = digits + 4 + name + sum(widths) + 2 * len(widths) <= width
    margin = " " * (digits + 3)

    def line(texts: Iterable[str]) -> str:
        return "  ".join(text.ljust(size) for text, size in zip(texts, widths, strict=True))

    lines = [paint(f"{margin}{'member'.ljust(name)}  {line(head)}".rstrip(), BOLD)]
    if not wide:
        lines = [paint(f"{margin}member", BOLD), paint(f"{margin}{line(head)}".rstrip(), BOLD)]
    for number, (row, text, cell) in enumerate(zip(found, names, cells, strict=True), 1):
        tint = _tint(row)
        first = f" {number:>{digits}}  "
        if wide:
            lines.append(first + paint(f"{text.ljust(name)}  {line(cell)}".rstrip(), tint))
        else:
            this = "  (this)" if row.own else ""
            lines += [
                first + paint(row.node, tint),
                margin + paint((line(cell) + this).rstrip(), tint),
            ]
    return lines


def _tint(row: Row) -> str:
    if row.agrees is True:
        return GREEN
    return YELLOW if row.state in {"starts", "stops", "waits"} else RED


def _numbers(nodes: Nodes | None, order: list[str]) -> str:
    """Return nodes by their numbers in the table: `1 - 3`, or of many `1-6 8-12`."""
    if nodes is None:
        return "-"
    numbers = [number for number, node in enumerate(order, 1) if node in nodes]
    if len(order) <= MOST_IN_PLACES:
        text = " ".join(str(each) if each in numbers else "-" for each in range(1, len(order) + 1))
    else:
        text = " ".join(_ranges(numbers)) or "nobody"
    others = len(nodes - set(order))
    return f"{text} +{others}" if others else text


def _ranges(numbers: list[int]) -> Iterator[str]:
    for at, number in enumerate(numbers):
        if at and numbers[at - 1] == number - 1:
            continue
        last = next(each for each in numbers[at:] if each + 1 not in numbers)
        yield f"{number}-{last}" if last > number else str(number)


def _seen(row: Row) -> str:
    """Return what was seen of a member, without its name at the beginning; empty if all is well."""
    if row.missing is Missing.ELSEWHERE:
        return f"it runs in another cluster, {_in_words(row.identity)}"
    if row.missing is Missing.APART:
        return str(row.missing.value)
    return row.why.removeprefix(f"{row.node}: ").removeprefix(f"{row.node} ")


def _labelled(label: str, text: str, width: int) -> list[str]:
    return wrapped(text, width, f"{label:<11} ", " " * 12)


def wrapped(text: str, width: int, first: str = "", more: str = "") -> list[str]:
    """Return a text in lines of at most `width` columns, broken at blanks only.

    What has no blank, such as a node's name, stays whole: people copy it.
    """
    lines, line = [], first
    empty = True
    for word in printable(text).split():
        if not empty and len(line) + 1 + len(word) > width:
            lines.append(line)
            line, empty = more, True
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line]


def _stamp(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(when))


def _instant(when: float | None, now: float) -> str:
    """Return an instant, and how long ago it is."""
    if when is None:
        return "an unknown time"
    seconds = max(0, int(now - when))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{_stamp(when)}, {seconds // size} {unit} ago"
    return f"{_stamp(when)}, {seconds} s ago"


def _bytes(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1024 and unit < len(UNITS) - 1:  # noqa: PLR2004 - what a unit is more than the last
        value, unit = value / 1024, unit + 1
    return f"{value:.3g} {UNITS[unit]}" if unit else f"{size} bytes"
