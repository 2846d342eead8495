"""Pack a folder as the builder does: pack.py RELEASE BUILDS NAME."""

import os
import sys
from pathlib import Path

from builder_entrypoint.masking import Mask
from builder_entrypoint.output import Output
from builder_entrypoint.processes import Processes
from builder_entrypoint.signals import Signals
from builder_entrypoint.tarball import packed


def main() -> None:
    """Pack the folder; the time of the entries is in 1970."""
    release, builds, name = sys.argv[1:]
    processes = Processes(Signals(), Output(Mask(), lambda: False))
    with packed(Path(release), Path(builds), 86400, processes, dict(os.environ)) as tarball:
        tarball.path.rename(Path(builds, name))


if __name__ == "__main__":
    main()
