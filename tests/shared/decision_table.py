"""The table of docs/cluster.md: the rules of the decision, as the code has them.

python3 tests/shared/decision_table.py writes it into the document.
"""

import re
from pathlib import Path

from member_entrypoint.cluster.decision import RULES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cluster.md"


def table() -> str:
    """Return the table."""
    rows = [f"| {number} | {rule.when} | {rule.does} |" for number, rule in enumerate(RULES, 1)]
    return "\n".join(["| | when | what the node does |", "| --- | --- | --- |", *rows])


def main() -> None:
    """Write the table into the document, between its two marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    new = f"<!-- rules -->\n{table()}\n<!-- end -->"
    text = re.sub(r"<!-- rules -->.*?<!-- end -->", lambda _: new, text, flags=re.DOTALL)
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
