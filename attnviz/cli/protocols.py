"""The protocol by which the terminal shows pictures, as it says when it is asked."""

import os
import re
import select
import sys
import time

from attnviz.cli.options import AUTO
from attnviz.cli.output import say
from attnviz.vocabulary import PictureProtocol

_PATIENCE = 0.5  # seconds that a terminal has for its answer
_LONGEST = 4096  # bytes of an answer
# Whether it takes a picture of one pixel as Kitty does, its name (XTVERSION), and what every terminal answers (DA1).
_QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[c"
_END = re.compile(rb"\x1b\[\?[\d;]*c")
_KITTY = b"\x1b_Gi=31;OK"
_LIKE_ITERM2 = re.compile(rb"\x1bP>\|(iTerm2|WezTerm|mintty)")


def choose_protocol(named: str) -> PictureProtocol | None:
    """Return the protocol that is `named`, or for `auto` the one that the terminal knows; None without a terminal."""
    if not sys.stdout.isatty():
        say("Note: --picture draws on a terminal only: save a picture with attnviz export.")
        return None
    return _find_protocol() if named == AUTO else PictureProtocol(named)


def _find_protocol() -> PictureProtocol:
    answer = _ask(sys.stdout.fileno())
    if _KITTY in answer:
        return PictureProtocol.KITTY
    return PictureProtocol.ITERM2 if _LIKE_ITERM2.search(answer) else PictureProtocol.BLOCKS


def _ask(terminal: int) -> bytes:
    """Return what the terminal answers, up to the end of its answer or of our patience; nothing if it cannot be asked.

    Nothing of it is echoed. A process in the background does not ask, for it would be stopped.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows
        return b""
    if _in_background(terminal):
        return b""
    try:
        before = termios.tcgetattr(terminal)
        tty.setcbreak(terminal, termios.TCSANOW)
    except (OSError, termios.error):
        return b""
    try:
        os.write(terminal, _QUESTION)
        return _read_answer(terminal)
    except OSError:
        return b""
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def _in_background(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # this terminal does not control the process
        return False


def _read_answer(terminal: int) -> bytes:
    answer, end = b"", time.monotonic() + _PATIENCE
    while not _END.search(answer) and len(answer) < _LONGEST and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([terminal], [], [], left)
        piece = os.read(terminal, _LONGEST) if ready else b""
        if not piece:
            break
        answer += piece
    return answer
