"""Lets an Erlang/OTP run that was copied from an image of another Debian release.

Old images of Erlang are on releases whose Python is too old for us. A C library runs programs that
were made for an older one; only other libraries may be missing, such as those of an older OpenSSL.
Their copies go beside `lib` and `erts-*`, and all that needs them is told to look there, by a path
relative to itself. So a release finds them in the same way, wherever it is.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from builder_entrypoint.versions import CARRIED

EXPORTED = Path("/usr/lib/erlang-libraries")
"""What `export-erlang.sh` has copied: libraries, and the file `root`."""
ELF = b"\x7fELF"
_NAME = re.compile(r"^\s+(\S+) \(", re.MULTILINE)


def main() -> int:
    """Adopt the Erlang/OTP in this image, and see that it runs; return the exit status."""
    root = Path((EXPORTED / "root").read_text().strip())
    installed = set(_NAME.findall(_output("/sbin/ldconfig", "-p")))
    exported = {path.name for path in EXPORTED.iterdir()} - {"root"}
    carry(root, exported - installed)
    shutil.rmtree(EXPORTED)
    done = subprocess.run(
        ["erl", "-noshell", "-eval", "ok = crypto:start(), halt()."],  # noqa: S607 - of this image
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(
            f"the Erlang/OTP of ERLANG_IMAGE does not run on BASE_IMAGE: {done.stderr.strip()}\n"
            "BASE_IMAGE must be a Debian that is at least as new as that of ERLANG_IMAGE\n"
        )
    return done.returncode


def carry(root: Path, missing: set[str]) -> None:
    """Put the `missing` libraries that anything in `root` needs into it."""
    folder = root / CARRIED
    waiting = list(_programs(root))
    while waiting:
        path = waiting.pop()
        needed = set(_output("patchelf", "--print-needed", str(path)).split()) & missing
        if not needed:
            continue
        origin = os.path.relpath(folder, path.parent)
        _output("patchelf", "--add-rpath", f"$ORIGIN/{origin}", str(path))
        folder.mkdir(exist_ok=True)
        for name in needed:
            if not (folder / name).exists():
                shutil.copy(EXPORTED / name, folder / name)
                waiting.append(folder / name)


def _programs(root: Path) -> Iterator[Path]:
    """Yield the programs and libraries in a folder."""
    for parent, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(parent, name)
            if not path.is_symlink() and path.is_file():
                with path.open("rb") as file:
                    if file.read(len(ELF)) == ELF:
                        yield path


def _output(*command: str) -> str:
    """Return what a program prints; nothing if it fails, as patchelf does for static programs."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


if __name__ == "__main__":
    raise SystemExit(main())
