"""Can this machine run a program? What the header of an ELF file says: elf(5)."""

import os
import struct

MAGIC = b"\x7fELF"
MACHINES = {
    **dict.fromkeys((3, 6), ("i386", "i686")),
    20: ("ppc",),
    21: ("ppc64", "ppc64le"),
    22: ("s390x",),
    40: ("armv6l", "armv7l", "armv8l"),
    62: ("x86_64",),
    183: ("aarch64",),
    243: ("riscv64",),
    258: ("loongarch64",),
}
"""What `uname -m` says, by what a header says."""
ALSO_RUN = {"x86_64": ("i386", "i686"), "aarch64": ("armv6l", "armv7l", "armv8l")}
"""Programs of these machines run on a kernel of that one, if their libraries are there."""
PT_INTERP = 3
LONGEST_HEADER = 4096  # bytes; the loader's name is in it where linkers put it
LONGEST_NAME = 200


def why_not_run(header: bytes, machine: str, root: str = "/") -> str:
    """Return why a program with this `header` does not run on `machine`; empty if it may.

    `header` are the first bytes of the file, `machine` is what `uname -m` says, `root` is the
    folder in which its loader is looked for. What is no ELF file, such as a script, may run.
    """
    if header[:4] != MAGIC or len(header) < 64:  # noqa: PLR2004 - the longer kind of header
        return ""
    order = "<" if header[5] == 1 else ">"
    (number,) = struct.unpack_from(f"{order}H", header, 18)
    made_for = MACHINES.get(number, (f"machine {number}",))
    if machine not in made_for and not {*ALSO_RUN.get(machine, ())} & {*made_for}:
        return f"it was compiled for {made_for[0]}, and this is {machine}"
    loader = _loader(header, order)
    if loader and not os.path.exists(os.path.join(root, loader.lstrip("/"))):
        return (
            f"its loader {loader} does not exist here: it was compiled for another distribution "
            "(musl, as in Alpine, and glibc, as in Debian, exclude each other)"
        )
    return ""


def _loader(header: bytes, order: str) -> str:
    """Return the path of the program that loads the libraries; empty if it is not known."""
    wide = header[4] == 2  # noqa: PLR2004 - 64 bits
    try:
        start = struct.unpack_from(order + ("Q" if wide else "I"), header, 32 if wide else 28)[0]
        size, count = struct.unpack_from(f"{order}HH", header, 54 if wide else 42)
        for at in range(start, start + size * count, size or 1):
            (kind,) = struct.unpack_from(f"{order}I", header, at)
            if kind == PT_INTERP:
                word = order + ("Q" if wide else "I")
                (place,) = struct.unpack_from(word, header, at + (8 if wide else 4))
                (length,) = struct.unpack_from(word, header, at + (32 if wide else 16))
                name = header[place : place + min(length, LONGEST_NAME)]
                return name.rstrip(b"\0").decode(errors="replace")
    except struct.error:
        return ""
    return ""
