"""Where do symbolic links in an unpacked tree lead? Found out name by name, as the kernel does."""

import os
import stat

from member_entrypoint.release.archive import RefusedError
from member_entrypoint.release.tree import Path, Tree

MOST_FOLLOWED = 40  # links on the way, as for the kernel (MAXSYMLINKS)
MOST_STEPS = 2_000_000  # names on the ways of all links of a release together
OUTSIDE = "outside of the release"


class Links:
    """Judges the links of a tree, all of which must lead to the tree's first folder or below it."""

    def __init__(self, tree: Tree, replaced: frozenset[str]) -> None:
        """Judge links in `tree`; the names `replaced` in its first folder will be others later."""
        self._tree = tree
        self._replaced = replaced
        self._steps = 0

    def refused(self, folder: Path, target: str) -> str:
        """Return why a link in `folder` must not lead to `target`, empty if it may.

        A link may lead to a name that does not exist, but not back from it by `..`: what is there
        later need not be a folder. Raises `RefusedError` if all links together take too long.
        """
        here = list(folder)
        ahead = _names(target)
        followed = 1
        while ahead:
            self._count()
            name = ahead.pop()
            if name == "..":
                here.pop()
                if not here:
                    return OUTSIDE
                continue
            link = self._enter(here, name)
            if link is None:
                return "which leads back from a name that is no folder" if ".." in ahead else ""
            if link:
                followed += 1
                if followed > MOST_FOLLOWED:
                    return f"which leads over more than {MOST_FOLLOWED} links, or in a circle"
                if link.startswith("/"):
                    return OUTSIDE
                ahead += _names(link)
        return ""

    def _enter(self, here: list[str], name: str) -> str | None:
        """Go on to `name` if it is a folder; return where it leads if it is a link, else None."""
        if len(here) == 1 and name in self._replaced:
            return None
        folder = self._tree.folder(tuple(here))
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(mode):
            return os.readlink(name, dir_fd=folder)
        if not stat.S_ISDIR(mode):
            return None
        here.append(name)
        return ""

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise RefusedError(f"has links that lead through more than {MOST_STEPS:,} names")


def _names(target: str) -> list[str]:
    """Return the names that a link leads through, the first one last."""
    return [name for name in reversed(target.split("/")) if name not in {"", "."}]
