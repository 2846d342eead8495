"""Records commands in a terminal as an animated SVG: `make recording`.

    python3 tools/record.py FILE COMMAND...

Each command is typed, run in a terminal of `COLUMNS` by `ROWS`, and shown as it ran; pauses longer
than `LONGEST_PAUSE` are cut, and the folder of this repository is called `HOME`. The picture moves
by CSS alone, so it does in a page that shows it as an image; where there are no animations, or
nobody wants them, it is the last frame.
"""

from __future__ import annotations

import codecs
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

import pyte
from console import ROOT, ToolError, ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COLUMNS, ROWS = 100, 30
HOME = "~/mongooseim"
LONGEST_PAUSE = 1.5
"""Seconds; so is each of these."""
SHORTEST_FRAME = 0.2
KEY = 0.03
LAST_FRAME = 6.0
CELL_WIDTH, CELL_HEIGHT = 8.4, 18
"""Pixels, for a font of 14; so is the margin."""
MARGIN = 12
COLOURS = {
    "default": "#d0d7de",
    "red": "#ff7b72",
    "green": "#56d364",
    "brown": "#e3b341",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
    "white": "#ffffff",
    "black": "#6e7681",
}


class Frame(NamedTuple):
    """What the screen shows, as lines of SVG, and for how many seconds."""

    lines: tuple[str, ...]
    seconds: float


def record(commands: Sequence[str]) -> list[Frame]:
    """Run the commands; return what a person saw. Raises ToolError if one fails."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    frames: list[Frame] = []

    def keep(seconds: float) -> None:
        lines = tuple(_line(screen, row) for row in range(ROWS))
        if frames and frames[-1].lines == lines:
            frames[-1] = frames[-1]._replace(seconds=frames[-1].seconds + seconds)
        else:
            frames.append(Frame(lines, seconds))

    for command in commands:
        stream.feed("\x1b[1;32m$\x1b[0m ")
        for part in range(0, len(command), 4):
            stream.feed(command[part : part + 4])
            keep(4 * KEY)
        stream.feed("\r\n")
        for text, seconds in _output(command):
            keep(min(seconds, LONGEST_PAUSE))
            stream.feed(text.replace(str(ROOT), HOME))
    keep(LAST_FRAME)
    return frames


def _output(command: str) -> Iterator[tuple[str, float]]:
    """Yield what a command prints, each part with the seconds that passed before it."""
    primary, secondary = pty.openpty()
    ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment = {**inherited, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=ROOT,
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment,
    ) as process:
        os.close(secondary)
        began, text = time.monotonic(), ""
        while True:
            ready, _, _ = select.select([primary], [], [], SHORTEST_FRAME)
            now = time.monotonic()
            if text and (not ready or now - began >= SHORTEST_FRAME):
                yield text, now - began
                began, text = now, ""
            if ready:
                try:
                    text += decoder.decode(os.read(primary, 1 << 16))
                except OSError:  # its other side is closed
                    break
        yield text, time.monotonic() - began
    os.close(primary)
    if process.returncode != 0:
        raise ToolError(f"{command} ended with status {process.returncode}")


def _line(screen: pyte.Screen, row: int) -> str:
    """Return a line of the screen as spans of SVG, one for each run of one look."""
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    spans, column = "", 0
    for (colour, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        text = "".join(cell.data for cell in run)
        if text.strip():
            look = f' fill="{COLOURS.get(colour, "#" + colour)}"' if colour != "default" else ""
            look += ' font-weight="bold"' if bold else ""
            left = MARGIN + (column + len(text) - len(text.lstrip())) * CELL_WIDTH
            spans += f'<tspan x="{left:g}"{look}>{escape(text.strip())}</tspan>'
        column += len(text)
    return spans


def picture(frames: Sequence[Frame]) -> str:
    """Return the frames as an SVG: each line that any of them has once, and a strip of frames."""
    width = round(2 * MARGIN + COLUMNS * CELL_WIDTH)
    height = 2 * MARGIN + ROWS * CELL_HEIGHT
    lines = dict.fromkeys(line for frame in frames for line in frame.lines if line)
    names = {line: f"l{number}" for number, line in enumerate(lines)}
    total = sum(frame.seconds for frame in frames)
    at, moves = 0.0, []
    for number, frame in enumerate(frames):
        moves.append(f"{100 * at / total:.3f}%{{transform:translateX(-{number * width}px)}}")
        at += frame.seconds
    last = f"transform:translateX(-{(len(frames) - 1) * width}px)"
    style = (
        f"text{{font:14px ui-monospace,Menlo,Consolas,monospace;fill:{COLOURS['default']};"
        f"white-space:pre}}@keyframes play{{{''.join(moves)}100%{{{last}}}}}"
        f"#film{{{last};animation:play {total:.1f}s steps(1,end) infinite}}"
        "@media (prefers-reduced-motion:reduce){#film{animation:none}}"
    )
    kind = 'xmlns="http://www.w3.org/2000/svg" xml:space="preserve" role="img"'
    parts = [
        f'<svg {kind} viewBox="0 0 {width} {height}">',
        f"<title>A recording of a terminal</title><style>{style}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
        "<defs>",
        *(f'<text id="{name}">{line}</text>' for line, name in names.items()),
        "</defs>",
        '<g id="film">',
    ]
    for number, frame in enumerate(frames):
        parts.append(f'<svg x="{number * width}" width="{width}" height="{height}">')
        parts += [
            f'<use href="#{names[line]}" y="{MARGIN + CELL_HEIGHT * (row + 0.75):g}"/>'
            for row, line in enumerate(frame.lines)
            if line
        ]
        parts.append("</svg>")
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _main() -> None:
    file, *commands = sys.argv[1:]
    Path(file).write_text(picture(record(commands)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(ended(_main))
