"""Write down what is shown of each secret of the tests, in masked.json. Read what changed.

A row has the file, the text, what is shown of it, and what is shown of the same text in a file
whose structure is not known: there a few secrets cannot be found.

PYTHONPATH=. .venv/bin/python tests/unit/golden/make_masked.py
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from masking_secrets import OTHER, SECRETS  # noqa: E402 - found beside this folder

from member_entrypoint.release.masking import mask  # noqa: E402

rows = [[file, text, mask(text, file), mask(text, OTHER)] for file, text, _ in SECRETS]
(FOLDER / "masked.json").write_text(
    "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8"
)
