"""Copies the results into docs/performance.md: `python -m bench.quote`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import ROOT, report

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- benchmark: made by `python -m bench.quote` -->\n", "<!-- end of benchmark -->\n"


def quoted(page: str, results: Path) -> str:
    """Return the text of a page with the table of targets of `results` (JSON) between its marks.

    Raises ValueError if a mark is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN!r} and {END!r}")
    about, measurements = report.read(json.loads(results.read_text(encoding="utf-8")))
    table = "\n".join(report.target_table(measurements))
    return f"{before}{begin}\n{report.made(about)}\n\n{table}\n\n{end}{after}"


def _main() -> None:
    page = ROOT / "docs" / "performance.md"
    text = quoted(page.read_text(encoding="utf-8"), ROOT / "bench" / "results" / report.DATA)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _main()
