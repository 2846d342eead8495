"""Draws all measurements: boxes from quartile to quartile, whiskers from minimum to maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.measurement import OURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.figures import Summary
    from bench.measurement import Measurement

WIDTH = 60
"""Characters of a box with its whiskers."""
COLUMNS = 3
INCHES = (5.0, 2.6)
OURS_COLOUR, OTHER_COLOUR = "#a90533", "#9aa5b1"


def text_plot(measurements: Sequence[Measurement]) -> str:
    """Return the plot as text, a line for each series, from 0 to the measurement's maximum."""
    lines = ["least |----[ first quartile = median # third quartile ]----| most", ""]
    for measurement in measurements:
        summaries = measurement.summaries()
        most = max(each.most for each in summaries.values()) or 1.0
        wide = max(map(len, summaries))
        unit = f" ({measurement.unit})" if measurement.unit else ""
        lines.append(f"{measurement.title}{unit}")
        for name, each in summaries.items():
            lines.append(f"  {name:<{wide}}  {_box(each, most)}  {each.median:.4g}")
        lines.append(f"  {'':<{wide}}  0{most:>{WIDTH - 1}.4g}")
        lines.append("")
    return "\n".join(lines)


def _box(each: Summary, most: float) -> str:
    at = [round(value / most * (WIDTH - 1)) for value in each[:5]]
    least, lower, median, upper, last = at
    cells = [" "] * WIDTH
    cells[least : last + 1] = "-" * (last + 1 - least)
    cells[lower : upper + 1] = "=" * (upper + 1 - lower)
    cells[least], cells[last] = "|", "|"
    if upper > lower:
        cells[lower], cells[upper] = "[", "]"
    cells[median] = "#"
    return "".join(cells)


def draw(measurements: Sequence[Measurement], path: Path) -> None:
    """Draw the plot as PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["font.size"] = 8
    rows = -(-len(measurements) // COLUMNS)
    figure = Figure(figsize=(INCHES[0] * COLUMNS, INCHES[1] * rows), layout="constrained")
    places = iter(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    # The measurements come first, so that zip takes no place without a measurement.
    for measurement, place in zip(measurements, places, strict=False):
        names = list(measurement.series)[::-1]
        boxes = place.boxplot(
            [measurement.series[name] for name in names],
            orientation="horizontal",
            widths=0.6,
            whis=(0, 100),
            patch_artist=True,
            medianprops={"color": "black"},
        )
        for name, box in zip(names, boxes["boxes"], strict=True):
            box.set_facecolor(OURS_COLOUR if name == OURS or OURS not in names else OTHER_COLOUR)
        place.set_yticks(range(1, len(names) + 1), names)
        place.set_xlim(left=0)
        met = {True: ", target met", False: ", target missed", None: ""}[measurement.is_met()]
        place.set_title(f"{measurement.title}{met}", fontsize=8)
        place.set_xlabel(measurement.unit)
    for place in places:
        place.set_axis_off()
    figure.savefig(path, dpi=110)
