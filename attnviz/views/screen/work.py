"""Work beside the screen: one thing at a time in a thread, so that the screen never stands still."""

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from textual.message import Message

_SHORT = 0.2  # seconds that nobody need be told of
_SIGNS = "|/-"


class Done(Message):
    """Work has come to something, or to an error."""

    def __init__(self, number: int, found: Any, use: Callable[[Any], None]) -> None:
        super().__init__()
        self.number, self.found, self.use = number, found, use


class Work:
    """The thing that is being done; `post` takes the message that it is done."""

    def __init__(self, post: Callable[[Done], Any]) -> None:
        self._post = post
        self._number, self._since, self._doing = 0, 0.0, ""

    @property
    def busy(self) -> bool:
        """Return whether something is being done."""
        return bool(self._doing)

    def start(self, doing: str, work: Callable[[], Any], use: Callable[[Any], None]) -> None:
        """Do something in a thread, which is then of use, unless other work has been asked for since."""
        self._number += 1
        self._doing, self._since = doing, time.monotonic()
        number = self._number

        def run() -> None:
            try:
                found = work()
            except BaseException as error:  # whatever it is, the screen has to end before it is shown
                found = error
            self._post(Done(number, found, use))

        # a daemon, so that leaving the screen need not wait for it
        Thread(target=run, daemon=True).start()

    def end(self, message: Done) -> bool:
        """Return whether this is what was asked for last, and is done now."""
        if message.number != self._number:
            return False
        self._doing = ""
        return True

    def progress(self) -> str:
        """Return what is being done and for how long, once it takes a while."""
        seconds = time.monotonic() - self._since
        if not self._doing or seconds < _SHORT:
            return ""
        return f"{_SIGNS[int(seconds * 5) % len(_SIGNS)]} {self._doing} … {seconds:.0f} s"
