"""The recording of a terminal: what was printed is in the picture, and every frame of it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
import record
from console import ToolError

SVG = "{http://www.w3.org/2000/svg}"
COMMAND = r"printf '\033[31mred\033[0m & <plain>\n'"


def test_a_picture_has_all_that_was_printed() -> None:
    """Colours and markup, too; the last frame has everything, and the strip has all frames."""
    frames = record.record([COMMAND])
    image = ET.fromstring(record.picture(frames))  # noqa: S314 - our own
    film = image.find(f"{SVG}g[@id='film']")
    assert film is not None
    assert len(film) == len(frames)
    texts = {
        f"#{text.get('id')}": "|".join("".join(span.itertext()) for span in text)
        for text in image.findall(f"{SVG}defs/{SVG}text")
    }
    shown = [texts[use.get("href", "")] for use in film[-1]]
    assert shown == [f"$|{COMMAND}", "red|& <plain>"]
    colours = [span.get("fill") for span in image.iter(f"{SVG}tspan")]
    assert record.COLOURS["red"] in colours


def test_a_command_that_fails_is_no_recording() -> None:
    """A picture of an error would be taken for one of the program."""
    with pytest.raises(ToolError, match="exit 3 ended with status 3"):
        record.record(["exit 3"])
