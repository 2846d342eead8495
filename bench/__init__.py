"""What the entrypoint costs, side by side with what it is measured against: `make bench`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The tools are scripts, found through the path.
sys.path.insert(0, str(ROOT / "tools"))
