"""Notices that whoever started the build has gone."""

import os
import select
import stat

STANDARD_INPUT = 0


class Client:
    """Watches standard input, which the client of `docker exec -i` keeps open while it is there.

    Docker goes on reading our output after the client has gone, so that does not tell.
    """

    def __init__(self) -> None:
        """Do not watch yet."""
        self._poll: select.poll | None = None
        self._begun = False

    def begin(self) -> None:
        """Watch from now on, if standard input is open; later calls change nothing.

        This is called a moment after the start: by then Docker has closed an input that nobody
        gives, such as that of a job of CI.
        """
        if self._begun:
            return
        self._begun = True
        try:
            mode = os.fstat(STANDARD_INPUT).st_mode
        except OSError:
            return
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            poll = select.poll()
            poll.register(STANDARD_INPUT, 0)  # that it was closed is reported in any case
            if not poll.poll(0):
                self._poll = poll

    def has_gone(self) -> bool:
        """Tell, once, that standard input was closed since `begin`."""
        if self._poll is None or not self._poll.poll(0):
            return False
        self._poll = None
        return True
