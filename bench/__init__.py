"""Measures the cost of the entrypoint side by side with alternatives: `make bench`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The tools are scripts: they are found through sys.path.
sys.path.insert(0, str(ROOT / "tools"))
# So are the tests' servers and projects.
sys.path += [str(ROOT / "tests" / folder) for folder in ("process", "shared", "simulation")]
