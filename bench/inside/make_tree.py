"""Copy files of /usr/lib until they have a given size: make_tree.py FOLDER MEGABYTES."""

import os
import shutil
import sys


def main() -> None:
    """Copy; end with a message if /usr/lib is too small."""
    folder, wanted = sys.argv[1], int(sys.argv[2]) * 10**6
    size = 0
    for parent, folders, names in os.walk("/usr/lib"):
        folders.sort()
        for name in sorted(names):
            source = os.path.join(parent, name)
            if size < wanted and os.path.isfile(source) and not os.path.islink(source):
                target = folder + source.removeprefix("/usr/lib")
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(source, target)
                size += os.path.getsize(target)
    if size < wanted:
        sys.exit(f"/usr/lib has only {size // 10**6} MB")


if __name__ == "__main__":
    main()
