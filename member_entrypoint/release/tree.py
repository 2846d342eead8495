"""A tree of folders that is reached by descriptors only, never through a link."""

import os
from types import TracebackType

from member_entrypoint.lean_typing import Self

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Path = tuple[str, ...]


class Tree:
    """The folders below one folder.

    The way to the folder that was asked for last stays open: the next is mostly near it. Whoever
    uses this never replaces a folder, so that what is open is what is there.
    """

    def __init__(self, root: int) -> None:
        """Begin at the folder of the descriptor `root`, which stays the caller's."""
        self.made = 0
        self._root = root
        self._way: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        """Return the tree itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all that is open."""
        self._back_to(0)

    def folder(self, path: Path, *, make: bool = False) -> int:
        """Return a descriptor of the folder `path`, which is good until the next call.

        With `make`, folders that are missing are made, for their owner only. Raises OSError,
        NotADirectoryError among others where a name is that of a file or a link.
        """
        common = 0
        for (name, _), wanted in zip(self._way, path, strict=False):
            if name != wanted:
                break
            common += 1
        self._back_to(common)
        for name in path[common:]:
            self._way.append((name, self._enter(name, make=make)))
        return self._here()

    def _here(self) -> int:
        return self._way[-1][1] if self._way else self._root

    def _enter(self, name: str, *, make: bool) -> int:
        try:
            return os.open(name, FOLDER, dir_fd=self._here())
        except FileNotFoundError:
            if not make:
                raise
        os.mkdir(name, 0o700, dir_fd=self._here())
        self.made += 1
        return os.open(name, FOLDER, dir_fd=self._here())

    def _back_to(self, length: int) -> None:
        while len(self._way) > length:
            os.close(self._way.pop()[1])
